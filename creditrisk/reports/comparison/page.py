"""The comparison of two runs as one page that needs nothing but itself and runs no script."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from sklearn.metrics import roc_curve

from creditrisk.metrics.calibration import calibration_table
from creditrisk.metrics.ranking import too_few_to_judge
from creditrisk.reports.comparison.model_comparison import DRAWS, Comparison, compare, signed
from creditrisk.reports.comparison.run_results import RunRecord, read_results
from creditrisk.reports.comparison.swap_set import ALONE, NAMED, title, value_text
from creditrisk.reports.glossary import heading
from page_style.style import house_style
from work_units.whole_files import replacing

PAGES = Path(__file__).parent.parent / "pages"

#: At most so many turned decisions are listed one by one, and so many applicants drawn.
LISTED, DRAWN = 100, 1000

#: The side of a figure's plot, in its own units.
SIDE = 320


@dataclass(frozen=True)
class Curves:
    """What two models' scores of one sample, or of one each, look like; in a figure's units."""

    whose: str
    roc: list[str]  # points of a line
    points: list[tuple[float, float] | None]  # where the cut-off lies on it
    aucs: list[float]
    calibration: list[list[tuple[float, float, float, float]]]  # predicted, observed, low, high


def write_comparison(a: RunRecord, b: RunRecord, experiments: Path) -> tuple[Path, list[str]]:
    """Compare two runs on a page in a folder of runs; the page, and what it comes to."""
    comparison = compare(read_results(a), read_results(b))
    return write_page(comparison, page_of(comparison, experiments)), comparison.summary


def page_of(comparison: Comparison, experiments: str | Path = "experiments") -> Path:
    """Where the page belongs."""
    first, second = (run.record.folder.resolve().name for run in (comparison.a, comparison.b))
    return Path(experiments, "comparisons", f"{first}_{second}.html")


def write_page(comparison: Comparison, path: str | Path) -> Path:
    """Write the page; its folder is made if it is not there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as half:
        half.write_text(render(comparison, path.parent), "utf-8", "replace")
    return path


