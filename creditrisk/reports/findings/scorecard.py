"""What the scorecard beside the champion comes to: figures in, one sentence out."""

from collections.abc import Sequence

from creditrisk.metrics.intervals import Interval


def agreement(apart: float, applications: int, lead: Interval) -> str:
    """Whether query and model agree, and how the champion compares with its scorecard.

    Parameters
    ----------
    apart
        Largest difference of a probability between the two.
    lead
        ROC-AUC of the champion less that of the scorecard.
    """
    return (
        f"SQL and Python agree to {apart:.0e} on {applications:,} applications. "
        f"{lead_over_scorecard(lead)}"
    )


def lead_over_scorecard(lead: Interval) -> str:
    """How the champion ranks compared with its scorecard, by the difference of ROC-AUC."""
    if lead.low <= 0 <= lead.high:
        verdict = "not distinguishably better or worse"
    else:
        verdict = "better" if lead.low > 0 else "worse"
    return (
        f"On the unseen applicants the champion ranks {verdict} than the scorecard: ROC-AUC "
        f"gained {lead}."
    )


def rule(cutoff: float, points: float, reversed_titles: Sequence[str]) -> str:
    """From how many points on the scorecard approves, and which field's sign is reversed.

    Parameters
    ----------
    cutoff
        Probability of good from which on to approve.
    points
        The same on the scale of points.
    reversed_titles
        Of the fields whose points run against their weight of evidence.
    """
    text = (
        f"**Approve from {points:.0f} points on**, a probability of good of {cutoff:.2f}, which is "
        "the champion's cut-off; rounded points may turn a decision close to it."
    )
    if not reversed_titles:
        return f"{text} Every field's points rise with its weight of evidence."
    todo = "review or drop it" if len(reversed_titles) == 1 else "review or drop them"
    return (
        f"{text} The sign of {' and '.join(reversed_titles)} is reversed, points fall where the "
        f"weight of evidence rises: {todo}."
    )
