"""How much evidence is gathered, by the number of applicants.

Few applicants make every figure uncertain, and repeating steadies it. With many, one round says as
much, and what is repeated costs time that grows with the rows.
"""

from dataclasses import dataclass

#: From so many applicants on one repeat of cross-validation is enough, and from so many five folds.
MANY, VERY_MANY = 5_000, 20_000


@dataclass(frozen=True)
class Effort:
    """How often what is repeated."""

    folds: int
    repeats: int
    splits: int  # single splits that show what one of them is worth
    refits: int  # resampled training sets to fit again on
    draws: int  # bootstrap samples of applicants, where each costs more than a sum over them


def effort(
    rows: int, *, folds: int = 0, repeats: int = 0, splits: int = 0, refits: int = 0
) -> Effort:
    """How often what is repeated for a training set of so many rows.

    Parameters
    ----------
    rows
        Applicants to learn from.
    folds, repeats, splits, refits
        What was asked for; 0 leaves it to the number of rows.
    """
    if rows < MANY:
        usual = Effort(10, 3, 100, 50, 500)
    elif rows < VERY_MANY:
        usual = Effort(10, 1, 20, 30, 200)
    else:
        usual = Effort(5, 1, 10, 20, 100)
    return Effort(
        folds or usual.folds,
        repeats or usual.repeats,
        splits or usual.splits,
        refits or usual.refits,
        usual.draws,
    )
