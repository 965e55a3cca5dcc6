"""The strategies as slow, obvious loops in float64 and whole numbers of Python; searches to try them on."""

import numpy as np

from cpack_lib.training.negatives import Search
from cpack_lib.training.negatives.chance import CANDIDATES, DRAWS, LOOKS, ORDER, PARTNERS

WORD = 2**64
GOLDEN = 0x9E3779B97F4A7C15


def mixed(number):
    """SplitMix64's last step."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % WORD
    number = (number ^ number >> 27) * 0x94D049BB133111EB % WORD
    return number ^ number >> 31


def lot(seed, purpose, query, candidate):
    """The random number of a candidate for a query."""
    number = mixed((mixed(seed) + purpose * GOLDEN) % WORD)
    for each in (query, candidate):
        number = mixed((number + (each + 1) * GOLDEN) % WORD)
    return number


def whole_search(Q=23, P=60, D=5, seed=0, guided=True, partners=3):
    """Vectors of small whole numbers, so that many scores are equal, and exact in float32."""
    chance = np.random.default_rng(seed)
    queries, pool = (chance.integers(-2, 3, size=(rows, D)).astype(np.float32) for rows in (Q, P))
    positives = chance.integers(P, size=Q)
    own = [frozenset({int(row), *chance.integers(P, size=2).tolist()}) for row in positives]
    labelled = [chance.integers(P, size=chance.integers(partners + 1)).tolist() for _ in range(Q)]
    guide = None
    if guided:
        guide = tuple(chance.integers(-2, 3, size=(rows, D + 1)).astype(np.float32) for rows in (Q, P))
    return Search(queries, pool, positives, own, labelled, guide)


def unit(rows, D=16, seed=0):
    """Random vectors of length one: (rows, D)."""
    found = np.random.default_rng(seed).normal(size=(rows, D)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def unit_search(Q=20, P=60, seed=0):
    """Queries near their positives; each owns one to three rows of the pool."""
    chance = np.random.default_rng(seed)
    pool = unit(P, seed=seed)
    positives = chance.integers(P, size=Q)
    queries = pool[positives] + 0.5 * unit(Q, seed=seed + 1)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    own = [frozenset({int(row), *chance.integers(P, size=2).tolist()}) for row in positives]
    return Search(queries, pool, positives, own, partners=[[]] * Q, guide=(queries, pool))


def order(search, q, queries=None):
    """All rows of the pool from the best to the worst, equals as they stand, and their scores."""
    queries = search.queries if queries is None else queries
    scores = search.pool.astype(np.float64) @ queries[q].astype(np.float64)
    return sorted(range(len(scores)), key=lambda row: (-scores[row], row)), scores


def rejected_by(name, search, q, row):
    """Whether a strategy takes a candidate for an answer."""
    queries, pool = search.guide if name == "guided" else (search.queries, search.pool)
    score, positive = (
        float(pool[each].astype(np.float64) @ queries[q].astype(np.float64))
        for each in (row, search.positives[q])
    )
    limits = {"positive aware": positive - (1 - 0.95) * abs(positive), "positive margin": positive - 0.05}
    return score > (limits | {"guided": positive}).get(name, np.inf)


def slow(name, search, window):
    """What a strategy chooses, and the number of rejected candidates: two lists over the queries."""
    lines = [slow_line(name, search, window, q, set(search.own[q].tolist())) for q in range(len(search.own))]
    return [line for line, _ in lines], [rejected for _, rejected in lines]


def slow_line(name, search, window, q, own):
    """The rows and origins of one query, and how many candidates were rejected."""
    if name == "given":
        return slow_given(search, window, q, own)
    rows = [] if name == "at random" else offered(name, search, window, q, own)
    fit = [row for row in rows if row not in own and not rejected_by(name, search, q, row)]
    bad = sum(row not in own and rejected_by(name, search, q, row) for row in rows)
    if window.counted == "accepted" and name != "at random":
        fit = fit[window.first : window.last]
    chosen = sorted(fit, key=lambda row: lot(window.seed, CANDIDATES, int(search.numbers[q]), row))
    chosen = chosen[: window.count]
    line = [(row, "mined") for row in chosen]
    for row in random_order(search, window.seed, q, own):
        fits = row not in own and row not in chosen and not rejected_by(name, search, q, row)
        if len(line) < window.count and fits:
            line.append((row, "random"))
            chosen.append(row)
    return line, bad


def offered(name, search, window, q, own):
    """The rows at the ranks that are looked at."""
    ranked, _ = order(search, q, -search.queries if name == "easy window" else None)
    if window.counted == "accepted":
        return ranked[: window.last + len(own)]
    return ranked[window.first : window.last]


def random_order(search, seed, q, own):
    """The rows of the pool as a query meets them by chance."""
    P, number = len(search.pool), int(search.numbers[q])
    if P <= LOOKS:
        return sorted(range(P), key=lambda row: lot(seed, ORDER, number, row))
    return list(dict.fromkeys(lot(seed, DRAWS, number, draw) % P for draw in range(LOOKS + len(own))))


def slow_given(search, window, q, own):
    """Partners first; the rest from the rank window, none of them a partner."""
    partners = set(search.partners[q].tolist())
    number = int(search.numbers[q])
    drawn = sorted(partners - own, key=lambda row: lot(window.seed, PARTNERS, number, row))[: window.count]
    line = [(row, "given") for row in drawn]
    if len(line) < window.count:
        rest, _ = slow_line("rank window", search, window, q, own | partners)
        line += rest[: window.count - len(line)]
    return line, 0
