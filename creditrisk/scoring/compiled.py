"""A forest's answers from its leaf bits as machine code, for portfolios; needs ``scale``."""

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic

if config.DISABLE_JIT:
    raise ImportError("numba is set not to compile")


@intrinsic
def _trailing_zeros(context, word):
    """The number of the lowest set bit of a 64-bit word that is not 0."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), code


# Cached beside this file or, if that cannot be written, in the user's cache: compiled once.
@njit(
    "void(int64[:,::1], uint64[:,::1], float64[::1], int64[::1], float64[::1])",
    nogil=True,
    cache=True,
)
def add_answers(rows, allowed, answers, first, total):
    """Add up the answers of a forest's trees for applications, tree after tree.

    Parameters
    ----------
    rows
        Shape (n, fields), the row in ``allowed`` of each value.
    allowed, answers, first
        As in :class:`creditrisk.scoring.lookup_tables.Forest`.
    total
        Shape (n,), filled with the sums.
    """
    trees, size, fields = len(first), allowed.shape[1], rows.shape[1]
    bits = np.empty(size, np.uint64)
    for number in range(len(rows)):
        bits[:] = allowed[rows[number, 0]]
        for field in range(1, fields - 1, 2):  # two at once: half the memory traffic
            one, other = allowed[rows[number, field]], allowed[rows[number, field + 1]]
            for position in range(size):
                bits[position] &= one[position] & other[position]
        if fields % 2 == 0:
            bits &= allowed[rows[number, fields - 1]]
        found = 0.0
        for tree in range(trees):
            leaf = 0
            for word in range(size // trees - 1, -1, -1):
                left = bits[word * trees + tree]
                lowest = 64 * word + np.int64(_trailing_zeros(left))
                leaf = lowest if left != 0 else leaf  # a choice: branches would be mispredicted
            found += answers[first[tree] + leaf]
        total[number] = found
