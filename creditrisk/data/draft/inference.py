"""What one column of an unknown file is: its type, spelling, levels and use, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from creditrisk.data.draft import names, special_codes
from creditrisk.data.draft.spelling import Spelling, is_marker, minus_elsewhere, spelling
from creditrisk.data.fields import ID, IGNORE

#: Levels that a category is given; of more, the frequent ones and one for all the others.
MOST_LEVELS = 50
#: Rows that a level of such a column has at least, and the share of all rows.
LEAST_ROWS, LEAST_SHARE = 20, 0.005
#: A positive quantity whose 99th is so many times its 1st percentile, and whose logarithm is less
#: skewed by half, is read on a log scale.
LOG_SPREAD = 15
#: Words, on average, from which on texts that hardly repeat are sentences.
SENTENCE = 3
#: Distinct texts, by row, from which on a column is no category.
HARDLY_REPEATS = 0.5


@dataclass
class Column:
    """One column as it was found, and its entry in the descriptor."""

    name: str
    entry: dict[str, Any]
    taken_for: str
    why: str
    values: np.ndarray  # float: the quantity, or the place of the level; NaN where missing
    checks: list[str] = field(default_factory=list)  # what may be looked at
    review: list[str] = field(default_factory=list)  # what has to be answered

    @property
    def is_quantity(self) -> bool:
        """Whether its values are numbers of which larger and smaller mean something."""
        return self.entry["type"] in ("integer", "number", "date", "yearmonth")

    @property
    def is_input(self) -> bool:
        """Whether a model would learn from it."""
        return "role" not in self.entry

    def leave_out(self, why: str) -> None:
        """Take it for a column that nothing is learned from, and that is not even read."""
        self.entry = {"name": self.name, "type": "string", "role": IGNORE}
        self.taken_for, self.why = "to ignore", why


def missing_spellings(cells: pd.DataFrame) -> list[str]:
    """What stands for a missing value anywhere in the file."""
    found = {text for name in cells for text in cells[name].unique() if is_marker(text)}
    # Of numbers and dates the blanks around are no part, of levels they are.
    return sorted(found | {text.strip() for text in found}) or [""]


def infer(name: str, cells: pd.Series, markers: Sequence[str], decimal: str) -> Column:
    """What a column is.

    Parameters
    ----------
    cells
        Its cells as text.
    markers
        What stands for a missing value in the whole file.
    decimal
        The decimal sign that the file's columns show.
    """
    present = cells.mask(cells.isin(list(markers)))
    counts = present.value_counts()
    texts = list(counts.index)
    if len(texts) + bool(present.isna().any()) < 2 or not texts:
        column = Column(name, {}, "", "", np.full(len(cells), np.nan))
        column.leave_out(f"every row has {texts[0]!r}" if texts else "it is empty")
        return column
    # A single value beside blanks is a mark, whatever is written: "x", 1, a date.
    found = spelling(texts, decimal) if len(texts) > 1 else None
    if found is None:
        column = _of_text(name, present, counts)
    elif found.type == "boolean":
        column = _boolean(name, cells, found, counts)
    else:
        column = _quantity(name, cells, found)
    if (found is None or found.strays) and (written := minus_elsewhere(texts)):
        _ask_about_minus(column, written)
    _say_missing(column, cells, found.strays if found else (), markers)
    return column


def _ask_about_minus(column: Column, written: str) -> None:
    """Ask to have a column of amounts written so that they can be learned from."""
    column.checks.append(f"amounts, such as {written!r}, with a minus that is not read")
    column.review.append(
        f"Are they amounts, those below zero written as {written!r}? Then write the minus before "
        "the number, and draft again; if not, nothing is to be set."
    )


def _say_missing(
    column: Column, cells: pd.Series, strays: Sequence[str], markers: Sequence[str]
) -> None:
    """The properties for missing values, if there are any and the column is read."""
    if not column.is_input and column.entry["role"] == IGNORE:
        return
    constraints = column.entry.setdefault("constraints", {})
    if strays:
        column.entry["missingValues"] = [*markers, *strays]
        column.review.append(
            f"{_listed(strays)} is read as missing, since it is no "
            f"{column.taken_for}. If it means something else, correct missingValues or the type."
        )
    missing = cells.isin([*markers, *strays]).to_numpy()
    constraints["required"] = not missing.any()
    if missing.any():
        column.why += f"; {_share(missing.mean())} missing"
    if missing.any() and column.is_input:
        column.checks.append("an applicant's blank is refused, or set missingMeans")


def _quantity(name: str, cells: pd.Series, found: Spelling) -> Column:
    values = cells.map(found.values).to_numpy(float)
    entry: dict[str, Any] = {"name": name, "type": found.type, **found.properties}
    column = Column(name, entry, _KIND[found.type], found.said, values)
    if found.doubt:
        column.review.append(found.doubt)
    distinct = len(np.unique(values[~np.isnan(values)]))
    numeric = found.type in ("integer", "number")
    if numeric and _identifies(name, values, distinct):
        return _identifier(column, "each row has another whole number")
    codes = special_codes.suspects(values) if numeric else ()
    rest = values[~(np.isnan(values) | np.isin(values, codes))]
    column.why = f"{column.why}; " * bool(column.why) + f"{distinct} distinct"
    if numeric:
        _ask_about(column, codes)
        _bound(column, rest, bool(codes))
        column.why += f", {rest.min():g} to {rest.max():g}"
        if found.type == "integer" and distinct <= 10 and not codes:
            column.checks.append("codes rather than a count? Then give an enum and categories")
    middle = float(np.quantile(rest, 0.5, method="lower"))
    spelling = next(text for text, value in found.values.items() if value == middle)
    whole_or_fraction = int(middle) if found.type == "integer" else middle
    column.entry["example"] = whole_or_fraction if numeric else spelling
    return column


_KIND = {
    "integer": "whole number",
    "number": "number",
    "date": "date",
    "yearmonth": "year and month",
}


def _identifies(name: str, values: np.ndarray, distinct: int) -> bool:
    """Whether whole numbers count the rows, or are called a number and never repeat."""
    if distinct < len(values) or np.any(values != np.round(values)):
        return False
    dense = values.max() - values.min() < 1.05 * len(values)
    return bool(dense or names.hints_at(name, names.IDENTIFIER))


def _ask_about(column: Column, codes: Sequence[float]) -> None:
    for code in codes:
        share = _share(float(np.mean(column.values == code)))
        column.checks.append(f"{code:g} may be a code")
        column.review.append(
            f"Is {code:g} ({share} of the rows) a code? If so, list it in "
            f'"specialCodes": [{{"value": {code:g}, "label": "what it stands for"}}]; '
            "if it is a number like the others, nothing is to be set."
        )


def _bound(column: Column, rest: np.ndarray, codes: bool) -> None:
    """Zero as the natural lower bound, or a positive one where the scale is to be a log."""
    low = rest.min()
    if low > 0 and _spreads(rest):
        column.entry["scale"] = "log"
        least = 10.0 ** (np.floor(np.log10(low)) - 1)
        minimum = max(1, int(least)) if column.entry["type"] == "integer" else float(least)
        column.entry["constraints"] = {"minimum": minimum}
        column.checks.append(f"log scale from {minimum:g} on; below is refused")
    elif low >= 0 and not codes:
        column.entry["constraints"] = {"minimum": 0}


def _spreads(values: np.ndarray) -> bool:
    """Whether positive numbers spread over orders of magnitude, as amounts do."""
    if np.quantile(values, 0.99) < LOG_SPREAD * np.quantile(values, 0.01):
        return False
    return bool(abs(_skewness(np.log(values))) < abs(_skewness(values)) / 2)


def _skewness(values: np.ndarray) -> float:
    return float(np.mean(((values - values.mean()) / values.std()) ** 3))


def _identifier(column: Column, why: str) -> Column:
    # Numbers with signs, such as '00012 or 1.234, name rows as they are written: as texts.
    bare = set(column.entry) <= {"name", "type"}
    kind = column.entry["type"] if bare else "string"
    column.entry = {"name": column.name, "type": kind, "role": ID}
    column.taken_for, column.why = "id", why
    column.checks.append("goes with each decision and is never learned from")
    return column


def _boolean(name: str, cells: pd.Series, found: Spelling, counts: pd.Series) -> Column:
    values = cells.map(found.values).to_numpy(float)
    entry = {"name": name, "type": "boolean", **found.properties}
    entry["example"] = bool(found.values[counts.index[0]])
    return Column(name, entry, "yes or no", found.said, values)


def _of_text(name: str, cells: pd.Series, counts: pd.Series) -> Column:
    rows, distinct = int(counts.sum()), len(counts)
    texts = pd.Series(counts.index, dtype=object)
    words = float(np.average(texts.str.split().str.len(), weights=counts))
    column = Column(name, {"name": name, "type": "string"}, "", "", np.full(len(cells), np.nan))
    if distinct == len(cells) and words < SENTENCE:
        return _identifier(column, "each row has another text")
    if distinct > HARDLY_REPEATS * rows and distinct > MOST_LEVELS:
        kind = "sentences" if words >= SENTENCE else "texts"
        column.leave_out(f"{kind} that hardly repeat: {distinct} distinct")
        return column
    levels = list(counts.index)
    if distinct > MOST_LEVELS:
        floor = max(LEAST_ROWS, LEAST_SHARE * len(cells))
        levels = list(counts.index[counts >= floor][: MOST_LEVELS - 1])
        if len(levels) < 2:
            column.leave_out(f"{distinct} levels, and hardly one has {floor:.0f} rows")
            return column
        other = next(w for w in ("other", "others", "any other level") if w not in counts.index)
        column.entry["unlisted"] = other
        column.checks.append(f"{distinct - len(levels)} rare levels count as {other!r}")
    _as_levels(column, cells, sorted(levels))
    column.taken_for = "category of many levels" if distinct > MOST_LEVELS else "category"
    column.why = f"{distinct} levels" + (
        f", {len(levels)} of them frequent" * (distinct > MOST_LEVELS)
    )
    column.entry["example"] = counts.index[0]
    return column


def _as_levels(column: Column, cells: pd.Series, levels: list[str]) -> None:
    listed = [*levels, *([column.entry["unlisted"]] if "unlisted" in column.entry else [])]
    column.entry["constraints"] = {"enum": listed}
    place = {level: number for number, level in enumerate(levels)}
    others = len(levels) if "unlisted" in column.entry else np.nan
    column.values = cells.map(lambda text: place.get(text, others), "ignore").to_numpy(float)
    alike = pd.Series(levels).str.strip().str.lower()
    if alike.duplicated(keep=False).any():
        same = [level for level, twice in zip(levels, alike.duplicated(keep=False)) if twice]
        column.checks.append(f"{_listed(same)} differ in blanks or capitals only")
    if len(levels) >= 3 and all(len(level) == 1 for level in levels):
        column.checks.append("ordered? Then set categoriesOrdered")


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(map(repr, texts))


def _share(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
