"""What a contrast teaches: negatives that are few, easy or right, and a temperature that hears one or all.

Which negatives a temperature weighs: Wang and Liu 2021, "Understanding the behaviour of contrastive loss"
(arXiv 2012.09740).

Axes: Q queries, P passages, D width, M negatives, each with its query and that query's positive.
"""

import numpy as np
from scipy.special import softmax

from cpack_lib.evaluation.diagnosis.findings import Finding, judged

DRAWS = 3  # of the passages that a query meets
NEARER = 0.75  # of all questions are less close to their answers than a suspect is to the answer
GAP = 1.0  # between the cosine of a perfect pair and that of strangers


def few_negatives(
    queries: np.ndarray, passages: np.ndarray, count: int, temperature: float, seed: int = 0
) -> Finding:
    """Whether the `count` - 1 wrong passages that a query meets push it where all wrong passages would.

    (Q, D), (P, D) of length one, P >= Q: query i belongs to passage i. The push of some passages is their
    mean, weighted by the softmax of cosine / temperature, off the mean of all. It is compared with that of
    all P, so give about 512: the more there are, the less a batch knows of them.
    """
    Q, P = len(queries), len(passages)
    if Q > P or not 2 <= count <= P:
        raise ValueError(
            f"{count} passages of {P} for {Q} queries: give as many as queries, and a count between"
        )
    centred = passages - passages.mean(axis=0)
    scores = queries @ passages.T / temperature  # (Q, P)
    agreed = []
    for i in range(Q):
        wrong = np.delete(np.arange(P), i)
        wanted = push(scores[i], centred, wrong)
        for draw in range(DRAWS):
            met = np.random.default_rng([seed, i, draw]).choice(wrong, count - 1, replace=False)
            agreed.append(wanted @ push(scores[i], centred, met))
    agreement = float(np.mean(agreed))
    return judged(
        "few negatives",
        agreement,
        f"the {count - 1:,} wrong passages of a step push a query in a direction whose cosine with that of "
        f"all {P - 1:,} here is {agreement:.2f}",
        "more rows_per_step: memory is no reason against it, what does not fit is embedded twice "
        "(activations_gib); or more negatives in each group",
    )


def push(scores: np.ndarray, centred: np.ndarray, met: np.ndarray) -> np.ndarray:
    """Where the passages a query meets push it: scores (P,), passages off their mean (P, D) -> (D,)."""
    direction = softmax(scores[met]) @ centred[met]
    return direction / max(float(np.linalg.norm(direction)), 1e-12)


def easy_negatives(queries: np.ndarray, negatives: np.ndarray, strangers: np.ndarray) -> Finding:
    """Whether negatives look more like an answer than any text: (M, D), (M, D), (P, D) drawn at random.

    The share of strangers that are less close to a query than its negative: a half is chance.
    """
    own = np.einsum("md,md->m", queries, negatives)[:, None]
    others = queries @ strangers.T  # (M, P)
    harder = float(((own > others).mean() + (own >= others).mean()) / 2)
    return judged(
        "easy negatives",
        harder,
        f"a negative is closer to its query than {harder:.0%} of {len(strangers):,} texts drawn at random "
        f"(chance: 50 %), over {len(queries):,} negatives",
        "mine them with the encoder that training starts from, in a window of ranks that the pool of each "
        "source reaches (first_rank, last_rank); texts drawn at random are in the batch anyway",
    )


def hidden_answers(queries: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> Finding:
    """Mined or drawn negatives that are answers: (M, D) three times, of length one.

    Suspect is what says what the labelled answer says: closer to it than the question is, and than NEARER of
    all questions are to their answers. How close it is to the question tells less, because by that it was
    mined (LOG.md). Not for negatives that people labelled 0: those are meant to look like the answer.
    """
    answered = np.einsum("md,md->m", queries, positives)
    alike = np.einsum("md,md->m", positives, negatives)
    suspect = alike > np.maximum(answered, np.quantile(answered, NEARER))
    share = float(suspect.mean())
    return judged(
        "false negatives",
        share,
        f"{suspect.sum():,} of {len(queries):,} negatives ({share:.1%}) are closer to the labelled answer "
        f"than the question is, and than {NEARER:.0%} of all questions are to theirs",
        "mine from a later rank (first_rank 10 or more), or positive aware; in the batch, hide them with a "
        "guide or a margin of 0.1",
    )


def low_temperature(cosines: np.ndarray, targets: np.ndarray, temperature: float) -> Finding:
    """Whether one negative has all the say: cosines (Q, P), of each query the column of its answer (Q,).

    The share of a query's push that comes from its hardest negative, the mean over queries.
    """
    scores = np.asarray(cosines, dtype=np.float64) / temperature
    scores[np.arange(len(scores)), targets] = -np.inf
    weights = softmax(scores, axis=1)  # (Q, P), of negatives alone
    hardest = float(weights.max(axis=1).mean())
    return judged(
        "low temperature",
        hardest,
        f"at {temperature:g} the hardest of {cosines.shape[1] - 1:,} negatives has {hardest:.0%} of the push",
        "raise temperature: 0.05 for a small encoder and batch, 0.01 to 0.02 for C-Pack's 19,200; or keep "
        "it, and hide false negatives (margin, guide), since the hardest one is the likeliest to be false",
    )


def high_temperature(passages: int, temperature: float) -> Finding:
    """Whether even a perfect encoder could lower the loss: `passages` that a query chooses from.

    With all answers at cosine 1 and all strangers at 0 the loss is log(1 + (P - 1) exp(-1 / temperature)).
    """
    floor = float(np.log1p((passages - 1) * np.exp(-GAP / temperature)))
    share = floor / np.log(passages)
    return judged(
        "high temperature",
        share,
        f"at {temperature:g} with {passages:,} passages a perfect encoder still has a loss of {floor:.2f}, "
        f"{share:.0%} of a blind guess",
        "lower temperature, to 0.05 or below: strangers are pushed evenly, however unlike the query they are",
    )
