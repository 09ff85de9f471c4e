"""Mix shift: ranking and cost if other applicants came, by giving the test rows other weights.

A mix says how the applicants might be spread over one column. Each applicant gets the weight that
turns the test set's spread into the mix; within a level or group nothing changes. It answers how
a model does if more of the applicants it ranks badly come, and not how it does if they behave
otherwise than those that were observed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract, Mix
from creditrisk.data.encoding import levels_with_missing
from creditrisk.data.quantities import places
from creditrisk.metrics.intervals import Interval, as_figures, effective_rows
from creditrisk.metrics.placements import weighted_auc
from creditrisk.metrics.ranking import FEW
from creditrisk.validation.segments import name_of, segments_of

#: Weights that are held in memory at once.
AT_ONCE = 2_000_000
#: Weights that are drawn at most, so that many applicants get fewer samples; but these at least.
MOST, FEWEST_DRAWS = 400_000_000, 200
FIGURES = ["roc_auc", "cost"]


@dataclass(frozen=True)
class Reweighting:
    """How the weights of one mix follow from who is in a sample."""

    name: str
    groups: np.ndarray  # (n,): the number of each applicant's group, -1 in none
    shares: np.ndarray | None  # (groups,), None: those of group 1 count twice

    def factors(self, counts: np.ndarray) -> np.ndarray:
        """What each group's applicants count, and last those in none.

        Parameters
        ----------
        counts
            Shape (samples, n): how often each applicant is in each sample, times what it counts.

        Returns
        -------
        ndarray, shape (samples, groups + 1)
        """
        if self.shares is None:
            return np.tile([1.0, 2.0, 1.0], (len(counts), 1))
        size = np.stack(
            [counts[:, self.groups == each].sum(axis=1) for each in range(len(self.shares))], axis=1
        )
        wanted = self.shares * size.sum(axis=1, keepdims=True)
        found = np.divide(wanted, size, out=np.zeros(size.shape), where=size > 0)
        return np.column_stack([found, np.ones(len(counts))])

    def weights(self, counts: np.ndarray) -> np.ndarray:
        """What each applicant counts in each sample, shape (samples, n)."""
        weights: np.ndarray = counts * self.factors(counts)[:, self.groups]
        return weights


@dataclass(frozen=True)
class MixShift:
    """Ranking and cost under each mix, and the worst over all of them."""

    stated: bool  # whether the contract names the mixes
    #: Indexed by mix: effective, the number of equally weighted applicants that would be as
    #: uncertain (Kish); roc_auc and cost per applicant, each with bootstrap bounds _low and _high.
    table: pd.DataFrame
    not_judged: dict[str, str]  # by mix, why
    lowest_auc: Interval | None  # None if no mix can be judged
    highest_cost: Interval | None

    @property
    def worst(self) -> dict[str, str]:
        """The name of the mix with the lowest ROC-AUC, and of that with the highest cost."""
        if self.table.empty:
            return {}
        return {"roc_auc": str(self.table.roc_auc.idxmin()), "cost": str(self.table.cost.idxmax())}

    @property
    def figures(self) -> dict[str, object]:
        """The worst over the mixes as JSON holds it."""
        ends = {"lowest_roc_auc": self.lowest_auc, "highest_cost": self.highest_cost}
        return as_figures(ends) | {
            "mixes_of_the_contract": self.stated,
            "worst": self.worst,
            "not_judged": self.not_judged,
        }


def mix_shift(
    y: np.ndarray,
    score: np.ndarray,
    approve: np.ndarray,
    applicants: pd.DataFrame,
    training: pd.DataFrame,
    contract: Contract,
    prices: tuple[float, float],
    *,
    draws: int,
    seed: int,
    weight: np.ndarray | None = None,
) -> MixShift:
    """Ranking and cost under the contract's mixes.

    If it states none, each level of a category that at least :data:`~.ranking.FEW` applicants have,
    and each half of a quantity, counts twice, one after the other.

    Parameters
    ----------
    y, score, approve
        Shape (n,): 1 = good and 0 = bad; the probability of good; who is approved.
    applicants, training
        Raw; quantities are halved at the training set's median.
    prices
        Cost of a bad approved and of a good declined.
    draws
        Bootstrap samples, each with as many good and bad applicants as ``y``; of very many
        applicants fewer are drawn.
    weight
        Shape (n,), how many applications each row stands for, of which a mix then is one; None:
        each counts once.

    Notes
    -----
    The bounds of the worst are quantiles of what is worst in each sample: whichever mix that is.
    They count that the worst of several was looked for, and so lie rather too low for ROC-AUC and
    too high for the cost.
    """
    y, generator = np.asarray(y), np.random.default_rng(seed)
    cost = np.where(y == 1, prices[1], prices[0]) * (np.asarray(approve) != (y == 1))
    asked = _stated(applicants, contract) or _doubled(applicants, training, contract)
    once = np.ones((1, len(y))) if weight is None else weight[None, :]
    reasons = {each.name: _too_thin(each, y, once) for each in asked}
    judged = [each for each in asked if not reasons[each.name]]
    not_judged = {name: reason for name, reason in reasons.items() if reason}
    columns = ["effective", *(f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high"))]
    if not judged:
        empty = pd.DataFrame(columns=columns, dtype=float)
        return MixShift(bool(contract.mixes), empty, not_judged, None, None)
    found = _figures(judged, once, y, score, cost)[:, :, 0]
    draws = min(draws, max(FEWEST_DRAWS, MOST // (len(y) * len(judged))))
    samples = _samples(y, draws, generator)
    drawn = np.concatenate(
        [_figures(judged, part * once, y, score, cost) for part in samples], axis=2
    )
    low, high = np.quantile(drawn, [0.025, 0.975], axis=2)
    rows = {
        each.name: [effective_rows(each.weights(once)[0]), *np.column_stack([f, l, h]).ravel()]
        for each, f, l, h in zip(judged, found, low, high, strict=True)
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    worst = found[:, 0].min(), found[:, 1].max()
    spread = drawn[:, 0].min(axis=0), drawn[:, 1].max(axis=0)
    lowest, highest = (
        Interval(float(each), *map(float, np.quantile(of_samples, [0.025, 0.975])))
        for each, of_samples in zip(worst, spread, strict=True)
    )
    return MixShift(bool(contract.mixes), table, not_judged, lowest, highest)


def _stated(applicants: pd.DataFrame, contract: Contract) -> list[Reweighting]:
    """The mixes of the contract."""
    return [
        Reweighting(mix.name, _groups(applicants, contract, mix), np.array(mix.shares))
        for mix in contract.mixes
    ]


def _groups(applicants: pd.DataFrame, contract: Contract, mix: Mix) -> np.ndarray:
    """Each applicant's level or group, by its number; -1 if the quantity is missing or a code."""
    field = contract[mix.field]
    values = applicants[field.name]
    if field.levels is not None:
        codes: np.ndarray = levels_with_missing(values, field).cat.codes.to_numpy()
        return codes
    found = places(values, field, np.array(mix.groups_up_to))
    return np.where(found < len(mix.shares), found, -1)


