"""What the comparison of models found: figures in, one sentence or list out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from creditrisk.metrics.costs import CUTOFFS
from creditrisk.metrics.cutoff_choice import ABOUT_AS_CHEAP, CutoffChoice, CutoffOptimism
from creditrisk.metrics.intervals import Interval, effective_rows
from creditrisk.modelling.optimism import Selection, split_figures
from creditrisk.modelling.significance import UNCLEAR, SimplestChoice


def task(
    y: pd.Series, exclude: Sequence[str], trials: int, weight: np.ndarray | None = None
) -> str:
    """Whom the models learn from, which columns they look at, and whether they search."""
    columns = (
        f"Left out of the features: {', '.join(exclude)}" if exclude else "All columns are used"
    )
    search = (
        f"Each model tries {trials} settings inside every fold"
        if trials
        else "No settings are searched for"
    )
    learned = f"{len(y):,} applicants to learn from, {(y == 0).sum():,} of them bad"
    return f"{learned}{worth(weight)}. {columns}. {search}."


def worth(weight: np.ndarray | None) -> str:
    """What weighted rows are worth, to follow their number; empty without weights."""
    if weight is None:
        return ""
    return (
        f"; by their weights they stand for {weight.sum():,.0f} and are worth "
        f"{effective_rows(weight):,.0f} of equal weight"
    )


def above_chance(table: pd.DataFrame, chance: pd.DataFrame, good_share: float) -> str:
    """Whether anything can be learned at all.

    Parameters
    ----------
    table
        From :func:`~creditrisk.modelling.cross_validation.results`.
    chance
        From :func:`~creditrisk.modelling.significance.above_chance`.
    """
    better = int((chance.verdict == "better than chance").sum())
    verdict = (
        f"{better} of {len(chance)} models rank better than chance (corrected p < .05)."
        if better
        else "**No model is distinguishable from chance**: no column is shown to say anything."
    )
    return (
        f"Approving everybody: accuracy {good_share:.3f}, ROC-AUC one half. Best accuracy above: "
        f"{table.accuracy.max():.3f}; best ROC-AUC: {table.roc_auc[0]:.3f}. {verdict}"
    )


def too_good(roc_auc: float, limit: float) -> str:
    """A warning if a ROC-AUC is of the kind that only a leaked column explains; else empty."""
    if roc_auc < limit:
        return ""
    return (
        f"**Warning: ROC-AUC {roc_auc:.3f} is too good to be true.** Look for a column that is "
        "known only after the outcome; such a model fails on real applicants."
    )


def best_by_mean(best: pd.Series) -> str:
    """Which model ranks best; ``best`` is its row of the results."""
    return (
        f"{best.model} ranks best: mean {best.roc_auc:.3f}, SD of the folds {best.roc_auc_sd:.3f}"
    )


def single_splits(luck: pd.DataFrame) -> str:
    """How far single splits lie apart, and how often the second model leads.

    Parameters
    ----------
    luck
        From :func:`~creditrisk.modelling.optimism.split_luck`.
    """
    found = split_figures(luck)
    return (
        f"{' and '.join(luck.columns)} on {len(luck)} single splits: from {found['lowest']:.2f} "
        f"to {found['highest']:.2f}; {luck.columns[-1]} is ahead in {found['second_ahead']:.0%}"
    )


def range_of_splits(luck: pd.DataFrame) -> str:
    """How far single splits lie apart."""
    found = split_figures(luck)
    return f"One split gives anything from {found['lowest']:.2f} to {found['highest']:.2f}"


def real_differences(pairs: pd.DataFrame) -> str:
    """How many pairs of models differ beyond chance."""
    return f"{(pairs.verdict == 'better').sum()} of {len(pairs)} differences are significant"


def list_of_real_differences(pairs: pd.DataFrame) -> str:
    """The pairs that differ beyond chance, for those who cannot see the figure."""
    real = pairs[pairs.verdict == "better"].itertuples()
    named = "; ".join(f"{pair.model} over {pair.other} {pair.gained:+z.3f}" for pair in real)
    return f"ROC-AUC gained by pair; significant: {named or 'none'}"


def champion_against(ours: pd.DataFrame) -> str:
    """What is known of the champion and the others; ``ours`` are the champion's pairs."""
    better = list(ours.other[ours.verdict == "better"])
    same = list(ours.other[ours.verdict == UNCLEAR])
    parts = [f"Better than {' and '.join(better)} beyond chance."] if better else []
    parts += [f"Not distinguishable on this data from {', '.join(same)}."] if same else []
    return " ".join(parts)


