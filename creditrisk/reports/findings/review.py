"""What the review found: figures in, one sentence or list out."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

#: Below this share of resampled training sets the winner is one of several that are alike.
LOTTERY = 0.8


def subject(version: Mapping[str, Any], training: int, test: int) -> str:
    """Which version is reviewed, and on whom; ``version`` as in ``registration.json``."""
    return (
        f"**{version['model']} version {version['version']}**, {version['champion']}; "
        f"{training} applicants it was trained on and {test} it never saw."
    )


def winners(shares: "pd.Series[float]", champion: str) -> str:
    """How often each candidate wins over resampled applicants.

    Parameters
    ----------
    shares
        By model, share of the samples in which it is picked; see
        :class:`creditrisk.modelling.optimism.Selection`.
    champion
        The model that was registered.
    """
    own = float(shares.get(champion, 0.0))
    others = shares[shares.index != champion].sort_values(ascending=False, kind="stable")
    text = f"**{champion}** wins in {own:.0%} of the samples"
    if len(others):
        text += ", " + ", ".join(f"{name} in {share:.0%}" for name, share in others.items())
    if own < LOTTERY:
        return f"{text}. The choice is a lottery among models that are alike."
    return f"{text}. Other applicants would hardly have led to another model."


def headline(shares: "pd.Series[float]", champion: str) -> str:
    """The page in one sentence."""
    return f"{champion} wins in {float(shares.get(champion, 0.0)):.0%} of resampled training sets"
