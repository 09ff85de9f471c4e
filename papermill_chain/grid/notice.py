"""What word of a grid says: how it ended, what failed, and the ends of what each figure came to."""

from collections.abc import Iterator
from pathlib import Path

from papermill_chain.grid.combinations import Combination, Grid
from papermill_chain.notices.message import MOST_FIGURES, Notice, short
from papermill_chain.runs.manifest import GOOD

MOST_FAILURES = 10  # combinations that are named


def notice_of_grid(grid: Grid, code: int, seconds: float, index: Path) -> Notice:
    """What is to be said of a grid that has ended with an exit code.

    Parameters
    ----------
    seconds : how long it took.
    index : the page of all runs.
    """
    results = [one.result for one in grid.combinations]
    failed = [one for one in grid.combinations if one.result.status == "failed"]
    good = sum(result.status in GOOD for result in results)
    status = {0: "succeeded", 1: "failed"}.get(code, "interrupted")
    if all(result.status == "up to date" for result in results):
        status = "up to date"
    reasons = [grid.trouble] if grid.trouble else []
    reasons += [f"{one.label} failed: {one.result.error}" for one in failed[:MOST_FAILURES]]
    if len(failed) > MOST_FAILURES:
        reasons.append(f"and {len(failed) - MOST_FAILURES} others failed")
    return Notice(
        grid.title,
        f"{good} of {len(results)} combinations have results{_failures(len(failed))}",
        "interrupted" if grid.trouble else status,
        index,
        reason="\n".join(map(short, reasons)),
        lines=[f"Grid {grid.id}: {status}", *list(_ends(grid.combinations))[:MOST_FIGURES]],
        grid={
            "id": grid.id,
            "combinations": len(results),
            "good": good,
            "failed": [one.label for one in failed],
        },
        report=grid.page,
        seconds=seconds,
    )


def _failures(count: int) -> str:
    return f", {count} failed" if count else ""


def _ends(combinations: list[Combination]) -> Iterator[str]:
    """Of each figure that differs, the lowest and the highest number, and who has them.

    Which end is the better one a chain does not say.
    """
    good = [one for one in combinations if one.result.status in GOOD]
    for name in dict.fromkeys(name for one in good for name in one.result.figures):
        figures = [(one.result.figures[name], one) for one in good if name in one.result.figures]
        numbers = [
            (figure.number, figure, one) for figure, one in figures if figure.number is not None
        ]
        if len(numbers) < len(figures) or len({number for number, *_ in numbers}) == 1:
            continue
        ends = [end(number for number, *_ in numbers) for end in (min, max)]
        parts = []
        for word, end in zip(("lowest", "highest"), ends, strict=True):
            (figure, one), *others = [(f, one) for number, f, one in numbers if number == end]
            also = f" and {len(others)} more" if others else ""
            parts.append(f"{word} {figure} with {one.label}{also}")
        yield short(f"{name}: {', '.join(parts)}")
