"""One column of a loan file, as its contract describes it."""

from dataclasses import dataclass

from creditrisk.data import dates, missing_values
from creditrisk.data.missing_values import LEVEL, MISSING, REFUSE

#: A value that a category may take.
Level = int | str | bool

#: A value of an application, in the typed form that all interfaces share.
Value = int | float | str | bool | None

#: Types of Table Schema that hold a quantity, and all that are supported.
QUANTITIES = ("integer", "number", "date", "yearmonth")
TYPES = (*QUANTITIES, "string", "boolean")

#: What a column is for; the first is learned from, the others never are.
ROLES = INPUT, ID, DATE, WEIGHT, GROUP, IGNORE, AFTERWARDS = (
    "input",
    "id",
    "date",
    "weight",
    "group",
    "ignore",
    "afterOutcome",
)

#: Which way the risk is expected to go as a quantity or an ordered level grows.
DIRECTIONS = ("safer", "riskier")

#: The largest quantity, whatever the contract's bounds: a float holds its whole numbers exactly.
LARGEST = 10**15


@dataclass(frozen=True)
class TextFormat:
    """How the values of a column are written in a file; the words are those of Table Schema."""

    decimal_char: str = "."
    group_char: str = ""
    bare: bool = True  # False: signs around the number, such as % or €, are allowed
    true_values: tuple[str, ...] = ("true", "True", "TRUE", "1")
    false_values: tuple[str, ...] = ("false", "False", "FALSE", "0")
    pattern: str = ""  # of a date, as strptime has it; empty for ISO 8601


@dataclass(frozen=True)
class SpecialCode:
    """A number that stands for a state and not for a quantity."""

    value: int | float
    label: str  # the state in words