def champion(best: pd.Series, mean: Interval, verdict: str, picked: Selection, models: int) -> str:
    """Who won, against whom, and what being picked is worth.

    Parameters
    ----------
    mean
        From :func:`~creditrisk.modelling.significance.mean_interval`.
    """
    share = picked.shares.get(best.model, 0)
    worth = f"makes about {picked.optimism:.3f} too high"
    if picked.optimism <= 0:
        worth = "is not shown to make too high"
    return (
        f"**Champion: {best.model}**, by the highest mean ROC-AUC, {mean}. "
        f"{verdict}\n\n"
        f"It is the best of {models}, picked by the figure that is quoted, which choosing among "
        f"them {worth}. What designing the recipe adds is not known. On "
        f"other draws of these applicants the same model would win {share:.0%} of the time."
    )


def held_out_scores(mean: Interval, picked: Selection) -> str:
    """Which of the champion's three held-out scores to quote, and whether they agree.

    Parameters
    ----------
    mean
        Over the folds, as :func:`champion` is given it.
    """
    expected = picked.corrected
    three = mean.estimate, picked.picked, expected.estimate
    text = f"**Of new applicants expect a ROC-AUC of {expected}.** "
    if max(three) - min(three) <= (expected.high - expected.low) / 2:
        return text + (
            "The three scores agree: they lie closer together than that interval reaches to "
            "either side."
        )
    return text + (
        "The three scores lie further apart than that interval reaches to either side: to quote "
        "the highest would promise too much."
    )


def simplest(found: SimplestChoice, champion: str) -> str:
    """What the one-standard-error rule would choose in the place of the champion."""
    if found.model == champion:
        return (
            f"No simpler model comes within one standard error ({found.error:.3f}) of the champion."
        )
    return (
        f"By the one-standard-error rule the choice would be **{found.model}**: the simplest model "
        f"within {found.error:.3f} of the best mean, with {found.roc_auc:.3f}."
    )


def reason(best: pd.Series, verdict: str) -> str:
    """Why the champion won, as it is recorded; ``verdict`` as :func:`champion_against` gives it."""
    return f"highest mean ROC-AUC over {best.folds:.0f} held-out folds. {verdict}".strip()


def search(gain: pd.DataFrame, settings: Mapping[str, object], inner: int, bad_share: float) -> str:
    """What searching for settings was worth, and what it chose on the whole training set.

    Parameters
    ----------
    gain
        From :func:`~creditrisk.modelling.refits.gained_by_search`.
    settings
        By model, what was chosen on the whole training set.
    inner, bad_share
        Applicants in an inner fold, and the share of bad ones.
    """
    if gain.empty:
        return "No search was made: every model has the settings it came with."
    verdicts = list(gain.verdict)
    chosen = "\n".join(f"- {name}: `{each or 'as it came'}`" for name, each in settings.items())
    return (
        f"The search is beyond chance better for {verdicts.count('better')} of {len(gain)} models "
        f"and worse for {verdicts.count('worse')}; an inner fold holds {inner:,} applicants, "
        f"{round(inner * bad_share)} of them bad. Chosen on the whole training set:\n\n{chosen}"
    )


