"""Promises of local_tasks(): the six types, labelled samples, and one sentence for what is malformed."""

import polars as pl
import pytest

from cpack_lib.evaluation.tasks.layout import evaluation_folder
from cpack_lib.evaluation.tasks.local import local_tasks
from cpack_lib.evaluation.tasks.suites import open_tasks
from cpack_lib.evaluation.tasks.texts import background_texts
from cpack_lib.work.files import ROOT
from cpack_lib.work.runs import open_run

SHARED = ROOT.parent / "shared/data/eval"


def change(path, **columns):
    pl.read_parquet(path).with_columns(**columns).write_parquet(path)


def test_every_type_becomes_a_task_with_the_papers_main_score(data):
    found = {task.metadata.name: (task.metadata.type, task.metadata.main_score) for task in local_tasks(data)}
    assert found == {
        "find": ("Retrieval", "ndcg_at_10"),
        "order": ("Reranking", "map_at_1000"),
        "near": ("STS", "cosine_spearman"),
        "same": ("PairClassification", "cosine_ap"),
        "kind": ("Classification", "accuracy"),
        "group": ("Clustering", "v_measure"),
    }


def test_classification_and_clustering_follow_the_papers_protocol(data):
    kind = {task.metadata.name: task for task in local_tasks(data)}["kind"]
    assert (kind.samples_per_label, kind.n_experiments) == (32, 10)
    assert type(kind.evaluator_model).__name__ == "LogisticRegression"


def test_a_sample_says_so_and_is_the_same_each_time(data):
    first, again = (local_tasks(data, rows=4) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert one.metadata.name.endswith(".sample4") and one.metadata.revision.endswith(".sample4")
        assert background_texts(one) == background_texts(other)
    find = first[0].dataset["default"]["test"]
    assert len(find["queries"]) == 4 and len(find["corpus"]) <= 12
    assert {pid for judged in find["relevant_docs"].values() for pid in judged} <= set(find["corpus"]["id"])


def test_rows_without_a_positive_or_a_negative_are_left_out_of_reranking(data):
    path = data / "reranking/order/test.parquet"
    empty = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit([], dtype=pl.List(pl.String)))
    change(path, negative=empty.otherwise(pl.col("negative")))
    order = local_tasks(data)[1]
    order.load_data()
    assert len(order.dataset["default"]["test"]["queries"]) == 11


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda d: (d / "sts").rename(d / "similarity"), "similarity is no task type: rename it to one of"),
        (
            lambda d: (d / "retrieval/find/qrels.parquet").unlink(),
            "qrels.parquet is missing: a retrieval task",
        ),
        (
            lambda d: (
                pl.read_parquet(d / "sts/near/test.parquet")
                .drop("score")
                .write_parquet(d / "sts/near/test.parquet")
            ),
            r"near/test.parquet has no column 'score' \(it has sentence1, sentence2\): rename or add it",
        ),
        (
            lambda d: change(d / "sts/near/test.parquet", score=pl.lit("high")),
            "column 'score' holds String, but a number is needed",
        ),
        (
            lambda d: change(
                d / "sts/near/test.parquet", sentence1=pl.when(pl.int_range(pl.len()) != 3).then("sentence1")
            ),
            "column 'sentence1' is empty in row 3: fill it or drop the row",
        ),
        (
            lambda d: change(d / "pairclass/same/test.parquet", label=pl.lit(2)),
            "the label 2 in row 0 is neither 0 nor 1",
        ),
        (
            lambda d: change(d / "retrieval/find/qrels.parquet", pid=pl.lit("nowhere")),
            "judges the pid 'nowhere', which corpus.parquet lacks: add it there or drop the judgement",
        ),
        (
            lambda d: change(d / "retrieval/find/corpus.parquet", id=pl.lit("p")),
            "has the id 'p' twice",
        ),
        (
            lambda d: change(d / "clustering/group/test.parquet", labels=pl.col("labels").list.head(3)),
            "row 0 has not as many labels as sentences",
        ),
        (
            lambda d: (
                (d / "pairclass/same").rename(d / "sts/same") and (d / "sts/same/test.parquet").unlink()
            ),
            "missing",
        ),
    ],
)
def test_a_malformed_folder_gives_one_sentence_with_file_column_and_remedy(data, spoil, sentence):
    spoil(data)
    with pytest.raises(ValueError, match=sentence):
        for task in local_tasks(data):
            task.load_data()


def test_two_tasks_of_one_name_are_refused(data):
    (data / "sts/near").rename(data / "sts/find")
    with pytest.raises(ValueError, match="two tasks named find: rename one of the folders"):
        local_tasks(data)


def test_the_worlds_sets_are_written_once_and_a_folder_is_taken_as_it_is(tmp_path):
    made = evaluation_folder("world:evaluation", tmp_path / "evaluation")
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.parquet")}
    assert evaluation_folder("world:evaluation", tmp_path / "evaluation") == made
    assert before == {path: path.stat().st_mtime_ns for path in made.rglob("*.parquet")} != {}
    assert len({task.metadata.type for task in local_tasks(made)}) == 6
    assert evaluation_folder(f"folder:{tmp_path}", tmp_path / "unused") == tmp_path
    with pytest.raises(ValueError, match="'hub:C-MTEB' names no evaluation sets"):
        evaluation_folder("hub:C-MTEB", tmp_path / "unused")


def test_what_a_run_wrote_is_named_by_the_run(runs):
    run = open_run("04_instruct_finetune", "own", {}, {})
    (run.folder / "evaluation").mkdir()
    with pytest.raises(ValueError, match="the run own/04_instruct_finetune is not finished"):
        evaluation_folder("own/04_instruct_finetune", runs)
    run.finish()
    assert evaluation_folder("own/04_instruct_finetune", runs) == run.folder / "evaluation"
    with pytest.raises(ValueError, match="holds no task"):
        open_tasks("own/04_instruct_finetune")


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data/eval is not here")
def test_the_shared_evaluation_sets_load():
    tasks = local_tasks(SHARED)
    for task in tasks:
        task.load_data()
    assert len(tasks) == 18 and len({task.metadata.type for task in tasks}) == 6
