"""What the comparison of models found: figures in, one sentence or list out."""

from collections.abc import Mapping, Sequence

import pandas as pd

from creditrisk.metrics.costs import CutoffChoice
from creditrisk.metrics.intervals import Interval
from creditrisk.modelling.optimism import Selection, split_figures
from creditrisk.modelling.significance import UNCLEAR


def task(y: pd.Series, exclude: Sequence[str], trials: int) -> str:
    """Whom the models learn from, which columns they look at, and whether they search."""
    columns = (
        f"Left out of the features: {', '.join(exclude)}" if exclude else "All columns are used"
    )
    search = (
        f"Each model tries {trials} settings inside every fold"
        if trials
        else "No settings are searched for"
    )
    return f"{len(y)} applicants to learn from, {(y == 0).sum()} of them bad. {columns}. {search}."


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
        else "**No model is distinguishable from chance**: no column says anything about it."
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
    return f"{best.model} ranks best: {best.roc_auc:.3f} ± {best.roc_auc_sd:.3f}"


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
    named = "; ".join(f"{pair.model} over {pair.other} {pair.gained:+.3f}" for pair in real)
    return f"ROC-AUC gained by pair; significant: {named or 'none'}"


def champion_against(ours: pd.DataFrame) -> str:
    """What is known of the champion and the others; ``ours`` are the champion's pairs."""
    better = list(ours.other[ours.verdict == "better"])
    same = list(ours.other[ours.verdict == UNCLEAR])
    parts = [f"Better than {' and '.join(better)} beyond chance."] if better else []
    parts += [f"Not distinguishable on this data from {', '.join(same)}."] if same else []
    return " ".join(parts)


def champion(best: pd.Series, verdict: str, picked: Selection, models: int) -> str:
    """Who won, against whom, and what being picked is worth."""
    share = picked.shares.get(best.model, 0)
    return (
        f"**Champion: {best.model}**, by the highest mean ROC-AUC, {best.roc_auc:.3f}. "
        f"{verdict}\n\n"
        f"It is the best of {models}, picked by the figure that is quoted. Pooled over a whole "
        f"repeat the best ROC-AUC is {picked.picked:.3f}; judged by applicants who had no part in "
        f"the choice, the winner's is {picked.corrected}. Choosing among {models} adds about "
        f"{picked.optimism:.3f}. Drawn anew, the same model would win {share:.0%} of the time."
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
        f"and worse for {verdicts.count('worse')}; an inner fold holds {inner} applicants, "
        f"{round(inner * bad_share)} of them bad. Chosen on the whole training set:\n\n{chosen}"
    )


def cutoff(choice: CutoffChoice) -> str:
    """From which probability on to approve, and what that leads to."""
    low, high = choice.about_as_cheap
    outcome = f"{choice.approved:.0%} are approved"
    if choice.bad_among_approved is not None:
        outcome += f" and {choice.bad_among_approved:.0%} of those go bad"
    return (
        f"Theory says {choice.break_even:.2f}, the data {choice.cutoff:.2f}; cut-offs from "
        f"{low:.2f} to {high:.2f} cost about the same, within 0.02. At the cut-off {outcome}. "
        f"Cost per applicant: {choice.cost:.2f}; approving everybody "
        f"{choice.approving_everybody:.2f}, approving nobody {choice.approving_nobody:.2f}."
    )


def other_bad_rate(
    cutoff: float, bad_rate: float, real_bad_rate: float, probability: float, moved: float
) -> str:
    """What the cut-off means where fewer, or more, loans go bad than in this sample."""
    return (
        f"**Mind the bad rate.** {bad_rate:.0%} of this sample are bad. Where {real_bad_rate:.0%} "
        f"are, an applicant scored {cutoff:.2f} in this sample has a probability of good of "
        f"{probability:.3f}, and with the same costs approval would begin at a score of "
        f"{moved:.2f} (prior correction after Saerens)."
    )


def cost_of_leaving_out(audit: Mapping[str, Interval]) -> str:
    """What each set of protected columns is worth to the champion, one line each."""
    if not audit:
        return "The contract names no protected column that is still in."
    return "\n".join(
        f"- without **{name}**: ROC-AUC {gap.estimate:+.3f} ({gap.low:+.3f} to {gap.high:+.3f}), "
        f"{_verdict(gap)}"
        for name, gap in audit.items()
    )


def _verdict(gap: Interval) -> str:
    if gap.high < 0:
        return "worse"
    return "better" if gap.low > 0 else UNCLEAR


def summary(
    best: pd.Series,
    verdict: str,
    optimism: float,
    choice: CutoffChoice,
    audit: Mapping[str, Interval],
) -> str:
    """What the comparison found, one line a promise."""
    outcome = f"{choice.approved:.0%} approved, cost {choice.cost:.2f} per applicant"
    lines = [
        f"{headline(best)}; choosing it among the others adds about {optimism:.3f}.",
        f"**Significant or not**: {verdict or 'there is nothing to compare with.'}",
        f"**Approve from {choice.cutoff:.2f} on**: {outcome}.",
    ]
    free = [name for name, gap in audit.items() if gap.low <= 0 <= gap.high]
    if free:
        lines.append(f"**Leaving out {' or '.join(free)}** costs nothing that this data can show.")
    return "\n".join(f"- {line}" for line in lines)


def headline(best: pd.Series) -> str:
    """The comparison in one sentence; ``best`` is the champion's row of the results."""
    return (
        f"Champion: {best.model}, ROC-AUC {best.roc_auc:.3f} ± {best.roc_auc_sd:.3f} on "
        f"{best.folds:.0f} held-out folds"
    )
