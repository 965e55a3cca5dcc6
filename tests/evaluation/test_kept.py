"""Promises of the store of vectors: each text once, whole whatever dies, for several processes at once."""

import errno
import fcntl
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from cpack_lib.evaluation.models import kept
from cpack_lib.evaluation.models.kept import Gathering, Kept, Rows, kept_vectors, keys_of
from cpack_lib.work.files import ROOT

D = 6


def texts_of(first, last):
    return [f"text {number}" for number in range(first, last)]


def vectors_of(texts):
    """A vector that can be told from any other, from the text alone."""
    numbers = np.array([int(text.split()[-1]) for text in texts], dtype=np.float32)
    return numbers[:, None] + np.arange(D, dtype=np.float32) / 10


def added(store, texts):
    store.add(keys_of(texts, ""), vectors_of(texts))


def check(store, texts):
    """All texts are there, each with its own vector."""
    rows = store.rows(keys_of(texts, ""))
    assert (rows >= 0).all()
    np.testing.assert_array_equal(store.read(rows), vectors_of(texts))


def test_what_was_added_is_found_by_others_and_what_was_not_is_not(tmp_path):
    first, second = Kept(tmp_path / "store", D), Kept(tmp_path / "store", D)
    added(first, texts_of(0, 50))
    check(first, texts_of(0, 50)[::-1])
    assert first.rows(keys_of(["text 7", "text 50"], "")).tolist()[1] == -1
    added(second, texts_of(40, 60))
    check(second, texts_of(0, 60))
    assert len(second) == 60
    check(Kept(tmp_path / "store", D), texts_of(0, 60))


def test_a_text_that_comes_twice_has_one_row(tmp_path):
    store = Kept(tmp_path / "store", D)
    added(store, [*texts_of(0, 9), *texts_of(3, 12)])
    assert len(store) == 12
    check(store, texts_of(0, 12))


def test_a_key_is_of_prompt_text_and_side_and_of_where_one_ends():
    keys = [keys_of(["b"], "a"), keys_of(["ab"], ""), keys_of([""], "ab"), keys_of(["ab"], "", "query")]
    keys += [keys_of(["ab"], "", "document"), keys_of(["ba"], "")]
    assert len({key.tobytes() for key in keys}) == len(keys)
    assert keys_of([], "").shape == (0, 2)


def test_nothing_is_read_from_an_empty_store(tmp_path):
    store = Kept(tmp_path / "store", D)
    assert store.rows(keys_of(["text 1"], "")).tolist() == [-1]
    assert Rows(store, np.empty(0, dtype=np.int64))[:].shape == (0, D)


def test_rows_are_read_by_slices_and_lists_as_an_array_is(tmp_path):
    store, texts = Kept(tmp_path / "store", D), texts_of(0, 30)
    added(store, texts[::-1])
    rows = Rows(store, store.rows(keys_of(texts, "")))
    assert rows.shape == (30, D)
    np.testing.assert_array_equal(rows[10:17], vectors_of(texts[10:17]))
    np.testing.assert_array_equal(rows[[4, 4, 29]], vectors_of([texts[4], texts[4], texts[29]]))


TORN = [  # bytes of vectors and of keys behind the last whole row: a key comes after its vector
    *((vectors, keys) for vectors in (0, 1, 4 * D, 4 * D + 3, 9 * 4 * D) for keys in (0, 5)),
    *((vectors, 16) for vectors in (4 * D, 4 * D + 3, 9 * 4 * D)),
    (9 * 4 * D, 40),
]


