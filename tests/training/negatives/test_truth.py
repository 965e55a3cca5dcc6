"""False negatives, where the embedded world knows them."""

import numpy as np
import polars as pl
import pytest

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.corpus.world.knowledge import is_false_negative
from cpack_lib.training.negatives import (
    STRATEGIES,
    Window,
    false_among,
    false_negative_share,
    false_negatives,
    write_groups,
)
from tests.training.negatives.conftest import by_characters


@pytest.fixture(scope="module")
def labelled():
    """Rows of the embedded world."""
    return open_table("world:labelled", "labelled", 600).read()


@pytest.fixture(scope="module")
def groups(labelled, tmp_path_factory):
    """Groups mined from the first ranks, where false negatives are."""
    path = tmp_path_factory.mktemp("groups") / "groups.parquet"
    write_groups(
        labelled, by_characters, path, window=Window(first=0, last=10, count=2), instruction="检索："
    )
    return path


def test_the_share_is_that_of_a_loop_over_all_negatives(groups):
    table, loops = pl.read_parquet(groups), {}
    for row in table.iter_rows(named=True):
        for text, origin in zip(row["passages"][1:], row["origins"], strict=True):
            count = loops.setdefault((row["task"], origin), [0, 0])
            count[0] += 1
            count[1] += is_false_negative(row["query"], text)
    found = false_negatives(groups)
    assert {row[:2]: list(row[2:4]) for row in found.iter_rows()} == loops
    assert found["false"].sum() > 5
    assert found["share"].to_list() == [false / count for count, false in loops.values()]
    asked = found.filter(pl.col("task") == "retrieval")
    assert false_negative_share(groups) == asked["false"].sum() / asked["negatives"].sum()
    assert false_negatives(table).equals(found)


def test_label_0_partners_are_no_answers_and_mined_texts_may_be(groups):
    share = {row[:2]: row[4] for row in false_negatives(groups).iter_rows()}
    assert share["nli", "given"] == share["sts", "given"] == 0 < share["retrieval", "mined"]


def test_a_labelled_answer_would_be_a_false_negative(labelled):
    rows = labelled.filter(pl.col("task") == "retrieval").head(20)
    queries, pool = rows["query"].to_list(), rows["pos"].list.first().to_list()
    places = np.stack([np.arange(20), np.roll(np.arange(20), 1), np.full(20, -1)], axis=1)
    found = false_among(queries, pool, places)
    assert found[:, 0].all() and not found[:, 2].any()
    assert found[:, 1].tolist() == [
        is_false_negative(q, p) for q, p in zip(queries, np.roll(pool, -19), strict=True)
    ]


def test_the_first_ranks_let_more_through_than_chance(labelled, tmp_path):
    share = {}
    for name in ("rank window", "at random"):
        path = tmp_path / "groups.parquet"
        write_groups(labelled, by_characters, path, STRATEGIES[name], Window(first=0, last=5, count=3))
        share[name] = false_negative_share(path)
    assert share["rank window"] > share["at random"] >= 0


def test_texts_from_elsewhere_have_no_truth(groups):
    columns = {"query": ["问"], "passages": [["甲", "乙"]], "origins": [["mined"]], "task": ["retrieval"]}
    with pytest.raises(ValueError, match="nobody knows which negatives of '知识' are false"):
        false_negatives(pl.DataFrame(columns | {"source": ["知识"]}))
    with pytest.raises(ValueError, match="no negative is one of search; name tasks"):
        false_negative_share(groups, tasks=["search"])
