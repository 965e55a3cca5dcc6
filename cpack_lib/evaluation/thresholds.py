"""Two heaps of scores, of right and of wrong pairs: how far they are apart, and where to cut.

A threshold belongs to one encoder, one kind of texts and one mixture of right and wrong pairs.
Axes: P right pairs, N wrong ones, Q questions.
"""

import math

import numpy as np
from scipy.stats import rankdata

from cpack_lib.evaluation.scores.intervals import Interval

DRAWS = 1_000  # of the bootstrap


def area_under_curve(right: np.ndarray, wrong: np.ndarray) -> float:
    """Scores of right and of wrong pairs, (P,) and (N,) -> how often a right one beats a wrong one.

    The area under the ROC curve: 1 when the heaps are apart, 0.5 when they are one; ties count half
    (Mann and Whitney 1947). ValueError for an empty heap.
    """
    P, N = len(right), len(wrong)
    if not P or not N:
        raise ValueError(f"{P} right and {N} wrong scores cannot be compared; give some of both")
    ranks = rankdata(np.concatenate([right, wrong]).astype(np.float64))
    return float((ranks[:P].sum() - P * (P + 1) / 2) / (P * N))


def precision_and_recall(
    right: np.ndarray, wrong: np.ndarray, threshold: float, share: float = 0.5
) -> tuple[float, float]:
    """What a threshold does to scores (P,), (N,): of the accepted how many are right, of the right how many
    are accepted.

    `share` is the share of right pairs among those that will be asked about: precision depends on it,
    whatever the sizes of the two heaps here. Precision is NaN where nothing is accepted.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; give the share of right pairs, between 0 and 1")
    true, false = share * np.mean(right >= threshold), (1 - share) * np.mean(wrong >= threshold)
    return float(true / (true + false)) if true + false else math.nan, float(true / share)


def threshold_for(right: np.ndarray, wrong: np.ndarray, precision: float, share: float = 0.5) -> float:
    """The lowest threshold, one of the right scores, whose precision is at least the wanted one.

    Scores (P,) of right and (N,) of wrong pairs; `share` as in `precision_and_recall`. Infinity, which
    accepts nothing, where no threshold is so precise.
    """
    if not 0 < precision < 1 or not 0 < share < 1:
        raise ValueError(f"precision {precision} and share {share} have to lie between 0 and 1")
    if not len(right) or not len(wrong):
        raise ValueError(f"{len(right)} right and {len(wrong)} wrong scores choose nothing; give both")
    candidates = np.unique(right)
    true, false = (
        1 - np.searchsorted(np.sort(heap), candidates, side="left") / len(heap) for heap in (right, wrong)
    )
    found = share * true / (share * true + (1 - share) * false)  # (candidates,); true is never 0
    return float(candidates[found >= precision].min(initial=np.inf))


def threshold_interval(
    right: np.ndarray, wrong: np.ndarray, precision: float, share: float = 0.5, seed: int = 0
) -> Interval:
    """The threshold with its 95 % interval: questions drawn anew, each with its own scores.

    Right scores (Q,) and wrong scores (Q, N) of Q questions. Bounds may be infinite, as the threshold may.
    """
    if wrong.ndim != 2 or len(right) != len(wrong):
        raise ValueError(f"{right.shape} right and {wrong.shape} wrong scores; give (Q,) and (Q, N)")
    draw, Q = np.random.default_rng(seed), len(right)
    drawn = [draw.integers(Q, size=Q) for _ in range(DRAWS)]
    found = [threshold_for(right[rows], wrong[rows].ravel(), precision, share) for rows in drawn]
    low, high = np.quantile(found, [0.025, 0.975], method="inverted_cdf")  # of infinities as well
    return Interval(threshold_for(right, wrong.ravel(), precision, share), float(low), float(high))
