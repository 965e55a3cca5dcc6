"""Hashes of every run of n characters: what near copies and copied stretches are found by."""

import numpy as np
import polars as pl

BASE = 0x9E3779B97F4A7C15  # 2⁶⁴ over the golden ratio, odd: no power of it is 0 modulo 2⁶⁴
WORD = 1 << 64
BLOCK = 1 << 16  # characters hashed at a time: half a MiB, which stays in the processor's cache


def grams(texts: pl.Series, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of each text's runs of n characters, in order: N texts -> (M,) uint64, (N + 1,) int64.

    Text i owns hashes[offsets[i] : offsets[i + 1]]. A text shorter than n has one hash, of the whole of it;
    an empty text, or a null, has none. The hashes are the same on every machine.
    """
    texts = texts.fill_null("")
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)  # (N,)
    counts = np.where(lengths < n, np.minimum(lengths, 1), lengths - n + 1)  # (N,)
    starts, offsets = np.cumsum(lengths) - lengths, np.append(0, np.cumsum(counts))  # (N,), (N + 1,)
    padded = "".join(texts.to_list()).encode("utf-32-le") + bytes(4 * (n - 1))
    codes = np.frombuffer(padded, "<u4")  # (L + n - 1,)
    hashes = runs_of(codes, owned(starts, counts, lengths.sum()), n)  # (M,)
    short = np.flatnonzero((lengths > 0) & (lengths < n))
    hashes[offsets[short]] = whole(codes, starts[short], lengths[short])
    return mixed(hashes), offsets


def owned(starts: np.ndarray, counts: np.ndarray, length: int) -> np.ndarray:
    """Which of L characters begin one of the texts' runs: (N,), (N,) -> (L,) bool."""
    filled = counts > 0  # no two of these begin, or end, at the same character
    change = np.zeros(length + 1, np.int8)
    change[starts[filled]] += 1
    change[(starts + counts)[filled]] -= 1
    return np.cumsum(change[:-1], dtype=np.int8).view(bool)


def runs_of(codes: np.ndarray, wanted: np.ndarray, n: int) -> np.ndarray:
    """The sums of the runs that begin where it is wanted: (L + n - 1,), (L,) -> (M,) uint64."""
    sums = [np.empty(0, np.uint64)]
    for start in range(0, len(wanted), BLOCK):
        block = codes[start : start + BLOCK + n - 1] + np.uint64(1)
        sums.append(polynomial(block, n)[wanted[start : start + BLOCK]])
    return np.concatenate(sums)


def polynomial(codes: np.ndarray, n: int) -> np.ndarray:
    """Σ codes[i + j] · BASE^(n - 1 - j) modulo 2⁶⁴, of each run of n: (L,) uint64 -> (L - n + 1,), L >= n.

    By doubling: a run of 2m is a run of m and the one behind it, so that n = 24 takes 6 steps instead of 24.
    """
    sums, length, power = codes, 1, BASE
    for bit in f"{n:b}"[1:]:
        sums = sums[:-length] * np.uint64(power) + sums[length:]
        length, power = 2 * length, power * power % WORD
        if bit == "1":
            sums = sums[:-1] * np.uint64(BASE) + codes[length:]
            length, power = length + 1, power * BASE % WORD
    return sums


def whole(codes: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The same sum over each whole text: (L,), (S,), (S,) -> (S,) uint64."""
    sums = np.zeros(len(starts), np.uint64)
    for place in range(lengths.max(initial=0)):
        inside = place < lengths
        ahead = codes[starts[inside] + place] + np.uint64(1)
        sums[inside] = sums[inside] * np.uint64(BASE) + ahead
    return sums


def mixed(sums: np.ndarray) -> np.ndarray:
    """SplitMix64's last step, in place: one to one, and every bit stirs all others: (M,) uint64 -> (M,)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        sums ^= sums >> np.uint64(shift)
        sums *= np.uint64(factor)
    sums ^= sums >> np.uint64(31)
    return sums