def _doubled(
    applicants: pd.DataFrame, training: pd.DataFrame, contract: Contract
) -> list[Reweighting]:
    """Each level and each half of a quantity that enough, and not all, applicants are in."""
    found = []
    fields = {field.title: field for field in contract.fields}
    for title, segment in segments_of(applicants, training, contract).items():
        for name, count in segment.value_counts(sort=False).items():
            if FEW <= count < len(segment):
                inside = (segment == name).to_numpy().astype(int)
                words = f"twice as many with {title} {name_of(name, fields[title])}"
                found.append(Reweighting(words, inside, None))
    return found


def _too_thin(mix: Reweighting, y: np.ndarray, once: np.ndarray) -> str:
    """Why these applicants cannot stand for a mix; empty if they can."""
    if mix.shares is not None:
        wanted = np.flatnonzero(mix.shares > 0)
        if absent := len(set(wanted) - set(mix.groups)):
            return f"{absent} of its levels or groups without a test applicant"
    weights = mix.weights(once)[0]
    worth = {word: effective_rows(weights[y == value]) for word, value in (("good", 1), ("bad", 0))}
    few = [f"{np.floor(10 * count) / 10:g} {word}" for word, count in worth.items() if count < FEW]
    return f"its applicants are worth only {' and '.join(few)}, not {FEW}" if few else ""


def _samples(y: np.ndarray, draws: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each applicant is in bootstrap samples drawn class by class, in parts."""
    step = max(1, AT_ONCE // len(y))
    for start in range(0, draws, step):
        counts = np.empty((min(step, draws - start), len(y)))
        for label in (0, 1):
            rows = np.flatnonzero(y == label)
            even = np.full(len(rows), 1 / len(rows))
            counts[:, rows] = generator.multinomial(len(rows), even, size=len(counts))
        yield counts


def _figures(
    mixes: Sequence[Reweighting],
    counts: np.ndarray,
    y: np.ndarray,
    score: np.ndarray,
    cost: np.ndarray,
) -> np.ndarray:
    """ROC-AUC and cost per applicant, shape (mixes, 2, samples)."""
    found = np.empty((len(mixes), len(FIGURES), len(counts)))
    for number, mix in enumerate(mixes):
        weights = mix.weights(counts)
        found[number, 0] = weighted_auc(y, score, weights)
        found[number, 1] = weights @ cost / weights.sum(axis=1)
    return found
