"""A key figure of a run as data: a number with its interval and unit, or a text."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any, TypeGuard

#: The type of output by which a notebook hands over its headline and its key figures.
HEADLINE = "application/vnd.chain.headline+json"
DECIMALS_OF_INTERVALS = 3
MOST_DECIMALS = 6  # of a difference


@dataclass(frozen=True)
class Figure:
    """A number, with the ends of its interval and its unit where it has them; or a text."""

    value: float | str
    low: float | None = None
    high: float | None = None
    unit: str = ""

    @property
    def number(self) -> float | None:
        """The value if it is a number, else None."""
        return float(self.value) if _is_number(self.value) else None

    def __str__(self) -> str:
        """The figure as it is shown: with its interval to three decimals, else to four digits."""
        shown = shortened(self.value)
        if not isinstance(self.value, str) and self.low is not None and self.high is not None:
            value, low, high = (
                f"{each:.{DECIMALS_OF_INTERVALS}f}" for each in (self.value, self.low, self.high)
            )
            shown = f"{value} ({low} to {high})"
        return f"{shown} {self.unit}".rstrip()

    @property
    def decimals(self) -> int:
        """The decimals that are shown of a number."""
        if isinstance(self.value, str):
            return 0
        if self.low is not None and self.high is not None:
            return DECIMALS_OF_INTERVALS
        exponent = Decimal(f"{self.value:.4g}").as_tuple().exponent
        return min(max(0, -int(exponent)), MOST_DECIMALS)


def read_figures(recorded: Any) -> dict[str, Figure]:
    """Figures by name, as a notebook or a manifest has them: as objects or as bare values.

    What is not a finite number or a text is left out or becomes a text.

    Raises
    ------
    TypeError, ValueError
        If these are not names with values.
    """
    named = dict(recorded or {})
    figures = {str(name): _read_figure(each) for name, each in named.items()}
    return {
        name: figure
        for name, figure in figures.items()
        if not isinstance(figure.value, float) or isfinite(figure.value)
    }


def shortened(value: float | str) -> str:
    """A fraction to four digits, from ten thousand on to the last whole; a text as it is."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else value


def difference(before: Figure, now: Figure) -> str:
    """By how much a measure has changed, to as many decimals as are shown of it.

    Empty for texts, for whole numbers, which mostly count or name, and between units.
    """
    old, new = before.number, now.number
    whole = isinstance(before.value, int) and isinstance(now.value, int)
    if old is None or new is None or whole or before.unit != now.unit:
        return ""
    # 0.757 to 0.768 is +0.011, not +0.01100000000000001
    return f"{new - old:+.{max(before.decimals, now.decimals)}f}".replace("-", "−")


def _read_figure(recorded: Any) -> Figure:
    if not isinstance(recorded, Mapping):
        recorded = {"value": recorded}
    value, low, high = (recorded.get(name) for name in ("value", "low", "high"))
    return Figure(
        value if isinstance(value, int | float) and not isinstance(value, bool) else str(value),
        low if _is_number(low) else None,
        high if _is_number(high) else None,
        str(recorded.get("unit") or ""),
    )


def _is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300
