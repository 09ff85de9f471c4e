"""The decision lab: a page on which the decision rule can be moved, and what it is made of.

The page counts in the reader's browser what its sliders change; it has to agree with
:func:`creditrisk.metrics.decision_rule.figures_at` to the last bit. ``y`` is 1 for a good and 0 for
a bad risk, and a score is the probability of good.
"""

import hashlib
import math
from base64 import b64encode
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from creditrisk.data.contract import Json
from creditrisk.metrics.costs import CUTOFFS
from creditrisk.metrics.decision_rule import LEAST, WITHIN, figures_at, wrong_decisions
from creditrisk.metrics.ranking import FEW
from page_style.style import house_style

PAGES = Path(__file__).with_name("pages")

#: How the page writes counts, shares, costs and probabilities, cut-offs and ratios.
FORMS = {
    "count": "{:,}",
    "share": "{:.1%}",
    "cost": "{:.3f}",
    "cutoff": "{:.2f}",
    "ratio": "{:.2f}",
}


def write_lab(
    path: str | Path, y: np.ndarray, score: np.ndarray, groups: dict[str, pd.Series], version: Json
) -> None:
    """Write the page that moves a version's decision rule over applicants it has not learned from.

    Parameters
    ----------
    groups
        As for :func:`figures_at`.
    version
        What ``registration.json`` says: model, version, champion, chain_run, cutoff and the costs.

    Notes
    -----
    The page holds scores, outcomes and groups of the applicants, sorted by score, and nothing else
    of theirs.
    """
    y, score = np.asarray(y), np.asarray(score, dtype=float)
    order = np.argsort(score, kind="stable")
    prices = version["cost_bad_accepted"], version["cost_good_rejected"]
    bad_approved, good_declined = wrong_decisions(y, score)
    rule = {"cutoff": version["cutoff"], "bad": prices[0], "good": prices[1]}
    data = {
        "score": score[order].tolist(),
        "good": "".join(map(str, y[order].tolist())),
        "rule": rule,
        "few": FEW,
        "least": LEAST,
        "within": WITHIN,
        "curve": {
            "cutoff": CUTOFFS.tolist(),
            "bad_approved": bad_approved.tolist(),
            "good_declined": good_declined.tolist(),
        },
        "groupings": [_grouping(name, group, order) for name, group in groups.items()],
    }
    now = figures_at(y, score, groups, version["cutoff"], prices)
    own_rate = round(100 * now["bad"] / now["applicants"], 1)
    limits = {
        "cutoff": (min(0.01, version["cutoff"]), max(0.99, version["cutoff"])),
        "price": max(20, *map(math.ceil, prices)),
        "rate": max(60, own_rate),
    }
    Path(path).write_text(
        page(
            "lab.html.j2",
            "lab.js",
            data=_json(data),
            now=now,
            rule=rule,
            version=version,
            limits=limits,
            own_rate=own_rate,
            both=bool(now["good"] and now["bad"]),
            few=FEW,
            least=LEAST,
        ),
        "utf-8",
    )


def about_weights(y: np.ndarray, weight: np.ndarray | None) -> str:
    """How the lab gets at figures of weighted applicants, as a further sentence; empty if none are.

    Parameters
    ----------
    y, weight
        Shape (n,): 1 = good and 0 = bad; how many applications each row stands for.
    """
    if weight is None:
        return ""
    bad_rate = np.average(np.asarray(y) == 0, weights=weight)
    return (
        f" Both count each row once. By their weights {bad_rate:.1%} of the applications are bad: "
        "with that bad rate set, the lab's costs and shares are those of the applications as far "
        "as weights follow from the outcome."
    )


def _grouping(name: str, group: pd.Series, order: np.ndarray) -> Json:
    levels = group.value_counts().index  # as in figures_at, ties in the applicants' own order
    codes = levels.get_indexer(group)[order]
    return {"name": name, "levels": levels.tolist(), "of": codes.tolist()}


def _json(data: Json) -> Markup:
    """Data as JSON that cannot end the element it stands in; NaN is an error."""
    return htmlsafe_json_dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)


def shown(value: float | None, form: str) -> str:
    """A figure as the page writes it, a dash if it is not defined."""
    return "–" if value is None else FORMS[form].format(value)


def page(template: str, script: str, **content: object) -> str:
    """A page with its style and script inside, and a policy that admits that script alone."""
    pages = Environment(
        loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters["shown"] = shown
    code = (PAGES / script).read_text("utf-8")
    digest = b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return pages.get_template(template).render(
        style=Markup(house_style()), script=Markup(code), script_hash=f"sha256-{digest}", **content
    )
