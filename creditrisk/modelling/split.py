"""Training and test set: drawn at random, or the test set the latest rows of the file."""

import pandas as pd
from sklearn.model_selection import train_test_split


def split(
    X: pd.DataFrame, y: pd.Series, test_size: float, seed: int, latest: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]:
    """X and y for training and for the test, as ``train_test_split`` returns them.

    Parameters
    ----------
    test_size, seed
        Share of the test set and seed of the draw, which keeps the share of bad alike.
    latest
        Rows at the end of the file that are the test set instead; 0 draws.

    Raises
    ------
    ValueError
        If the latest rows are no part of the file, or all of it.
    """
    if not 0 <= latest < len(X):
        raise ValueError(f"latest is {latest}; give 0 to {len(X) - 1} rows, as there are {len(X)}")
    if latest:
        return X.iloc[:-latest], X.iloc[-latest:], y.iloc[:-latest], y.iloc[-latest:]
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=test_size, stratify=y, random_state=seed
    )
    return X_train, X_test, y_train, y_test
