"""What no file shows of itself, as questions that a descriptor holds until they are answered."""

from collections.abc import Sequence

import numpy as np

from creditrisk.data.contract import Json
from creditrisk.data.dates import TYPES
from creditrisk.data.draft import names
from creditrisk.data.draft.inference import Column
from creditrisk.data.draft.outcome import Outcome
from creditrisk.data.fields import DATE

#: What stands in the place of what only the owner of the data knows.
NOT_STATED = "not stated"

_OWNER = f'whose data is it, and who may use it? Title, sources and licenses say "{NOT_STATED}".'
_POPULATION = (
    'whose applications are these, of what time? Set "population", "period" and '
    '"defaultDefinition": what makes an outcome bad, and observed for how long.'
)
_COSTS = (
    "what does it cost to accept a loan that goes bad, and what to refuse a good one? Set "
    '"costs", for example {"badAccepted": 5, "goodRejected": 1}.'
)
_AFTERWARDS = 'which columns are known only after the decision? Set "role": "afterOutcome" in each.'
_ADVICE = (
    "what can no applicant change, and where is the direction of the risk known? Set "
    '"immutable": true, and "expectedDirection": "safer" or "riskier", in these columns.'
)


def open_questions(package: Json) -> list[str]:
    """What a descriptor asks under ``review``, each with the column that it is about."""
    resource = package["resources"][0]
    return list(resource.get("review", ())) + [
        f"{entry['name']}: {question}"
        for entry in resource["schema"]["fields"]
        for question in entry.get("review", ())
    ]


def about_the_data(columns: Sequence[Column], ending: Outcome) -> list[str]:
    """What has to be asked of any file, each with the way to answer it."""
    likely = [
        column.name
        for column in columns
        if column.is_input and names.hints_at(column.name, names.PROTECTED)
    ]
    hint = f" By their names: {', '.join(likely)}." if likely else ""
    bad = (
        f"{np.nanmean(ending.is_bad):.1%} of the rows are bad. How many are, of those on whom the "
        'model is to decide? Set "realBadRate", a number between 0 and 1.'
    )
    groups = (
        'by which columns are decisions to be audited? Set "protected": true in each, and '
        f'"groupsUpTo" if it is a quantity.{hint}'
    )
    dates = [
        column.name
        for column in columns
        if column.entry["type"] in TYPES and not names.hints_at(column.name, names.EARLIER)
    ]
    unsettled = dates and not any(column.entry.get("role") == DATE for column in columns)
    application = (
        f"is one of {', '.join(dates)} the date of the application or of the decision? If so, set "
        '"role": "date" in it, and "split": {"by": "date"} in the table; if not, nothing is to be '
        "set."
    )
    return [
        f"Owner: {_OWNER}",
        f"Population: {_POPULATION}",
        *([f"Date: {application}"] if unsettled else []),
        f"Costs: {_COSTS}",
        f"Bad rate: {bad}",
        f"Groups: {groups}",
        f"Afterwards: {_AFTERWARDS}",
        f"Advice: {_ADVICE}",
    ]