def render(comparison: Comparison, folder: Path) -> str:
    """The page as HTML, with links as they lead from a folder."""
    pages = Environment(
        loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters.update(
        heading=lambda name: Markup(heading(name).replace("_", " ")),
        figure=_figure,
        shown=lambda value, how: SHOWN[how](value),
        change=_change,
        signed=signed,
    )
    contract = comparison.b.contract or comparison.a.contract
    return pages.get_template("compare.html.j2").render(
        it=comparison,
        style=Markup(house_style() + (PAGES / "compare.css").read_text("utf-8")),
        links=[_links(run.record, folder) for run in (comparison.a, comparison.b)],
        index=_link(comparison.b.record.folder.parent.parent / "index.html", folder),
        curves=_curves(comparison),
        scatter=_scatter(comparison),
        side=SIDE,
        listed=LISTED,
        ways=list(ALONE.values()),
        named=NAMED,
        draws=DRAWS,
        title=lambda name: title(name, contract),
        value_text=lambda name, value: value_text(name, value, contract),
    )


def _link(file: Path, folder: Path) -> str | None:
    if not file.is_file():
        return None
    try:
        return quote(Path(os.path.relpath(file, folder)).as_posix())
    except ValueError:  # on another drive of Windows
        return None


def _links(run: RunRecord, folder: Path) -> dict[str, str]:
    """The reports of a run, by stage."""
    reports = {stage.name: stage.report for stage in run.stages if stage.report}
    found = {name: _link(run.folder / report, folder) for name, report in reports.items()}
    return {name: link for name, link in found.items() if link}


def _curves(comparison: Comparison) -> Curves | None:
    """On the applicants both know if they are enough, else each run's on its own."""
    a, b = comparison.a.scores, comparison.b.scores
    if a is None or b is None:
        return None
    samples = [(a.y, a.probability), (b.y, b.probability)]
    whose = "each run on its own test set"
    shared = [(each.y[rows], each.probability[rows]) for each, rows in zip((a, b), comparison.rows)]
    y = shared[0][0]
    if comparison.common and not too_few_to_judge(int((y == 1).sum()), int((y == 0).sum())):
        samples, whose = shared, f"both runs on the {len(y):,} applicants in both test sets"
    if any(len(set(y.tolist())) < 2 for y, _ in samples):
        return None
    cutoffs = comparison.cutoffs or (None, None)
    drawn = [roc_curve(y, score) for y, score in samples]
    return Curves(
        whose,
        roc=[_line(fpr, tpr) for fpr, tpr, _ in drawn],
        points=[_point(y, score, cutoff) for (y, score), cutoff in zip(samples, cutoffs)],
        aucs=[float(np.trapezoid(tpr, fpr)) for fpr, tpr, _ in drawn],
        calibration=[_calibration(y, score) for y, score in samples],
    )


def _line(x: np.ndarray, y: np.ndarray) -> str:
    """A line's points in a figure's units; those that fall together are drawn once."""
    places = dict.fromkeys(zip((x * SIDE).round(1).tolist(), ((1 - y) * SIDE).round(1).tolist()))
    return " ".join(f"{across},{down}" for across, down in places)


def _point(y: np.ndarray, score: np.ndarray, cutoff: float | None) -> tuple[float, float] | None:
    if cutoff is None:
        return None
    approved = score >= cutoff
    return _place(approved[y == 0].mean(), approved[y == 1].mean())


def _calibration(y: np.ndarray, score: np.ndarray) -> list[tuple[float, float, float, float]]:
    table = calibration_table(y, score, bins=5 if len(y) < 200 else 10)
    heights = (1 - table[["observed", "low", "high"]]) * SIDE
    across = (table.predicted * SIDE).round(1).tolist()
    return [(x, *ends) for x, ends in zip(across, heights.round(1).to_numpy().tolist())]


def _scatter(comparison: Comparison) -> dict[str, Any] | None:
    """Probabilities before and after, of those whose decision stays and of those it turns for."""
    a, b, rows = comparison.a.scores, comparison.b.scores, comparison.rows
    if a is None or b is None or not comparison.common or comparison.cutoffs is None:
        return None
    before, after = a.probability[rows[0]], b.probability[rows[1]]
    turned = (before >= comparison.cutoffs[0]) != (after >= comparison.cutoffs[1])
    stay = np.flatnonzero(~turned)
    stay = stay[:: max(1, -(-len(stay) // DRAWN))]
    return {
        "stay": [_place(x, y) for x, y in zip(before[stay], after[stay])],
        "turned": [
            (*_place(flip.before, flip.after), flip.good) for flip in comparison.flips[:DRAWN]
        ],
        "cutoffs": _place(*comparison.cutoffs),
    }


def _place(x: float, y: float) -> tuple[float, float]:
    return round(float(x) * SIDE, 1), round((1 - float(y)) * SIDE, 1)


def _figure(value: object) -> str:
    """A figure to four digits or the unit, or as it is if it is a word; nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 999.95 else f"{value:,.0f}"
    return _given(value)


def _given(value: object) -> str:
    """A parameter as it can be set again, without separators and to the last digit."""
    if value is None or isinstance(value, bool):
        return _figure(value)
    if isinstance(value, list):
        return ", ".join(map(_given, value)) or "none"
    return str(value) if value != "" else "empty"


def _change(difference: float | None) -> str:
    """A difference with its sign; what is nothing but rounding is no difference."""
    if difference is None:
        return ""
    if abs(difference) >= 999.5:
        return f"{difference:+,.0f}"
    return f"{difference:+.3g}" if abs(difference) > 1e-12 else "0"


def _hash(value: object) -> str:
    """A hash, short enough to be compared by eye; nothing as a dash."""
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    return _figure(value)


#: How the two sides of a fact are shown.
SHOWN = {"figure": _figure, "given": _given, "hash": _hash}
