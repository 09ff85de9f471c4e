"""The data contract: what one loan application is.

It is read from ``data/raw/datapackage.json`` by :mod:`creditrisk.data.descriptor`. Whatever the
project knows about columns, types, allowed values and the target comes from that one file.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

from creditrisk.data.fields import AFTERWARDS, IGNORE, Field, Level
from creditrisk.data.missing_values import VALUE

if TYPE_CHECKING:  # commands that read no table do without pandas
    import pandas as pd

#: A record or descriptor as it comes out of JSON.
Json = dict[str, Any]


class ContractError(ValueError):
    """A file or record that breaks the contract; ``problems`` holds one sentence each.

    Of very many problems these are the first; ``count`` is the number of all.
    """

    def __init__(
        self, subject: str, problems: list[str], remedy: str = "", count: int | None = None
    ):
        self.problems = problems
        self.count = len(problems) if count is None else count
        shown = problems[:10]
        if self.count > len(shown):
            shown.append(f"... and {self.count - len(shown)} more")
        counted = "1 problem" if self.count == 1 else f"{self.count} problems"
        lines = [f"{subject}: {counted}", *(f"  - {line}" for line in shown)]
        super().__init__("\n".join(lines + ([f"Remedy: {remedy}"] if remedy else [])))


@dataclass(frozen=True)
class Split:
    """Which applications are kept to judge the model that is finished."""

    by: str = "random"  # or "date": the last part of the time; "group": whole groups
    test_from: str = ""  # by date: the first day of the test set; empty for the last part


@dataclass(frozen=True)
class Costs:
    """What wrong decisions cost, each in the same unit."""

    bad_accepted: float
    good_rejected: float


@dataclass(frozen=True)
class Mix:
    """Another spread of the applicants over one column, under which a model is to hold."""

    name: str
    field: str  # the column
    shares: tuple[float, ...]  # by level, missing the last, or by group; they add up to 1
    groups_up_to: tuple[int | float, ...] = ()  # upper ends of a quantity's groups but the last


@dataclass(frozen=True)
class Contract:
    """The raw file: its columns, its target, and its recorded size, hash and source."""

    fields: tuple[Field, ...]  # the applicant's columns that a model may use, without the target
    target: Field
    good: tuple[Level, ...]  # the target's spellings that count as 1
    bad: tuple[Level, ...]  # those that count as 0
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
    excluded: tuple[Level, ...] = ()  # the target's spellings whose rows are left out
    others: tuple[Field, ...] = ()  # columns with another role than to be learned from
    population: str = ""  # whose applications these are
    purpose: str = ""  # what models of these data are for, and what not
    costs: Costs | None = None
    real_bad_rate: float | None = None  # among those on whom the model will decide
    model_name: str = ""  # in the registry
    split: Split = Split()
    mixes: tuple[Mix, ...] = ()
    paths: tuple[str, ...] = ()  # of the raw file, beside the descriptor; a pattern or a URL too
    delimiter: str = ","
    encoding: str = "utf-8"
    quote_char: str = '"'
    skip_initial_space: bool = False  # whether blanks after a delimiter are no part of a cell
    #: The descriptor that all this was read from; it is saved with a model.
    package: Json = dataclass_field(default_factory=dict, repr=False, compare=False)

    @property
    def positive(self) -> Level:
        """The first of the target's spellings that count as 1."""
        return self.good[0]

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
        """Every column that is read from the raw file but the row number, the target last."""
        return [*self.fields, *self.carried, self.target]

    @property
    def carried(self) -> list[Field]:
        """The columns that go with an application and are never learned from: id, date and so on.

        Those that are ignored, or known only after the outcome, are not even read.
        """
        return [field for field in self.others if field.role not in (IGNORE, AFTERWARDS)]

    @property
    def signature(self) -> Json:
        """What an application is: the columns a model may use, by type, and the target's name.

        Models of contracts with different signatures answer different questions: none is compared
        with the other, or takes its place.
        """
        columns = {field.name: field.type for field in sorted(self.fields, key=lambda f: f.name)}
        return {"columns": columns, "target": self.target.name}

    def is_good(self, frame: "pd.DataFrame") -> "pd.Series":
        """Whether each row's target, shape (n,), stands for a good risk."""
        return frame[self.target.name].isin(self.good)

    def of_role(self, role: str) -> Field | None:
        """The column of one role, such as the date of application; None if there is none."""
        return next((field for field in self.others if field.role == role), None)

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
        left = tuple(each for each in self.fields if each.name not in names)
        mixes = tuple(each for each in self.mixes if each.field not in names)
        return replace(self, fields=left, mixes=mixes)

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


def counted(number: int, one: str, more: str = "") -> str:
    """Some things with their number: 1 column, 2 columns; ``more`` where an s is not enough."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"
