"""The proxy audit: how well the columns that a model uses tell the protected groups apart.

A model that is not given a protected column may read it from others. Where they predict it no
better than chance there is nothing to read; where they predict it well, leaving the column out
protects little. Only training rows are looked at, and no outcome.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import encoded_columns
from creditrisk.data.fields import Field
from creditrisk.metrics.intervals import Interval
from creditrisk.metrics.ranking import auc_interval
from creditrisk.validation.fairness.disparity import groups_of
from creditrisk.validation.methodology.columns import single_columns

#: Folds; a group needs so many applicants in each of them to be judged.
FOLDS, IN_EACH_FOLD = 5, 4
#: How often the groups are shuffled, for what the same way of predicting gets by chance.
SHUFFLES = 5
#: Rows that are looked at, at most.
MOST = 20_000


def proxy_table(
    training: pd.DataFrame,
    matrix: pd.DataFrame,
    contract: Contract,
    left_out: Iterable[str],
    *,
    seed: int,
) -> pd.DataFrame:
    """How well the columns of a model, together, predict each protected group.

    Parameters
    ----------
    training
        Raw, shape (n, columns of an application).
    matrix
        The same applicants encoded, shape (n, encoded columns).
    left_out
        The columns that the model does not use. A protected column that it does use is none of
        the predictors either.

    Returns
    -------
    DataFrame
        One row a protected column and group, in a column of two groups one row, for the smaller:
        column, group, applicants, roc_auc with DeLong bounds low and high, of predictions made by
        cross-validation for this group against all others, and shuffled, the mean of the same
        for groups shuffled among the applicants. What is too small to be judged is left out.

    Notes
    -----
    The predictions are gradient-boosted trees' of few and small trees. A better predictor may
    exist: the audit can show that there are proxies, and never that there are none.
    """
    names = [field.name for field in _predictors(contract, left_out)]
    columns = [each for name in names for each in encoded_columns(contract, contract[name])]
    rows = []
    for field in contract.protected:
        group, chosen = _judged(training[field.name], field, seed)
        if not columns or group.nunique() < 2:
            continue
        X = matrix[columns].iloc[chosen].to_numpy(dtype=float)
        found = _aucs(X, group, seed)
        generator = np.random.default_rng(seed)
        shuffled = [
            _aucs(X, pd.Series(generator.permutation(group)), seed + number)
            for number in range(SHUFFLES)
        ]
        for name, auc in found.items():
            chance = float(np.mean([each[name].estimate for each in shuffled]))
            count = int((group == name).sum())
            rows.append((field.title, name, count, auc.estimate, auc.low, auc.high, chance))
    names_of_columns = ["column", "group", "applicants", "roc_auc", "low", "high", "shuffled"]
    return pd.DataFrame(rows, columns=names_of_columns)


def proxy_columns(
    training: pd.DataFrame, contract: Contract, left_out: Iterable[str], *, seed: int
) -> pd.DataFrame:
    """How well each column of a model, alone, predicts each protected group.

    Returns
    -------
    DataFrame
        One row a protected column, group and column, as :func:`proxy_table` has groups: protected,
        group, column, roc_auc with DeLong bounds low and high; the best of a group first. Each
        column is judged alone, because two that say the same would hide one another.
    """
    used = {field.name for field in _predictors(contract, left_out)}
    alone = contract.without([field.name for field in contract.fields if field.name not in used])
    rows = []
    for field in contract.protected:
        group, chosen = _judged(training[field.name], field, seed)
        if group.nunique() < 2:
            continue
        for name in _asked(group):
            inside = (group == name).to_numpy().astype(int)
            by_column = single_columns(training.iloc[chosen], inside, alone, seed)
            rows += [
                (field.title, name, contract[each].title, auc.estimate, auc.low, auc.high)
                for each, auc in by_column.items()
            ]
    columns = ["protected", "group", "column", "roc_auc", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _predictors(contract: Contract, left_out: Iterable[str]) -> list[Field]:
    without = set(left_out)
    return [each for each in contract.fields if each.name not in without and not each.protected]


def _judged(values: pd.Series, field: Field, seed: int) -> tuple[pd.Series, np.ndarray]:
    """The groups that are large enough, and the rows of their applicants."""
    group = groups_of(values, field).reset_index(drop=True)
    rows = np.arange(len(group))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    sizes = group.iloc[rows].value_counts()
    large = sizes.index[sizes >= FOLDS * IN_EACH_FOLD]
    rows = rows[group.iloc[rows].isin(large).to_numpy()]
    return group.iloc[rows].reset_index(drop=True), rows


def _asked(group: pd.Series) -> list[str]:
    """The groups that are predicted: of two the smaller, which stands for both."""
    sizes = group.value_counts()
    return list(sizes.index[-1:]) if len(sizes) == 2 else list(sizes.index)


def _aucs(X: np.ndarray, group: pd.Series, seed: int) -> dict[str, Interval]:
    """The ROC-AUC of each group that is asked for, of predictions of applicants held out."""
    model = HistGradientBoostingClassifier(
        max_iter=30, max_leaf_nodes=8, early_stopping=False, random_state=seed
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1):  # for so few rows threads wait longer than they work
        shares = cross_val_predict(model, X, group.to_numpy(), cv=folds, method="predict_proba")
    place = {name: number for number, name in enumerate(np.unique(group.to_numpy()))}
    return {
        name: auc_interval((group == name).to_numpy().astype(int), shares[:, place[name]])
        for name in _asked(group)
    }
