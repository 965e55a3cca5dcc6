"""What the vectors of some texts tell: a space that has collapsed, and a pooling that was not trained.

A space can collapse onto a point (all cosines high), onto few dimensions (contrast of few labels), or onto
few texts (hubs that are everybody's neighbour). A pooling is wrong where another one finds the other half of
a text more often.

Axes: N texts, L tokens, D width.
"""

import numpy as np
import torch
from torch import Tensor

from cpack_lib.evaluation.diagnosis.findings import Finding, judged
from cpack_lib.evaluation.diagnosis.measures import (
    effective_rank,
    length_one,
    mean_cosine,
    occurrences,
    reciprocal_ranks,
    skewness,
    surely,
)
from cpack_lib.model.sphere import uniformity

NEIGHBOURS = 10
SHORTEST = 16  # characters of a text that is cut in halves
POOLINGS = ("cls", "mean", "max")


def crowded_space(vectors: np.ndarray) -> Finding:
    """Anisotropy: (N, D) of texts that have nothing to do with each other, whose cosines should be low."""
    cosine, even = mean_cosine(vectors), uniformity(length_one(vectors))
    return judged(
        "crowded space",
        cosine,
        f"two texts drawn at random have a cosine of {cosine:.2f}, uniformity is {even:.2f} (0: one point, "
        f"-4: evenly spread), over {len(vectors):,} texts",
        "train with in-batch negatives, which push strangers apart; if the model ranks well, choose "
        "thresholds from its own histogram; as first aid, subtract the mean vector and scale to length one",
    )


def few_dimensions(vectors: np.ndarray) -> Finding:
    """Dimensional collapse: (N, D) whose variance lies in few directions."""
    N, D = vectors.shape
    most = min(N - 1, D)
    rank = effective_rank(vectors)
    return judged(
        "few dimensions",
        rank / most,
        f"the effective rank is {rank:.0f} of {most} that {N:,} texts in {D} dimensions could have",
        "look for training data with few different answers (labels as passages, classification as contrast): "
        "lower its weight, or take its in-batch negatives away",
    )


def hubs(vectors: np.ndarray) -> Finding:
    """Hubness: (N, D), searched by inner product as they are, where a few texts are near to all others.

    Measured by those left over, which are near to nobody. The skewness of the counts, the measure of the
    literature (Radovanović et al. 2010), tells sound spaces from others less clearly (LOG.md).
    """
    counts = occurrences(vectors, NEIGHBOURS)
    left_over, N = float((counts == 0).mean()), len(vectors)
    return judged(
        "hubs",
        left_over,
        f"{left_over:.0%} of {N:,} texts are among the {NEIGHBOURS} nearest of no other text, the greatest "
        f"hub is among those of {counts.max() / (N - 1):.0%}; skewness {skewness(counts):.1f}",
        "scale vectors to length one (a missing Normalize makes long vectors hubs), use the pooling the "
        "model was trained with, subtract the mean vector",
    )


def vectors_finite(vectors: np.ndarray) -> Finding:
    """Vectors with numbers that are none, or of length 0: (N, D)."""
    lengths = np.linalg.norm(np.asarray(vectors, dtype=np.float64), axis=1)
    bad = ~(np.isfinite(lengths) & (lengths > 0))
    return judged(
        "vectors not finite",
        bad.mean(),
        f"{bad.sum():,} of {len(vectors):,} vectors hold NaN or infinity, or are all zeros",
        "compute in bfloat16 or float32 instead of float16; if it stays, the weights are damaged: go back to "
        "an earlier checkpoint",
    )


def halves(texts: list[str]) -> tuple[list[str], list[str]]:
    """The first and the second half of every text that is long enough: pairs that nobody was trained on."""
    whole = [text for text in dict.fromkeys(texts) if len(text) >= SHORTEST]
    return [text[: len(text) // 2] for text in whole], [text[len(text) // 2 :] for text in whole]


def pooled(states: Tensor, is_token: Tensor, pooling: str) -> Tensor:
    """States (B, L, D) of tokens (B, L) bool -> (B, D)."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "mean":
        return (states * is_token[..., None]).sum(dim=1) / is_token.sum(dim=1, keepdim=True)
    if pooling == "max":
        return states.masked_fill(~is_token[..., None], -torch.inf).amax(dim=1)
    raise ValueError(f"no pooling is called {pooling!r}; choose one of {', '.join(POOLINGS)}")


def wrong_pooling(found: dict[str, tuple[np.ndarray, np.ndarray]], used: str) -> Finding:
    """Pooling -> the vectors of first and second halves (N, D), of length one; `used` is what the model does.

    What is measured is how far another pooling is surely better, as mean reciprocal rank.
    """
    if used not in found or len(found) < 2:
        raise ValueError(f"{used!r} has nothing to be compared with in {', '.join(found)}")
    ranks = {name: reciprocal_ranks(*both) for name, both in found.items()}
    others = {name: surely(each - ranks[used]) for name, each in ranks.items() if name != used}
    best = max(others, key=others.get)
    return judged(
        "wrong pooling",
        others[best],
        f"the halves of {len(ranks[used]):,} texts find each other with a mean reciprocal rank of "
        f"{ranks[used].mean():.2f} by {used} (in use), {ranks[best].mean():.2f} by {best}",
        f"set pooling to {best} in 1_Pooling/config.json if the model was trained so; RetroMAE, C-Pack and "
        "this project pool by cls",
    )
