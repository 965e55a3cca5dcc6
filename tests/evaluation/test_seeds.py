"""Promises of the seeds: other draws and other centres, the task as before, mteb's own seed unchanged."""

import polars as pl
import pytest

from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores.protocols import under
from cpack_lib.evaluation.scores.running import evaluate
from cpack_lib.evaluation.scores.seeds import over_seeds, seeded
from cpack_lib.evaluation.tasks.local import SEED, local_tasks


def test_another_seed_is_another_draw_and_mtebs_own_is_the_score(data, encoder, tmp_path):
    models, tasks = open_models([str(encoder)]), local_tasks(data)
    tasks[4].samples_per_label = 1
    found = over_seeds(models, tasks, tmp_path / "results", seeds=[SEED, 1, 2, 3])
    assert set(found["task"]) == {"kind", "group"} and len(found) == 8
    spread = dict(found.group_by("task").agg(pl.col("score").n_unique()).rows())
    assert spread["kind"] > 1 and spread["group"] > 1
    plain = under(evaluate(models, tasks[4:], tmp_path / "results"))
    own = found.filter(pl.col("seed") == SEED)
    assert dict(own.select("task", "score").rows()) == dict(plain.select("task", "score").rows())


def test_a_task_is_left_as_it_was(data):
    *_, kind, group = local_tasks(data)
    before = group.evaluator
    with seeded([kind, group], 7):
        assert kind.seed == group.seed == 7 and group.evaluator is not before
    assert kind.seed == group.seed == SEED and group.evaluator is before


def test_tasks_without_chance_are_told(data, tmp_path):
    with pytest.raises(ValueError, match="none of the 4 tasks has a seed"):
        over_seeds(open_models(["tfidf"]), local_tasks(data)[:4], tmp_path / "results", seeds=[1])
