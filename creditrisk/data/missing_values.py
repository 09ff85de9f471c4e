"""What a blank means when an applicant sends it; the contract decides by column.

In the raw data a missing value is what the source recorded, and a model learns from it as from any
other value. An applicant who leaves a field blank is another matter: where missing happens to be a
good sign, a blank would buy approval. So the descriptor gives a column that may be missing one of
four meanings (``missingMeans``):

``level``
    In the data, missing is the code of a known state, which has a name (``missingLabel``). Whoever
    is in that state says so by that name; a blank is refused.
``refuse``
    A blank is refused. This holds where nothing is said.
``worst``
    A blank is scored as whatever gives that applicant the lowest probability.
``value``
    A blank is a value like any other, as in the data; for columns in which nobody gains by it.
"""

from collections.abc import Collection, Mapping
from math import prod
from typing import Any

#: The level that stands for "no value given"; no column may have a level of that name.
MISSING = "missing"

LEVEL, REFUSE, WORST, VALUE = MEANINGS = ("level", "refuse", "worst", "value")

#: The most combinations of values for which the blanks of one application may stand.
MOST_COMBINATIONS = 4096

_WHAT_IT_IS = (
    "the name by which an applicant states what the data record as missing, with no blanks around"
)


def problems(
    entry: Mapping[str, Any], required: bool, levels: Collection[Any], markers: Collection[str]
) -> list[str]:
    """One sentence for each fault in what a descriptor says of a column's missing values.

    Parameters
    ----------
    entry
        The column as the descriptor has it.
    required, levels
        Whether a value is always there, and the allowed ones.
    markers
        What stands for a missing value in the raw file.
    """
    means, label = entry.get("missingMeans", REFUSE), entry.get("missingLabel")
    if required:
        given = [name for name in ("missingMeans", "missingLabel") if name in entry]
        return [f"is never missing; remove {' and '.join(given)}"] if given else []
    if means not in MEANINGS:
        return [f"missingMeans is {means!r}; allowed {', '.join(MEANINGS)}"]
    if means != LEVEL:
        return [f"missingLabel needs missingMeans {LEVEL!r}"] if "missingLabel" in entry else []
    if not isinstance(label, str) or not label or label != label.strip():
        return [f"missingMeans {LEVEL!r} needs missingLabel, {_WHAT_IT_IS}"]
    if label in map(str, levels):
        return [f"missingLabel {label!r} is a level already; name what only missing stands for"]
    if label == MISSING or label in markers:
        return [f"missingLabel {label!r} says that nothing is given; name the applicant's state"]
    return []


def too_many_combinations(values: Mapping[str, int]) -> list[str]:
    """What is wrong with the columns that are scored as the worst value, empty if nothing is.

    Parameters
    ----------
    values
        By column, how many values a blank in it may stand for.
    """
    count = prod(values.values())
    if count <= MOST_COMBINATIONS:
        return []
    problem = (
        f"blanks in {', '.join(values)} may stand for {count} combinations of values, and at most "
        f"{MOST_COMBINATIONS} can be tried; give some of them missingMeans {REFUSE!r}"
    )
    return [problem]
