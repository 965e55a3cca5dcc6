"""Chance without a state: one number for each (seed, query, candidate), in whatever order they are asked for.

So what is drawn for a query depends neither on the queries beside it nor on the blocks they are searched in.

Axes: C queries, T candidates of each.
"""

import numpy as np

STEPS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))  # SplitMix64 (Steele, Lea and Flood 2014)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # between two numbers that are mixed
CANDIDATES, DRAWS, ORDER, PARTNERS = range(4)  # what chance is for, so that no two agree
LOOKS = 256  # random texts that a query looks at; a pool of no more is looked at whole


def mixed(numbers: np.ndarray) -> np.ndarray:
    """uint64 of any shape -> uint64 that look random; no two become one."""
    for shift, factor in STEPS:
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))


def lots(seed: int, purpose: int, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """A random number for each query (C,) and candidate (C, T) or (T,), all from 0 up: (C, T) uint64."""
    begin = np.array([seed % 2**64, purpose], dtype=np.uint64)
    begin = mixed(mixed(begin[:1]) + begin[1:] * GOLDEN)  # (1,)
    of_query = mixed(begin + (queries.astype(np.uint64) + np.uint64(1)) * GOLDEN)  # (C,)
    return mixed(of_query[:, None] + (candidates.astype(np.uint64) + np.uint64(1)) * GOLDEN)


def random_rows(seed: int, queries: np.ndarray, looks: int, size: int) -> np.ndarray:
    """Rows of a pool of `size` texts, in the order in which each query (C,) meets them by chance: (C, T).

    All of them where there are LOOKS or fewer, otherwise `looks` draws, of which a repeated one is -1.
    """
    if size <= LOOKS:
        return lots(seed, ORDER, queries, np.arange(size)).argsort(axis=1, kind="stable")
    drawn = lots(seed, DRAWS, queries, np.arange(looks)) % np.uint64(size)
    return without_repeats(drawn.astype(np.int64))


def without_repeats(drawn: np.ndarray) -> np.ndarray:
    """The same rows (C, T), -1 for one that stands further left in its line already."""
    order = drawn.argsort(axis=1, kind="stable")
    ranked = np.take_along_axis(drawn, order, axis=1)
    again = np.zeros(drawn.shape, dtype=bool)
    np.put_along_axis(again, order[:, 1:], ranked[:, 1:] == ranked[:, :-1], axis=1)
    return np.where(again, -1, drawn)
