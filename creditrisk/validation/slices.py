"""A search for segments of up to two columns in which the model errs most, and its confirmation.

Whoever looks through hundreds of segments finds some in which the model does badly by chance. So
they are searched for on the held-out scores of the training set, and the few that are found are
judged by the test rows, which took no part, with p-values corrected for their number.

The error is the log loss beyond the one that the scores imply if they are right: of an applicant
with the probability p of good and the outcome y it is -(y - p) logit(p), with the mean 0 and the
variance p (1 - p) logit(p)². It is large where confident scores are wrong. Scores that are too
extreme or too timid everywhere are first corrected by the line of their recalibration, so that the
same fault, which the calibration shows, is not found again in every segment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import levels_with_missing
from creditrisk.data.quantities import edges_at, group_names, in_groups
from creditrisk.metrics.calibration import CalibrationLine, calibration_line
from creditrisk.metrics.ranking import FEW
from creditrisk.modelling.significance import holm
from creditrisk.validation.segments import name_of

#: Segments that are judged by the test rows, at most, and how far beyond chance the search must
#: have found them, in standard errors.
MOST, WORTH_A_LOOK = 5, 2.0
#: Two segments are the same finding if they share at least this part of their applicants.
ALIKE = 0.5
#: Fewer applicants than this are no segment, however few there are in all; nor is one in which
#: fewer test rows than that are to be expected, which could not confirm it.
SMALLEST, ON_TEST = 30, 20
#: Up to so many applicants a p-value is simulated, with so many draws; beyond it is the normal one.
SIMULATED, DRAWS = 500, 10_000

CONFIRMED, UNCONFIRMED, TOO_FEW = "confirmed", "not confirmed", "too few to confirm"
FIGURES = ["applicants", "predicted", "observed", "excess"]

#: The level or group of one column, or of two, by their names and numbers.
Key = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Sample:
    """Applicants who took no part in the fit of the models that scored them."""

    applications: pd.DataFrame  # raw, (n, columns of an application)
    y: np.ndarray  # (n,), 1 = good and 0 = bad
    score: np.ndarray  # (n,), probability of good


@dataclass(frozen=True)
class Slices:
    """What a search for segments has found, and what the test rows say to it."""

    searched: int  # segments that were large enough to be looked at
    smallest: int  # applicants in the smallest that would have been
    #: One row a segment that was found, the clearest first: segment, applicants, predicted and
    #: observed share of good, excess (mean log loss beyond the expected one) and z of the held-out
    #: scores; test_applicants, test_predicted, test_observed, test_excess, p, p_corrected (Holm)
    #: and verdict of the test rows. What is not defined is NaN.
    found: pd.DataFrame

    @property
    def confirmed(self) -> pd.DataFrame:
        """The rows of the segments that the test rows confirm."""
        return self.found[self.found.verdict == CONFIRMED]


def find_slices(
    training: Sample, test: Sample, contract: Contract, *, share: float, seed: int
) -> Slices:
    """Search for the segments in which the model errs most, and judge them by the test rows.

    Segments are the levels of a category, the thirds of a quantity, cut on ``training``, missing
    values and special codes, and what two of these have in common.

    Parameters
    ----------
    training
        With held-out scores.
    share
        Of the applicants, in the smallest segment that is looked at.
    seed
        Of the simulated p-values.
    """
    line = calibration_line(training.y, training.score)
    groups = _groups(training.applications, training.applications, contract)
    least = max(share, ON_TEST / len(test.y))
    smallest = max(SMALLEST, int(np.ceil(least * len(training.y))))
    searched, candidates = 0, []
    for keys, z in _z_by_segment(groups, *_errors(training, line), smallest):
        searched += len(z)
        candidates += [(float(each), keys[at]) for at, each in z.items() if each >= WORTH_A_LOOK]
    chosen: dict[Key, np.ndarray] = {}
    rows = []
    for z, key in sorted(candidates, key=lambda candidate: -candidate[0]):
        inside = _inside(groups, key)
        if any(
            (inside & other).sum() >= ALIKE * (inside | other).sum() for other in chosen.values()
        ):
            continue
        chosen[key] = inside
        rows.append({"segment": _named(key, groups, contract), **_figures(training, line, inside)})
        rows[-1]["z"] = z
        if len(chosen) == MOST:
            break
    there = _groups(test.applications, training.applications, contract)
    masks = [_inside(there, key) for key in chosen]
    found = pd.DataFrame(rows, columns=["segment", *FIGURES, "z"])
    return Slices(searched, smallest, found.join(_confirmation(test, line, masks, seed)))


def _errors(sample: Sample, line: CalibrationLine) -> tuple[np.ndarray, np.ndarray]:
    """Each applicant's log loss beyond the expected one (n,), and its variance (n,)."""
    p = _recalibrated(sample.score, line)
    odds = logit(p)
    return -(sample.y - p) * odds, p * (1 - p) * odds**2


