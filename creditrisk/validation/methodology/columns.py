"""Checks of the columns: what gives the outcome away, what says nothing, what names a row."""

import numpy as np
import pandas as pd
from scipy import stats

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import levels_with_missing
from creditrisk.data.fields import Field
from creditrisk.data.quantities import as_quantity, edges_at, places
from creditrisk.metrics.intervals import Interval, as_figures, share_interval
from creditrisk.metrics.ranking import FEW, auc_interval
from creditrisk.validation.methodology.checks import Check, Verdict, verdict_of

#: Parts of which each is judged by the shares of good in the others, and groups of a quantity.
PARTS, GROUPS = 5, 20
#: Missing values give an outcome away if beyond doubt so many of their rows have it, and of all
#: rows no more than so many.
ALL_BUT_ALL, OF_ALL = 0.95, 0.9
#: An identifier has so many distinct values for its rows, or goes so strictly with their order.
DISTINCT, IN_ORDER = 0.95, 0.95


def single_columns(
    training: pd.DataFrame, y: np.ndarray, contract: Contract, seed: int
) -> dict[str, Interval]:
    """The ROC-AUC of each column on its own, by its name, the highest first.

    A level, or one of twenty groups of a quantity, scores as the share of good in it among the
    other four fifths of the rows, so that a column of many levels is not flattered. A column
    of which the outcome goes up and down is found like any other.

    Parameters
    ----------
    training
        Raw, shape (n, columns of an application).
    y
        Shape (n,), 1 = good and 0 = bad; at least two of each.
    seed
        Of the parts.
    """
    y = np.asarray(y)
    parts = np.random.default_rng(seed).permutation(np.arange(len(y)) % PARTS)
    found = {
        field.name: auc_interval(y, _shares_of_good(_groups(training, field), y, parts))
        for field in contract.fields
    }
    return dict(sorted(found.items(), key=lambda each: -each[1].estimate))


def _groups(frame: pd.DataFrame, field: Field) -> np.ndarray:
    """The level, group or state of each row, as a number."""
    column = frame[field.name]
    if field.levels is not None:
        codes: np.ndarray = levels_with_missing(column, field).cat.codes.to_numpy()
        return codes
    return places(column, field, edges_at(column, field, np.arange(1, GROUPS) / GROUPS))


def _shares_of_good(groups: np.ndarray, y: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Of each row, the share of good in its group in the other parts, with one average row more."""
    score, size = np.empty(len(y)), int(groups.max()) + 1
    for part in range(PARTS):
        inside, outside = parts == part, parts != part
        rows = np.bincount(groups[outside], minlength=size)
        good = np.bincount(groups[outside], y[outside], minlength=size)
        score[inside] = ((good + y[outside].mean()) / (rows + 1))[groups[inside]]
    return score


def no_leak(alone: dict[str, Interval], contract: Contract, limit: float) -> Check:
    """Whether a single column ranks applicants better than any honest one does.

    Parameters
    ----------
    alone
        From :func:`single_columns`; not empty.
    limit
        The ROC-AUC from which on a column is suspected.
    """
    suspects = {name: auc for name, auc in alone.items() if auc.estimate >= limit}
    shown = suspects or dict(list(alone.items())[:1])
    figure = "; ".join(f"ROC-AUC of {contract[name].title} {auc}" for name, auc in shown.items())
    why = (
        f"A column that alone has a ROC-AUC of {limit} or more was mostly filled in after the "
        "outcome was known."
    )
    values = as_figures({f"roc_auc_of_{name}": auc for name, auc in shown.items()})
    values |= {"suspects": len(suspects)}
    return Check("no column gives the outcome away", verdict_of(not suspects), figure, why, values)


def no_telling_gaps(training: pd.DataFrame, y: np.ndarray, contract: Contract) -> Check:
    """Whether a value is missing where the outcome is the same for nearly all."""
    name, y = "no gap gives the outcome away", np.asarray(y)
    why = (
        f"A gap that beyond doubt goes with one outcome in {ALL_BUT_ALL:.0%} of its rows was "
        "mostly left, or filled, after the outcome was known."
    )
    found: list[tuple[bool, float, str]] = []
    for field in contract.fields:
        gap = training[field.name].isna().to_numpy()
        if gap.sum() < FEW:
            continue
        for value, word in ((1, "good"), (0, "bad")):
            share = share_interval((y[gap] == value).sum(), gap.sum())
            suspect = bool(share.low >= ALL_BUT_ALL and (y == value).mean() <= OF_ALL)
            text = f"{field.title} missing: {share.estimate:.1%} of {gap.sum():,} {word}"
            found.append((suspect, share.estimate, text))
    if not found:
        return Check(name, Verdict.NOT_JUDGED, f"no column with {FEW} gaps", why)
    found.sort(reverse=True)
    suspects = sum(suspect for suspect, _, _ in found)
    figure = "; ".join(text for _, _, text in found[: max(1, suspects)])
    values = {"largest_share": found[0][1], "suspects": suspects}
    return Check(name, verdict_of(not suspects), figure, why, values)


def no_constants(training: pd.DataFrame, contract: Contract) -> Check:
    """Whether a column has the same value in every training row."""
    counts = training.nunique(dropna=False)
    constant = [contract[name].title for name in counts.index[counts <= 1]]
    figure = ", ".join(constant) or f"none of {len(counts)} columns"
    why = "A column that never varies is mostly a mistake of the extract; nothing is learned of it."
    values = {"constant": len(constant)}
    return Check("no column is constant", verdict_of(not constant), figure, why, values)


def no_identifiers(applications: pd.DataFrame, contract: Contract) -> Check:
    """Whether a column names its row: each value once, in the order of the rows or in a dense run.

    Parameters
    ----------
    applications
        Raw, shape (n, columns), in the order of the file.
    """
    name = "no column names its row"
    why = "A row number or customer number is learned by heart, or says when a row was added."
    if len(applications) < 2 * FEW:
        return Check(name, Verdict.NOT_JUDGED, f"{len(applications):,} rows", why)
    found = [
        f"{field.title} ({reason})"
        for field in contract.fields
        if (reason := _identifies(applications[field.name], field))
    ]
    figure = ", ".join(found) or f"none of {len(contract.fields)} columns"
    return Check(name, verdict_of(not found), figure, why, {"identifiers": len(found)})


def _identifies(column: pd.Series, field: Field) -> str:
    """Why a column is like an identifier; empty if it is not."""
    if field.levels is not None:
        levels = column.nunique()
        return f"{levels:,} levels in {len(column):,} rows" if levels > len(column) / 2 else ""
    values = as_quantity(column, field).dropna()
    if len(values) < len(column) / 2 or values.nunique() < DISTINCT * len(values):
        return ""
    if field.whole and values.max() - values.min() < 2 * len(column):
        return "whole numbers without gaps, each once"
    order = float(stats.spearmanr(np.arange(len(values)), values).statistic)
    return "in the order of the rows" if abs(order) >= IN_ORDER else ""