@dataclass(frozen=True)
class Field:
    """One column: its type, unit and allowed values.

    A date is a quantity: the days since 1 January 1970, and a year and month the months since.
    """

    name: str
    title: str
    description: str
    type: str  # one of TYPES
    unit: str
    scale: str  # "log" for a quantity that spreads over orders of magnitude, else "linear"
    required: bool
    levels: tuple[Level, ...] | None  # allowed values in order, None for a quantity
    ordered: bool
    minimum: int | float | None  # None: no limit
    maximum: int | float | None
    protected: bool = False  # decisions are audited by the groups of this column
    groups_up_to: tuple[int | float, ...] = ()  # upper ends of a quantity's groups in that audit
    missing_means: str = REFUSE  # what a blank in an application means, see missing_values
    missing_label: str | None = None  # the name by which an applicant states it, if it is a level
    labels: tuple[str, ...] = ()  # the levels in words, in their order, if they are codes
    role: str = INPUT  # one of ROLES
    special: tuple[SpecialCode, ...] = ()  # of a quantity, ascending: levels of their own
    unlisted: str | None = None  # the level as which any text counts that is none of the levels
    direction: str | None = None  # one of DIRECTIONS, None if nothing is expected
    immutable: bool = False  # no applicant can change it
    missing_values: tuple[str, ...] | None = None  # of this column alone, None for the file's
    written: TextFormat = TextFormat()
    example: Value = None  # a value that occurs

    @property
    def is_dated(self) -> bool:
        """Whether the quantity is a date, or a year and month."""
        return self.type in dates.TYPES

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are allowed."""
        return self.type != "number"

    @property
    def special_values(self) -> tuple[int | float, ...]:
        """The numbers that stand for a state."""
        return tuple(code.value for code in self.special)

    def worded(self, level: Value) -> str:
        """A value as text, with its words if it is a code, and a date as one."""
        if self.levels is None:
            words = {code.value: code.label for code in self.special}
            return f"{level}: {words[level]}" if level in words else self.read(level)
        if level in self.levels and self.labels:
            return f"{level}: {self.labels[self.levels.index(level)]}"
        if isinstance(level, bool):
            return "yes" if level else "no"
        return str(level)

    def shown(self, value: Value) -> str:
        """A value of the column as text; dates as ISO 8601 writes them."""
        if value is None or isinstance(value, str | bool):
            return str(value)
        if self.is_dated:
            return dates.text_of(int(value), self.type)
        return f"{value:.15g}" if isinstance(value, float) else str(value)

    def read(self, value: Value) -> str:
        """A value as text for a reader: as :meth:`shown`, with separators of thousands."""
        if value is None or isinstance(value, str | bool) or self.is_dated or self.levels:
            return self.shown(value)
        return f"{value:,.15g}" if isinstance(value, float) else f"{value:,}"

    def rounded(self, value: float, digits: int = 3) -> str:
        """A quantity as text for a reader: whole numbers whole, others to so many digits."""
        if self.is_dated:
            return self.shown(round(value))
        whole = self.whole or abs(value) >= 10**digits
        return f"{value:,.0f}" if whole else f"{value:,.{digits}g}"

    def number_of(self, text: str) -> int:
        """The days or months since January 1970 for which ISO 8601's text of a date stands.

        Raises
        ------
        ValueError
            If it is no such text.
        """
        return dates.number_of(text, self.type)

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
        named = self.allowed
        if self.levels is not None and self.unlisted is None:
            named = ", ".join(map(_json_word, self.choices))
        elif self.missing_label is not None:
            named += f", or {self.missing_label!r}"
        return f"{named}, or null" if self.takes_blank else named

    @property
    def if_missing(self) -> str:
        """Whether a value may be missing, and what a blank then means, for a data dictionary."""
        if self.required:
            return "no"
        if self.missing_label is not None:
            return f"yes, a known level, stated as “{self.missing_label}”"
        worst = self.missing_means == missing_values.WORST
        if self.missing_means == missing_values.VALUE:
            return "yes; a blank is a value like any other"
        return f"yes; a blank {'counts as the worst value' if worst else 'is refused'}"

    def stated(self, value: Value) -> Value:
        """A value of the data as an applicant states it: a missing one by its label."""
        if value is None:
            return self.missing_label
        return self.shown(value) if self.is_dated else value

    @property
    def all_levels(self) -> tuple[Level, ...]:
        """The levels as a model uses them: a missing value is one more level, the last."""
        return (self.levels or ()) + (() if self.required else (MISSING,))

    @property
    def limits(self) -> tuple[int | float, int | float]:
        """The smallest and the largest value of a quantity, stated by the contract or not."""
        low, high = dates.LIMITS[self.type] if self.is_dated else (-LARGEST, LARGEST)
        return (
            low if self.minimum is None else self.minimum,
            high if self.maximum is None else self.maximum,
        )

    def takes(self, value: Value) -> bool:
        """Whether a typed value is one of the levels, or lies within the bounds."""
        if self.levels is not None:
            return value in self.levels or self._counts_as_unlisted(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high = self.limits
        return value in self.special_values or low <= value <= high

    def _counts_as_unlisted(self, value: Value) -> bool:
        """Whether a text is another than the levels; one with blanks around a level is an error."""
        if self.unlisted is None or not isinstance(value, str):
            return False
        return value.strip() not in ("", *(self.levels or ()))

    @property
    def allowed(self) -> str:
        """The levels, or the range with its unit, as text for a message."""
        if self.levels is not None:
            listed = ", ".join(map(_json_word, self.levels))
            return f"{listed} (other text counts as {self.unlisted})" if self.unlisted else listed
        return " or ".join([self._range, *(self.worded(value) for value in self.special_values)])

    @property
    def _range(self) -> str:
        low, high = (
            None if bound is None else self.read(bound) for bound in (self.minimum, self.maximum)
        )
        kind = {"integer": "whole number", "number": "number", "date": "date such as 2024-01-31"}
        name = kind.get(self.type, "year and month such as 2024-01")
        if low is not None and high is not None:
            named = f"{low} to {high}"
        elif low is not None:
            named = f"a {name} from {low} on"
        else:
            named = f"a {name}" if high is None else f"a {name} up to {high}"
        return f"{named} {self.unit}".rstrip()


def _json_word(level: Level) -> str:
    """A level as JSON writes it, text without its quotation marks."""
    return str(level).lower() if isinstance(level, bool) else str(level)
