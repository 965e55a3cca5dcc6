"""Sorted runs: buckets give all keys of all parts once, equal ones together, as a plain sort would."""

import numpy as np
import pytest

from cpack_lib.corpus.copies import runs
from cpack_lib.corpus.copies.runs import Place, buckets, places_among_equals, write_runs


def parts(folder, sizes, lines, draw, distinct):
    """(places, keys (lines, rows of all parts)); few `distinct` keys make many equal ones."""
    pool = draw.integers(0, 2**64, distinct, dtype=np.uint64)
    pool[:2] = 0, 2**64 - 1
    keys = [pool[draw.integers(0, distinct, (lines, size))] for size in sizes]
    places = []
    for number, own in enumerate(keys):
        places.append(Place(folder / str(number), sum(sizes[:number])))
        places[-1].folder.mkdir(parents=True)
        write_runs(places[-1].folder, "key", own)
    return places, np.concatenate(keys, axis=1)


@pytest.mark.parametrize("per_bucket", [1, 7, 1000])
@pytest.mark.parametrize("sizes", [[0], [1], [5, 0, 31], [40, 1, 17, 22]])
def test_buckets_are_a_stable_sort_in_pieces(tmp_path, monkeypatch, per_bucket, sizes):
    monkeypatch.setattr(runs, "KEYS_PER_BUCKET", per_bucket)
    places, keys = parts(tmp_path, sizes, 3, np.random.default_rng(per_bucket), distinct=9)
    for line in range(3):
        found = list(buckets(places, "key", line))
        order = np.argsort(keys[line], kind="stable")
        whole = [np.concatenate(side) for side in zip(*found, strict=True)] or [[], []]
        assert np.array_equal(whole[0], keys[line][order]) and np.array_equal(whole[1], order)
        ends = [(own[0], own[-1]) for own, _ in found if len(own)]
        assert all(before[1] < after[0] for before, after in zip(ends, ends[1:], strict=False))


def test_a_bucket_holds_few_keys(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "KEYS_PER_BUCKET", 100)
    places, _ = parts(tmp_path, [2000, 3000], 1, np.random.default_rng(0), distinct=100_000)
    sizes = [len(keys) for keys, _ in buckets(places, "key")]
    assert len(sizes) == 50 and sum(sizes) == 5000 and max(sizes) < 160


def test_rows_may_have_numbers_of_their_own(tmp_path):
    write_runs(tmp_path, "key", np.array([[5, 3, 4]], np.uint64), np.array([7, 9, 20]))
    ((keys, rows),) = buckets([Place(tmp_path, 100)], "key")
    assert keys.tolist() == [3, 4, 5] and rows.tolist() == [109, 120, 107]


def test_places_among_equals():
    keys = np.array([1, 1, 1, 4, 9, 9], np.uint64)
    assert places_among_equals(keys).tolist() == [0, 1, 2, 0, 0, 1]
    assert places_among_equals(keys[:0]).tolist() == []
