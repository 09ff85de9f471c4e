"""The data contract: what one loan application is.

It is read from ``data/raw/datapackage.json`` by :mod:`creditrisk.data.descriptor`. Whatever the
project knows about columns, types, allowed values and the target comes from that one file.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any

from creditrisk.data import missing_values
from creditrisk.data.missing_values import LEVEL, MISSING, REFUSE, VALUE

#: A value that a category may take.
Level = int | str

#: A record or descriptor as it comes out of JSON.
Json = dict[str, Any]


class ContractError(ValueError):
    """A file or record that breaks the contract; ``problems`` holds one sentence each."""

    def __init__(self, subject: str, problems: list[str], remedy: str = ""):
        self.problems = problems
        shown = problems[:10]
        if len(problems) > len(shown):
            shown.append(f"... and {len(problems) - len(shown)} more")
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"{subject}: {count}", *(f"  - {line}" for line in shown)]
        super().__init__("\n".join(lines + ([f"Remedy: {remedy}"] if remedy else [])))


@dataclass(frozen=True)
class Field:
    """One column: its type, unit and allowed values."""

    name: str
    title: str
    description: str
    type: str  # "integer" or "string"
    unit: str
    scale: str  # "log" for a quantity that spreads over orders of magnitude, else "linear"
    required: bool
    levels: tuple[Level, ...] | None  # allowed values in order, None for a plain number
    ordered: bool
    minimum: int | None
    maximum: int | None
    protected: bool = False  # decisions are audited by the groups of this column
    groups_up_to: tuple[int, ...] = ()  # upper ends of a quantity's groups in that audit
    missing_means: str = REFUSE  # what a blank in an application means, see missing_values
    missing_label: str | None = None  # the name by which an applicant states it, if it is a level
    labels: tuple[str, ...] = ()  # the levels in words, in their order, if they are codes

    def worded(self, level: Level) -> str:
        """A level with its words, if it is a code."""
        if level in (self.levels or ()) and self.labels:
            return f"{level}: {self.labels[(self.levels or ()).index(level)]}"
        return str(level)

    @property
    def takes_blank(self) -> bool:
        """Whether an application may leave this column blank."""
        return not self.required and self.missing_means not in (LEVEL, REFUSE)

    @property
    def choices(self) -> tuple[Level, ...]:
        """The levels as an applicant states them: the label of a missing value is the last."""
        return (self.levels or ()) + (() if self.missing_label is None else (self.missing_label,))

    @property
    def accepted(self) -> str:
        """What an application may hold in this column, as text for a message."""
        named = self.allowed if self.levels is None else ", ".join(map(str, self.choices))
        return f"{named}, or null" if self.takes_blank else named

    @property
    def if_missing(self) -> str:
        """Whether a value may be missing, and what a blank then means, for a data dictionary."""
        if self.required:
            return "no"
        if self.missing_label is not None:
            return f"yes, a known level, stated as “{self.missing_label}”"
        worst = self.missing_means == missing_values.WORST
        return f"yes; a blank {'counts as the worst value' if worst else 'is refused'}"

    def stated(self, value: Level | None) -> Level | None:
        """A value of the data as an applicant states it: a missing one by its label."""
        return self.missing_label if value is None else value

    @property
    def all_levels(self) -> tuple[Level, ...]:
        """The levels as a model uses them: a missing value is one more level, the last."""
        return (self.levels or ()) + (() if self.required else (MISSING,))

    @property
    def bounds(self) -> tuple[int, int]:
        """The smallest and the largest allowed value of a quantity.

        Raises
        ------
        TypeError
            If the column is a category.
        """
        if self.minimum is None or self.maximum is None:
            raise TypeError(f"{self.name} is not a quantity")
        return self.minimum, self.maximum

    def takes(self, value: Level) -> bool:
        """Whether a value of the right type is one of the levels, or lies within the bounds."""
        if self.levels is not None:
            return value in self.levels
        low, high = self.bounds
        return isinstance(value, int) and low <= value <= high

    @property
    def allowed(self) -> str:
        """The levels, or the range with its unit, as text for a message."""
        if self.levels is not None:
            return ", ".join(map(str, self.levels))
        return f"{self.minimum} to {self.maximum} {self.unit}".rstrip()


@dataclass(frozen=True)
class Contract:
    """The raw file: its columns, its target, and its recorded size, hash and source."""

    fields: tuple[Field, ...]  # the applicant's columns, without the target
    target: Field
    positive: str  # the target's level that counts as 1
    row_number: str | None  # header of the column that numbers the rows
    missing_values: tuple[str, ...]
    sha256: str | None
    rows: int | None
    title: str
    source: str
    licence: str
    caveats: tuple[str, ...] = ()  # known errors of the data, shown with every figure
    period: str = ""  # when the applications were made, "1973 to 1975"
    default_definition: str = ""  # what makes an outcome bad, and observed for how long
    #: The descriptor that all this was read from; it is saved with a model.
    package: Json = dataclass_field(default_factory=dict, repr=False, compare=False)

    @property
    def numbers(self) -> list[Field]:
        """The columns that hold a quantity."""
        return [field for field in self.fields if field.levels is None]

    @property
    def categories(self) -> list[Field]:
        """The columns that hold one of a list of levels."""
        return [field for field in self.fields if field.levels is not None]

    @property
    def protected(self) -> list[Field]:
        """The columns by whose groups decisions are audited."""
        return [field for field in self.fields if field.protected]

    @property
    def columns(self) -> list[Field]:
        """Every column of the raw file but the row number, the target last."""
        return [*self.fields, self.target]

    def without(self, names: Iterable[str]) -> "Contract":
        """The contract without some of the applicant's columns.

        Raises
        ------
        ContractError
            If a name is not one of these columns, or no column would be left.
        """
        known, names = [field.name for field in self.fields], list(names)
        problems = [
            f"{name!r} is no column of an application{did_you_mean(name, known)}"
            for name in names
            if name not in known
        ]
        if not problems and set(names) == set(known):
            problems = ["no column would be left"]
        if problems:
            raise ContractError("columns to leave out", problems, f"choose from {', '.join(known)}")
        return replace(self, fields=tuple(each for each in self.fields if each.name not in names))

    def left_out(self, exclude: Iterable[str], use_protected: Iterable[str] = ()) -> list[str]:
        """The columns that no model uses, in the contract's order.

        Parameters
        ----------
        exclude
            Columns to leave out.
        use_protected
            Protected columns that a model may use all the same; the others are left out.

        Raises
        ------
        ContractError
            If a name is not a column, or not a protected one, or is asked for both ways, or no
            column would be left.
        """
        exclude, used = list(exclude), list(use_protected)
        known = [field.name for field in self.protected]
        problems = [
            f"{name!r} is no protected column{did_you_mean(name, known)}"
            for name in used
            if name not in known
        ]
        problems += [f"{name!r} is also to be left out" for name in used if name in exclude]
        if problems:
            remedy = f"choose from {', '.join(known) or 'none: this contract protects no column'}"
            raise ContractError("protected columns to use", problems, remedy)
        names = {*exclude, *(name for name in known if name not in used)}
        self.without([*exclude, *names])
        return [field.name for field in self.fields if field.name in names]

    def taking_blanks(self, *meanings: str) -> "Contract":
        """The contract for applications in the coding of the data, where a blank is a value.

        Parameters
        ----------
        meanings
            The columns concerned, by what a blank means in them; by default all.
        """
        fields = [
            replace(each, missing_means=VALUE)
            if not (each.required or meanings and each.missing_means not in meanings)
            else each
            for each in self.fields
        ]
        return replace(self, fields=tuple(fields))

    def __getitem__(self, name: str) -> Field:
        return next(field for field in self.columns if field.name == name)


def names(listed: str) -> list[str]:
    """The names in a text that separates them by commas."""
    return [name.strip() for name in listed.split(",") if name.strip()]


def did_you_mean(name: str, known: list[str]) -> str:
    """The end of a message on an unknown name: the most similar known one, empty if none is."""
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
