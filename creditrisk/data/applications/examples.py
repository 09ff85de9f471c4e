"""Made-up applications that a contract allows: for documentation, trial runs and warming up."""

import math

from creditrisk.data.contract import Contract
from creditrisk.data.fields import Field, Value

#: Where in a quantity's range each example lies.
_SHARES = (0.2, 0.35, 0.5)


def applications(contract: Contract) -> list[dict[str, Value]]:
    """Three allowed applications that differ in every column of which two values are known.

    In the last what may be missing is: by its label, or left blank where the contract takes that.
    """
    return [
        {field.name: _value(field, number) for field in contract.fields}
        for number in range(len(_SHARES))
    ]


def _value(field: Field, number: int) -> Value:
    if number == len(_SHARES) - 1 and (field.takes_blank or field.missing_label):
        return field.missing_label
    if field.levels is not None:
        return field.levels[number % len(field.levels)]
    return field.stated(_quantity(field, number))


def _quantity(field: Field, number: int) -> int | float:
    """A quantity within its bounds or, where it has none, near its example."""
    low, high, share = field.minimum, field.maximum, _SHARES[number]
    if low is None or high is None:
        near = field.example if isinstance(field.example, int | float) else (low or high or 1)
        return near if field.takes(near) else (low if low is not None else high) or 0
    if field.scale == "log":
        value = low * math.pow(high / low, share)
    else:
        value = low + (high - low) * share
    return round(value) if field.whole else round(value, 2)
