"""Made-up applications that a contract allows: for documentation, trial runs and warming up."""

import math

from creditrisk.data.contract import Contract
from creditrisk.data.fields import Field, Level

#: Where in a quantity's range each example lies.
_SHARES = (0.2, 0.35, 0.5)


def applications(contract: Contract) -> list[dict[str, Level | None]]:
    """Three allowed applications that differ in every column.

    In the last what may be missing is: by its label, or left blank where the contract takes that.
    """
    return [
        {field.name: _value(field, number) for field in contract.fields}
        for number in range(len(_SHARES))
    ]


def _value(field: Field, number: int) -> Level | None:
    if field.levels is not None:
        if number == len(_SHARES) - 1 and (field.takes_blank or field.missing_label):
            return field.missing_label
        return field.levels[number % len(field.levels)]
    (low, high), share = field.bounds, _SHARES[number]
    if field.scale == "log":
        return round(low * math.pow(high / low, share))
    return round(low + (high - low) * share)
