"""The page that compares the combinations of a grid: numbers as dots, texts as bars, one table."""

from collections import Counter
from dataclasses import dataclass
from statistics import mean, median

from papermill_chain.grid.combinations import Combination, Grid
from papermill_chain.reports.pages import filled
from papermill_chain.runs.figures import Figure, shortened
from papermill_chain.runs.manifest import GOOD

LEVELS = 12  # values of a parameter that are worth a line each
WIDTH, MARGIN, STEP = 640, 10, 9  # of a strip of dots, in its own units
TALLEST = 12  # dots on one another


@dataclass
class Level:
    """The combinations in which a parameter has one value: how many, and their mean."""

    value: str
    count: int
    mean: float
    place: float  # of the mean, on the strip


@dataclass
class Strip:
    """A figure that is a number, over all combinations that have it."""

    name: str
    count: int
    low: float
    middle: float
    high: float
    dots: list[tuple[float, float, str]]  # across, up, and of which combination
    height: float
    middle_place: float
    levels: dict[str, list[Level]]  # by parameter


@dataclass
class Bars:
    """A figure that is a text: how often each, the most frequent first."""

    name: str
    count: int
    bars: list[tuple[str, int, float]]  # the text, how often, its share of all


def page_of(grid: Grid, status: str) -> str:
    """The page as HTML that needs nothing but itself."""
    names, constant, strips, bars = figures_of(grid.combinations)
    return filled(
        "grid.html.j2",
        grid=grid,
        status=status,
        names=names,
        constant=constant,
        strips=strips,
        bars=bars,
        good=sum(one.result.status in GOOD for one in grid.combinations),
        failed=[one for one in grid.combinations if one.result.status == "failed"],
        has_runs=(grid.root / grid.experiments / "index.html").is_file(),
        short=shortened,
        width=WIDTH,
        margin=MARGIN,
    )


def figures_of(
    combinations: list[Combination],
) -> tuple[list[str], dict[str, Figure], list[Strip], list[Bars]]:
    """All names of figures; those that are the same in all; those that are numbers, and texts."""
    good = [one for one in combinations if one.result.status in GOOD]
    names = list(dict.fromkeys(name for one in good for name in one.result.figures))
    constant, strips, bars = dict[str, Figure](), list[Strip](), list[Bars]()
    for name in names:
        have = [(one, one.result.figures[name]) for one in good if name in one.result.figures]
        values = [value for _, value in have]
        numbers = [(one, figure.number) for one, figure in have if figure.number is not None]
        if len(values) > 1 and len({str(value) for value in values}) == 1:
            constant[name] = values[0]
        elif len(numbers) == len(values):
            strips.append(_strip(name, numbers))
        else:
            often = Counter(str(value) for value in values).most_common()
            bars.append(Bars(name, len(values), [(text, n, n / len(values)) for text, n in often]))
    return names, constant, strips, bars


def _strip(name: str, values: list[tuple[Combination, float]]) -> Strip:
    """A number of all combinations as dots on a line, piled where they would hide each other."""
    numbers = [number for _, number in values]
    low, high = min(numbers), max(numbers)

    def across(number: float) -> float:
        share = (number - low) / (high - low) if high > low else 0.5
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)

    piles = Counter(round(across(number) / STEP) for number in numbers)
    up = min(1, TALLEST / max(piles.values())) * STEP  # a high pile is pressed together
    height = round(max(piles.values()) * up + 2 * MARGIN, 1)
    dots, before = [], Counter[int]()
    for one, number in sorted(values, key=lambda pair: pair[1]):
        pile = round(across(number) / STEP)
        dots.append(
            (
                across(number),
                round(height - MARGIN - before[pile] * up, 1),
                f"{one.label}: {shortened(number)}",
            )
        )
        before[pile] += 1
    levels: dict[str, list[Level]] = {}
    for parameter in values[0][0].parameters:
        groups: dict[str, list[float]] = {}
        for one, number in values:
            groups.setdefault(one.parameters[parameter], []).append(number)
        if 1 < len(groups) <= LEVELS:
            levels[parameter] = [
                Level(value, len(group), mean(group), across(mean(group)))
                for value, group in groups.items()
            ]
    middle = median(numbers)
    return Strip(name, len(values), low, middle, high, dots, height, across(middle), levels)