def _recalibrated(score: np.ndarray, line: CalibrationLine) -> np.ndarray:
    """Probabilities corrected by the line, if there is one."""
    odds = logit(np.clip(score, 1e-6, 1 - 1e-6))
    if line.slope is None or line.intercept is None:
        return np.asarray(expit(odds))
    return np.asarray(expit(line.intercept.estimate + line.slope.estimate * odds))


def _groups(
    applications: pd.DataFrame, training: pd.DataFrame, contract: Contract
) -> dict[str, pd.Categorical]:
    """The level, third or state of each application, by the name of the column."""
    found = {
        field.name: levels_with_missing(applications[field.name], field).array
        for field in contract.categories
    }
    for field in contract.numbers:
        edges = edges_at(training[field.name], field, np.array([1, 2]) / 3)
        names = group_names(edges, field)
        found[field.name] = in_groups(applications[field.name], field, edges, names).array
    return found


def _z_by_segment(
    groups: Mapping[str, pd.Categorical], wrong: np.ndarray, variance: np.ndarray, smallest: int
) -> Iterator[tuple[dict[int, Key], "pd.Series[float]"]]:
    """For each column and each two, the large segments' errors in standard errors, by their cell.

    Two columns have a cell for each level of the one and of the other.
    """
    for names in [*combinations(groups, 1), *combinations(groups, 2)]:
        shape = tuple(len(groups[name].categories) for name in names)
        codes = [groups[name].codes.astype(np.int64) for name in names]
        cell = np.ravel_multi_index(codes, shape)
        size = np.bincount(cell)
        total, error = np.bincount(cell, wrong), np.sqrt(np.bincount(cell, variance))
        large = np.flatnonzero((size >= smallest) & (error > 0))
        levels = zip(*np.unravel_index(large, shape), strict=True)
        keys = {
            int(at): tuple(zip(names, map(int, each), strict=True))
            for at, each in zip(large, levels, strict=True)
        }
        yield keys, pd.Series(total[large] / error[large], large)


def _inside(groups: Mapping[str, pd.Categorical], key: Key) -> np.ndarray:
    """Who is in a segment, shape (n,), bool."""
    found = np.ones(len(groups[key[0][0]]), dtype=bool)
    for name, code in key:
        found &= groups[name].codes == code
    return found


def _named(key: Key, groups: Mapping[str, pd.Categorical], contract: Contract) -> str:
    parts = []
    for name, code in key:
        field, level = contract[name], groups[name].categories[code]
        parts.append(f"{field.title} {name_of(level, field)}")
    return ", ".join(parts)


def _figures(sample: Sample, line: CalibrationLine, inside: np.ndarray) -> dict[str, float]:
    """The figures of those in a segment, by the names in :data:`FIGURES`; NaN of nobody."""
    if not inside.any():
        return dict(zip(FIGURES, [0, np.nan, np.nan, np.nan], strict=True))
    wrong = _errors(sample, line)[0][inside]
    shares = sample.score[inside].mean(), sample.y[inside].mean()
    figures = int(inside.sum()), *map(float, shares), float(wrong.mean())
    return dict(zip(FIGURES, figures, strict=True))


def _confirmation(
    test: Sample, line: CalibrationLine, masks: list[np.ndarray], seed: int
) -> pd.DataFrame:
    """What the test rows say to each segment, one row a mask."""
    figures = pd.DataFrame([_figures(test, line, inside) for inside in masks], columns=FIGURES)
    table = figures.add_prefix("test_")
    generator = np.random.default_rng(seed)
    table["p"] = [
        _p_value(test, line, inside, generator) if inside.sum() >= FEW else np.nan
        for inside in masks
    ]
    judged = table.p.notna()
    table["p_corrected"] = table.p
    table.loc[judged, "p_corrected"] = holm(table.p[judged].to_numpy())
    verdict = np.where(table.p_corrected < 0.05, CONFIRMED, UNCONFIRMED)
    return table.assign(verdict=np.where(judged, verdict, TOO_FEW))


def _p_value(
    test: Sample, line: CalibrationLine, inside: np.ndarray, generator: np.random.Generator
) -> float:
    """The chance of an error at least as large if the scores are right: one-sided."""
    wrong, variance = (part[inside] for part in _errors(test, line))
    if len(wrong) > SIMULATED:
        return float(stats.norm.sf(wrong.sum() / np.sqrt(variance.sum())))
    p = _recalibrated(test.score[inside], line)
    drawn = generator.random((DRAWS, len(p))) < p
    # a rounding error must not make an equal sum a smaller one
    larger = int(((p - drawn) @ logit(p) >= wrong.sum() - 1e-9).sum())
    return (1 + larger) / (1 + DRAWS)
