"""Promises of embedding in several processes: the same vectors, and an error instead of a hang."""

import os
import signal

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from cpack_lib.evaluation.models import several
from cpack_lib.evaluation.models.adapter import QUERY, TEXT
from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.models.neural import Neural
from cpack_lib.evaluation.models.several import free_place, processes_of
from tests.processes import alive

TEXTS = [f"人们多半在春天谈起{'狮子' * (number % 23)}" for number in range(60)]


def test_two_processes_give_the_vectors_of_one_and_stay_for_the_next_call(encoder):
    (one,), (two,) = (open_models([str(encoder)], workers=workers) for workers in (1, 2))
    np.testing.assert_allclose(two.vectors(TEXTS, TEXT), one.vectors(TEXTS, TEXT), atol=1e-6)
    first = [worker.program.pid for worker in two.several.team.idle]
    assert len(first) in (1, 2)
    np.testing.assert_allclose(two.vectors(TEXTS, QUERY), one.vectors(TEXTS, QUERY), atol=1e-6)
    assert {worker.program.pid for worker in two.several.team.idle} >= set(first)
    two.release()
    assert not any(map(alive, first))


def test_a_process_that_dies_again_and_again_is_an_error_and_the_rest_ends(encoder):
    here = os.getpid()

    def load(device=None):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return SentenceTransformer(str(encoder), device=device)

    model = Neural("dies", "mark", load, workers=2)
    with pytest.raises(
        RuntimeError, match="failed .its worker died twice, last with exit code -9.*fewer workers"
    ):
        model.vectors(TEXTS, TEXT)
    assert not model.several.team.idle and not model.several.team.busy and not model.several.team.waiting
    model.release()


def test_workers_are_a_number_or_auto(monkeypatch):
    assert [processes_of(workers) for workers in (1, "3", "auto")] == [1, 3, 1]
    for wrong in (0, -1, "many", "1.5", ""):
        with pytest.raises(ValueError, match='write a number such as 2, or "auto"'):
            processes_of(wrong)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [processes_of(workers) for workers in ("auto", 2)] == [2, 2]
    with pytest.raises(ValueError, match="workers is 3, but there are 2 GPUs; write so many at most"):
        processes_of(3)


def test_each_helper_takes_a_gpu_that_no_other_has_until_it_ends(tmp_path):
    first, held = free_place(tmp_path, 2)
    second, held_too = free_place(tmp_path, 2)
    assert {first, second} == {0, 1}
    with pytest.raises(RuntimeError, match="all 2 GPUs have a process"):
        free_place(tmp_path, 2)
    held.close()  # as when its process dies
    assert free_place(tmp_path, 2)[0] == first
    held_too.close()


def test_a_helper_on_cpus_takes_its_share_of_the_cores(tmp_path, monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(several, "usable_cores", lambda: 7)
    try:
        assert several.Helper(SentenceTransformer, "float32", 3, tmp_path).device() == "cpu"
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
