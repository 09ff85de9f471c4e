"""Tables of a report: the columns a reader asks for, with intervals in one cell."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from creditrisk.data.contract import Contract
from creditrisk.metrics.intervals import Interval
from creditrisk.metrics.ranking import MEASURES
from creditrisk.modelling.optimism import Selection
from creditrisk.reports.display import format_intervals, styled_table

ONE_LINE = {"white-space": "nowrap"}


def data_dictionary(contract: Contract) -> Styler:
    """The columns of the raw file: meaning, allowed values, may they be missing."""
    columns = {
        "column": [field.name for field in contract.columns],
        "meaning": [field.description for field in contract.columns],
        "allowed": [field.allowed for field in contract.columns],
        "may be missing": [field.if_missing for field in contract.columns],
    }
    wrapped = {"text-align": "left", "white-space": "normal"}
    return styled_table(pd.DataFrame(columns)).set_properties(None, **wrapped)


def comparison(results: pd.DataFrame, fit_seconds: Mapping[str, float]) -> Styler:
    """The models and their measures to three digits, with errors only if there are any.

    Parameters
    ----------
    results
        From :func:`creditrisk.modelling.cross_validation.results`.
    fit_seconds
        Mean seconds of one fit, by model.
    """
    shown = results[["model", *MEASURES]].assign(fit_seconds=results.model.map(dict(fit_seconds)))
    if results.error.any():
        shown["error"] = results.error
    return styled_table(shown, empty="").set_properties(["model"], **ONE_LINE)


def champion_pairs(pairs: pd.DataFrame) -> Styler:
    """What the champion gains over each other model, from its rows of the compared pairs."""
    columns = {
        "the champion against": pairs.other,
        "ROC-AUC gained": format_intervals(pairs.gained, pairs.low, pairs.high, "{:+z.3f}"),
        "p, corrected": pairs.p_corrected.map("{:.3f}".format),
        "verdict": pairs.verdict,
    }
    return styled_table(pd.DataFrame(columns))


def held_out_scores(mean: Interval, picked: Selection) -> Styler:
    """Three ways to count how the champion ranks applicants that it was not fitted on.

    Parameters
    ----------
    mean
        Over the folds, from :func:`creditrisk.modelling.significance.mean_interval`.
    picked
        From :func:`creditrisk.modelling.optimism.selection`.
    """
    columns = {
        "held-out ROC-AUC": [
            "mean over the folds",
            "the folds of a repeat taken together",
            "corrected for the choice",
        ],
        "figure": [str(mean), f"{picked.picked:.3f}", str(picked.corrected)],
        "what it estimates": [
            "ranking among the applicants of one fold, all scored by the same fit",
            "ranking among all applicants, scored by all fits; of the best model by it",
            "the same, by applicants who took no part in the choice of the best model",
        ],
        "when to quote it": [
            "beside other models, which had the same folds",
            "beside the cut-off and the gate's rules, which use these scores",
            "as what to expect of new applicants",
        ],
    }
    wrapped = {"text-align": "left", "white-space": "normal"}
    return styled_table(pd.DataFrame(columns)).set_properties(None, **wrapped)


def band_names(bands: pd.DataFrame) -> list[str]:
    """The score bands by the probabilities they hold and how many applicants are in each."""
    return [
        f"{band.score_from:.2f} to {band.score_to:.2f}  (n = {band.applicants:,})"
        for band in bands.itertuples()
    ]


def score_bands(bands: pd.DataFrame) -> Styler:
    """Bad loans by score band, and how much of all bad and all good is passed by then.

    Parameters
    ----------
    bands
        From :func:`creditrisk.metrics.ranking.score_bands`.
    """
    columns = {
        "probability of good": band_names(bands),
        "bad": bands.bad,
        "bad, so far": bands.bad_so_far.map("{:.0%}".format),
        "good, so far": bands.good_so_far.map("{:.0%}".format),
    }
    return styled_table(pd.DataFrame(columns))


def confusion(y: np.ndarray, approve: np.ndarray) -> Styler:
    """How many good and bad applicants are approved and declined.

    Parameters
    ----------
    y
        Shape (n,), 1 = good and 0 = bad.
    approve
        Shape (n,), True where the application is approved.
    """
    good, approved = np.asarray(y) == 1, np.asarray(approve, dtype=bool)
    columns = {
        "outcome": ["good", "bad"],
        "approved": [int((good & approved).sum()), int((~good & approved).sum())],
        "declined": [int((good & ~approved).sum()), int((~good & ~approved).sum())],
    }
    return styled_table(pd.DataFrame(columns))


def segments(found: pd.DataFrame) -> Styler:
    """Ranking and calibration by segment, ``found`` by ``segments.in_words``."""
    ranked = format_intervals(found.roc_auc, found.low, found.high)
    columns = {
        "column": found.index.get_level_values(0),
        "segment": found.index.get_level_values(1),
        "applicants": found.applicants.array,
        "bad": found.bad.array,
        "ROC-AUC": [auc or note for auc, note in zip(ranked, found.note, strict=True)],
        "predicted": found.predicted.array,
        "observed": found.observed.array,
    }
    names = ["column", "ROC-AUC"]
    return styled_table(pd.DataFrame(columns)).set_properties(names, **ONE_LINE)


def gate(rules: pd.DataFrame) -> Styler:
    """The rules of the promotion gate, ``rules`` by ``gate.table``; long texts are wrapped."""
    wrapped = {"text-align": "left", "white-space": "normal"}
    signs = {"passed": "✓", "warning": "!", "stop": "✕"}
    marked = [f"{signs.get(verdict, '')} {verdict}".strip() for verdict in rules.verdict]
    return styled_table(rules.assign(verdict=marked)).set_properties(None, **wrapped)


def mixes(found: pd.DataFrame) -> Styler:
    """Ranking and cost by mix, ``found`` of :class:`creditrisk.validation.gate.mixes.MixShift`."""
    columns = {
        "mix": found.index,
        "worth": found.effective.round().astype(int).array,
        "ROC-AUC": format_intervals(found.roc_auc, found.roc_auc_low, found.roc_auc_high),
        "cost per applicant": format_intervals(found.cost, found.cost_low, found.cost_high),
    }
    return styled_table(pd.DataFrame(columns)).set_properties(["mix"], **ONE_LINE)


def checks(made: pd.DataFrame) -> Styler:
    """The checks of a review, ``made`` by ``checks.table``; long texts are wrapped."""
    wrapped = {"text-align": "left", "white-space": "normal"}
    signs = {"passed": "✓", "failed": "✕"}
    marked = [f"{signs.get(verdict, '')} {verdict}".strip() for verdict in made.verdict]
    return styled_table(made.assign(verdict=marked)).set_properties(None, **wrapped)


def slices(found: pd.DataFrame) -> Styler:
    """Segments in which the model errs most: what the search found, and what the test rows say.

    Parameters
    ----------
    found
        Of :class:`creditrisk.validation.slices.Slices`; not empty.
    """

    def shares(before: str) -> list[str]:
        both = found[[f"{before}predicted", f"{before}observed"]].to_numpy()
        return ["" if np.isnan(pair).any() else "{:.0%}, {:.0%}".format(*pair) for pair in both]

    columns = {
        "segment": found.segment,
        "training": found.applicants,
        "shares": shares(""),
        "excess": found.excess,
        "test": found.test_applicants,
        "test_shares": shares("test_"),
        "test_excess": found.test_excess,
        "p_of_found": found.p_corrected,
        "verdict": found.verdict,
    }
    wrapped = {"text-align": "left", "white-space": "normal"}
    return styled_table(pd.DataFrame(columns), empty="").set_properties(["segment"], **wrapped)


def fairness(groups: pd.DataFrame) -> Styler:
    """Decisions, errors, ranking and calibration by group.

    Parameters
    ----------
    groups
        From :func:`creditrisk.validation.fairness.disparity.audit`; not empty.
    """

    def between(name: str, form: str) -> list[str]:
        return format_intervals(groups[name], groups[f"{name}_low"], groups[f"{name}_high"], form)

    columns = {
        "group": groups.index.get_level_values(1),
        "in all": groups.applicants.array,
        "bad": groups.bad.array,
        "approved": between("approved", "{:.0%}"),
        "good approved": between("tpr", "{:.0%}"),
        "bad approved": between("fpr", "{:.0%}"),
        "ROC-AUC": between("roc_auc", "{:.2f}"),
        "predicted": groups.predicted.array,
        "observed good": between("observed", "{:.0%}"),
    }
    return styled_table(pd.DataFrame(columns)).set_properties(["group"], **ONE_LINE)


def flips(found: pd.DataFrame) -> Styler:
    """Decisions that turn with a protected value, ``found`` by ``fairness.flips.flips``."""
    columns = {
        "column": found.column,
        "as if": found.to,
        "applicants": found.applicants,
        "flipped": format_intervals(found.share, found.low, found.high, "{:.1%}"),
        "to approved": found.to_approved,
        "mean_change": format_intervals(found.mean_change, found.mean_low, found.mean_high),
        "largest_change": found.largest_change,
    }
    return styled_table(pd.DataFrame(columns)).set_properties(["as if"], **ONE_LINE)


def parity(found: pd.DataFrame) -> Styler:
    """Differences of approval, ``found`` by ``fairness.parity.conditional_parity``."""
    odds = format_intervals(found.odds_ratio, found.odds_low, found.odds_high, "{:.2f}")
    columns = {
        "group": found.group,
        "against": found.against,
        "as it is": found.raw.map("{:+z.3f}".format),
        "within strata": format_intervals(found.difference, found.low, found.high, "{:+z.3f}"),
        "odds_ratio": odds,
        "p_of_all": found.p_corrected,
        "strata": found.strata,
    }
    names = ["group", "against"]
    return styled_table(pd.DataFrame(columns), empty="").set_properties(names, **ONE_LINE)


def intersections(found: pd.DataFrame) -> Styler:
    """Approval where groups meet, ``found`` by ``fairness.intersections.intersections``."""
    columns = {
        "group": found.group,
        "applicants": found.applicants,
        "approved": format_intervals(found.approved, found.low, found.high, "{:.0%}"),
        "others approved": found.others.map("{:.0%}".format),
        "ratio": found.ratio,
        "p_of_all": found.p_corrected,
    }
    return styled_table(pd.DataFrame(columns), empty="").set_properties(["group"], **ONE_LINE)


def recourse(found: pd.DataFrame) -> Styler:
    """Recourse by group, ``found`` by ``recourse.by_group``."""

    def between(name: str, form: str) -> list[str]:
        return format_intervals(found[name], found[f"{name}_low"], found[f"{name}_high"], form)

    columns = {
        "group": found.index.get_level_values(1),
        "declined": found.declined.array,
        "with recourse": between("share", "{:.0%}"),
        "columns changed": between("columns", "{:.2f}"),
    }
    return styled_table(pd.DataFrame(columns)).set_properties(["group"], **ONE_LINE)


def rows(frame: pd.DataFrame, index: str = "") -> Styler:
    """A frame as it is, its index as the first column, named so; a gap is "missing"."""
    called = f"{index} (rows)" if index in frame else index  # a column may have any name
    named = frame.rename_axis(called).reset_index() if index else frame
    return styled_table(named.rename(columns=str))


def by_level(risk: pd.DataFrame, title: str) -> Styler:
    """Bad rate and evidence of each level, ``risk`` by ``weight_of_evidence.risk_by_level``."""
    return rows(risk[["applicants", "bad_rate", "woe", "iv"]], title)