def cutoff(choice: CutoffChoice, optimism: CutoffOptimism) -> str:
    """From which probability on to approve, and what that leads to."""
    (low, high), (most, least) = choice.about_as_cheap, choice.approved_about_as_cheap
    outcome = f"{choice.approved:.0%} are approved"
    if choice.bad_among_approved is not None:
        outcome += f" and {choice.bad_among_approved:.0%} of those go bad"
    return (
        f"Theory says {choice.break_even:.2f}, the data {choice.cutoff:.2f}; cut-offs from "
        f"{low:.2f} to {high:.2f} cost about the same, within {ABOUT_AS_CHEAP:.2f}, and between "
        f"them approvals go from {most:.0%} to {least:.0%}. At the cut-off {outcome}. "
        f"Cost per applicant: {choice.cost:.2f}; approving everybody "
        f"{choice.approving_everybody:.2f}, approving nobody {choice.approving_nobody:.2f}.\n\n"
        f"That cost is the lowest of {len(CUTOFFS)}. Chosen again on draws of these applicants, "
        f"the cheapest cut-off costs {optimism.in_bag:.2f} for those it was chosen by and "
        f"{optimism.out_of_bag:.2f} for the others; 95% of the choices lie between "
        f"{optimism.chosen[0]:.2f} and {optimism.chosen[1]:.2f}."
    )


def other_bad_rate(
    cutoff: float, bad_rate: float, real_bad_rate: float, probability: float, moved: float
) -> str:
    """What the cut-off means where fewer, or more, loans go bad than in this sample."""
    if real_bad_rate == bad_rate:
        return (
            f"**Mind the bad rate.** {bad_rate:.0%} of this sample are bad, and nothing says that "
            "another share is elsewhere; where it is, probabilities and cut-off have to be "
            "corrected (realBadRate of the contract)."
        )
    return (
        f"**Mind the bad rate.** {bad_rate:.0%} of this sample are bad. Where {real_bad_rate:.0%} "
        f"are, an applicant scored {cutoff:.2f} in this sample has a probability of good of "
        f"{probability:.3f}, and with the same costs approval would begin at a score of "
        f"{moved:.2f} (prior correction after Saerens)."
    )


def cost_of_leaving_out(audit: Mapping[str, Interval]) -> str:
    """What it costs the champion to do without protected columns, one line a set of them."""
    if not audit:
        return "The contract protects no column."
    return "\n".join(
        f"- without **{name}**: ROC-AUC {gap.estimate:+z.3f} "
        f"({gap.low:+z.3f} to {gap.high:+z.3f}), {_verdict(gap)}"
        for name, gap in audit.items()
    )


def _verdict(gap: Interval) -> str:
    if gap.high < 0:
        return "worse"
    return "better" if gap.low > 0 else UNCLEAR


def summary(
    best: pd.Series,
    mean: Interval,
    verdict: str,
    choice: CutoffChoice,
    optimism: CutoffOptimism,
    audit: Mapping[str, Interval],
) -> str:
    """What the comparison found, one line a promise."""
    outcome = (
        f"{choice.approved:.0%} approved, cost {choice.cost:.2f} per applicant "
        f"({optimism.out_of_bag:.2f} for applicants who had no part in choosing a cut-off)"
    )
    lines = [
        f"{headline(best, mean)}.",
        f"**Significant or not**: {verdict or 'there is nothing to compare with.'}",
        f"**Approve from {choice.cutoff:.2f} on**: {outcome}.",
    ]
    free = [name for name, gap in audit.items() if _verdict(gap) == UNCLEAR]
    dear = [name for name, gap in audit.items() if _verdict(gap) == "worse"]
    if free:
        lines.append(f"**Leaving out {' or '.join(free)}** costs nothing that this data can show.")
    if dear:
        lines.append(f"**Leaving out {' or '.join(dear)}** makes the ranking worse.")
    return "\n".join(f"- {line}" for line in lines)


def headline(best: pd.Series, mean: Interval) -> str:
    """The comparison in one sentence; ``best`` is the champion's row of the results."""
    return f"Champion: {best.model}, mean ROC-AUC {mean} over {best.folds:.0f} held-out folds"
