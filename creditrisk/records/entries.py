"""What the entries of the logs say, and in which words."""

from collections.abc import Collection
from datetime import UTC, datetime

import pandas as pd

from creditrisk.data.contract import Contract, Json


def now() -> str:
    """The present time as the logs have it: ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def entry(number: str, time: str, model: Json, application: Json, decision: Json) -> Json:
    """What the entry of a decision says, in its order.

    Parameters
    ----------
    number
        The id of the decision.
    decision
        The decision with its probability and cut-off; also, where there are such, its reasons and
        what blanks were scored as, the ``caller_id``, the ``shadow`` and whether it is
        ``simulated``.
    """
    return {"id": number, "time": time, "model": model, "input": application, **decision}


def rejection(request: str, time: str, reasons: Collection[str], count: int = 1) -> Json:
    """What the entry of refused applications says.

    Parameters
    ----------
    reasons
        As :func:`reason` gives them; each stands there once.
    count
        How many applications were refused for these reasons.
    """
    return {"request": request, "time": time, "reasons": sorted({*reasons}), "count": count}


def reason(field: str, message: str, known: Collection[str]) -> str:
    """Column and kind of a problem; a name that the sender made up is not repeated.

    Parameters
    ----------
    message
        Of :func:`creditrisk.data.applications.record_checks.record_problems`: the kind, then what
        is allowed.
    known
        The columns of an application.
    """
    kind = message.partition(";")[0]
    return f"{field} {kind}" if field in known else kind


def applications(frame: pd.DataFrame, contract: Contract) -> list[Json]:
    """Raw applications as records, as their applicants state them.

    Parameters
    ----------
    frame
        In the coding of the data, shape (n, columns): there what is missing is NaN, and a column of
        whole numbers in which a value is missing may hold floats or text.
    """
    names = [field.name for field in contract.fields]
    columns = []
    for field in contract.fields:
        column = frame[field.name]
        label = field.missing_label
        values = column.astype(object).where(column.notna(), label).tolist()
        if field.type == "integer" and not pd.api.types.is_integer_dtype(column):
            values = [value if value in (None, label) else int(value) for value in values]
        if field.is_dated:
            values = [value if value in (None, label) else field.shown(value) for value in values]
        columns.append(values)
    return [dict(zip(names, values)) for values in zip(*columns)]
