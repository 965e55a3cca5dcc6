"""Chance that depends on where it is used: the same seed, table and row always draw the same."""

from collections.abc import Sequence
from hashlib import blake2b
from random import Random


def dice(seed: int, table: str, row: int) -> Random:
    """The random numbers of one row."""
    return Random(f"{seed}/{table}/{row}")


def pick(rng: Random, items: Sequence):
    """One of the items, all equally likely."""
    return items[int(rng.random() * len(items))]


def pick_other(rng: Random, items: Sequence, unwanted):
    """One of the items that is not the unwanted one (which stands among them at most once)."""
    item = items[int(rng.random() * (len(items) - 1))]
    return items[-1] if item == unwanted else item


def fixed_hash(text: str) -> int:
    """64 bits of a text that no seed and no version of Python changes."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
