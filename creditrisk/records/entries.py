"""What the entries of the logs say, and in which words."""

from collections.abc import Collection
from datetime import UTC, datetime

from creditrisk.data.contract import Json


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
        Of :func:`creditrisk.data.record_checks.record_problems`: the kind, then what is allowed.
    known
        The columns of an application.
    """
    kind = message.partition(";")[0]
    return f"{field} {kind}" if field in known else kind
