"""The values that one applicant may change a column to, and the effort of each."""

from dataclasses import dataclass, replace

import numpy as np

from creditrisk.scoring.recourse.values import Column


@dataclass(frozen=True)
class Options:
    """The values that one applicant may change one column to, in groups as the column's."""

    number: int
    codes: np.ndarray  # (n,), group after group
    efforts: np.ndarray  # (n,)
    starts: np.ndarray  # (groups + 1,): where each group begins, and n
    least: np.ndarray  # (groups,): the least effort
    rows: tuple[np.ndarray, ...]  # by forest, (groups,)
    shares: tuple[np.ndarray, ...]  # by regression, (n,)
    most: tuple[np.ndarray, ...]  # by regression, (groups,): the highest share

    def __len__(self) -> int:
        return len(self.least)

    def joined(self, begins: np.ndarray) -> "Options":
        """The same where neighbouring groups are joined; where each of the new ones begins."""
        return replace(
            self,
            starts=np.append(self.starts[begins], len(self.codes)),
            least=np.minimum.reduceat(self.least, begins),
            rows=tuple(each[begins] for each in self.rows),
            most=tuple(np.maximum.reduceat(each, begins) for each in self.most),
        )

    @property
    def single(self) -> bool:
        """Whether each group is one value."""
        return len(self.least) == len(self.codes)


def options(column: Column, allowed: np.ndarray, efforts: np.ndarray) -> Options | None:
    """Those values of a column that an applicant may change to; None if there are none.

    Parameters
    ----------
    allowed, efforts
        By value of the column, shape (n,). Where a group's values differ in nothing but their
        effort, the nearest is enough.
    """
    [places] = allowed.nonzero()
    if not len(places):
        return None
    if not column.curved:
        places = places[np.lexsort((efforts[places], column.groups[places]))]
        places = places[np.unique(column.groups[places], return_index=True)[1]]
    begins = np.flatnonzero(np.diff(column.groups[places], prepend=-1))
    shares = tuple(each[places] for each in column.shares)
    return Options(
        column.number,
        column.codes[places],
        efforts[places],
        np.append(begins, len(places)),
        np.minimum.reduceat(efforts[places], begins),
        tuple(each[places[begins]] for each in column.rows),
        shares,
        tuple(np.maximum.reduceat(each, begins) for each in shares),
    )