@pytest.mark.parametrize(("torn_vectors", "torn_keys"), TORN)
def test_a_torn_tail_is_recognised_and_dropped(tmp_path, torn_vectors, torn_keys):
    folder = tmp_path / "store"
    added(Kept(folder, D), texts_of(0, 20))
    with (folder / "vectors.f32").open("ab") as vectors, (folder / "keys.u128").open("ab") as keys:
        vectors.write(b"\x07" * torn_vectors)
        keys.write(b"\x07" * torn_keys)
    store = Kept(folder, D)
    assert len(store) == 20 + torn_keys // 16
    added(store, texts_of(10, 30))
    check(store, texts_of(0, 30))
    check(Kept(folder, D), texts_of(0, 30))
    assert (folder / "vectors.f32").stat().st_size == len(store) * 4 * D


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from test_kept import D, added, texts_of
from cpack_lib.evaluation.models.kept import Kept
from pathlib import Path
store, first = Kept(Path(sys.argv[1]), D), int(sys.argv[2])
print("ready", flush=True)
for start in range(first, int(sys.argv[3]), 7):
    added(store, texts_of(start, start + 10))
"""


def writer(folder, first, last):
    """A process that adds texts, ten at a time, three of them known."""
    code = WRITER.format(tests=str(ROOT / "tests/evaluation"))
    command = [sys.executable, "-c", code, str(folder), str(first), str(last)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert started.stdout.readline() == "ready\n"
    return started


def test_a_killed_writer_leaves_whole_rows_and_the_next_one_goes_on(tmp_path):
    folder = tmp_path / "store"
    for wait in (0.02, 0.05, 0.1):
        process = writer(folder, 0, 100_000)
        time.sleep(wait)
        process.kill()
        process.wait()
        store = Kept(folder, D)
        check(store, texts_of(0, len(store)))
    assert len(store) > 20
    added(store, texts_of(0, len(store) + 5))
    check(Kept(folder, D), texts_of(0, len(store)))


def test_several_processes_write_at_once(tmp_path):
    folder = tmp_path / "store"
    processes = [writer(folder, first, first + 400) for first in (0, 200, 100)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    store = Kept(folder, D)
    check(store, texts_of(0, 600))
    assert len(store) == len({*store.index.select("first", "second").iter_rows()})


def test_a_full_disk_is_told_with_the_remedy_and_leaves_the_store_whole(tmp_path, monkeypatch):
    store = Kept(tmp_path / "store", D)
    added(store, texts_of(0, 5))
    synced = os.fsync

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="takes no more vectors .No space left on device.: make room"):
        added(store, texts_of(5, 9))
    monkeypatch.setattr(os, "fsync", synced)
    added(store, texts_of(3, 12))
    assert len(store) == 12
    check(Kept(tmp_path / "store", D), texts_of(0, 12))


def test_a_writer_that_hangs_is_named_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "PATIENCE", 0.1)
    store = Kept(tmp_path / "store", D)
    with (tmp_path / "store/lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another process has been writing .*: end it if it hangs"):
            added(store, texts_of(0, 2))


def test_a_text_takes_24_bytes_of_memory_and_16_beside_its_vector_on_disk(tmp_path):
    store = Kept(tmp_path / "store", 1)
    keys = np.random.default_rng(0).integers(0, 2**63, size=(50_000, 2), dtype=np.uint64)
    store.add(keys, np.zeros((50_000, 1), dtype=np.float32))
    assert store.index.estimated_size() <= 25 * 50_000
    assert sum(path.stat().st_size for path in (tmp_path / "store").iterdir()) == (4 + 16) * 50_000


@pytest.mark.parametrize(("name", "value"), [("MOST", 6), ("SECONDS", 0.0)])
def test_vectors_are_written_together_from_time_to_time_and_at_the_end(tmp_path, monkeypatch, name, value):
    monkeypatch.setattr(kept, name, value)
    store, sizes = Kept(tmp_path / "store", D), []
    with pytest.raises(KeyboardInterrupt), Gathering(store) as gathering:
        for start in range(0, 14, 2):
            texts = texts_of(start, start + 2)
            gathering.take(keys_of(texts, ""), vectors_of(texts))
            sizes.append(len(store))
        raise KeyboardInterrupt
    assert sizes == ([0, 0, 6, 6, 6, 12, 12] if name == "MOST" else [2, 4, 6, 8, 10, 12, 14])
    check(Kept(tmp_path / "store", D), texts_of(0, 14))


def test_notebooks_keep_vectors_below_the_runs(runs):
    assert kept_vectors() == runs / ".vectors"
