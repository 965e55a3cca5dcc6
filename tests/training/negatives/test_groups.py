"""Groups of labelled rows: pools by source, never what is right, everything counted."""

import random
from functools import partial

import numpy as np
import polars as pl
import pytest

from cpack_lib.corpus.labelled.instructions import INSTRUCTED
from cpack_lib.training.negatives import STRATEGIES, Window, groups, write_groups
from cpack_lib.training.negatives.layout import sources_of
from tests.training.negatives.conftest import ROWS, by_characters, table

LOOKED_AT_ALL = {"strategy": STRATEGIES["rank window"], "window": Window(first=0, last=9, count=2)}


@pytest.fixture
def written(tmp_path, encode):
    """The groups of ROWS, two negatives each, and the counts."""
    path = tmp_path / "groups.parquet"
    counts = write_groups(table(ROWS), encode, path, instruction="检索：", **LOOKED_AT_ALL)
    return pl.read_parquet(path), counts


def test_one_group_for_each_query_and_positive(written):
    made, _ = written
    assert [(row["query"], row["passages"][0]) for row in made.iter_rows(named=True)] == [
        ("检索：首都是哪里", "北京"),
        ("检索：首都是哪里", "北京市"),
        ("检索：首都 是哪里", "北京"),
        ("检索：最长的河", "长江"),
        ("雨停了", "雨不下了"),
        ("雨不下了", "雨停了"),
        ("检索：一", "壹"),
    ]


def test_negatives_come_from_the_source_and_never_say_what_is_right(written):
    made, _ = written
    negatives_of = {row[0]: set(row[1][1:]) for row in made.select("query", "passages").iter_rows()}
    assert negatives_of["检索：首都是哪里"] < {"上海", "长江", "黄河"}
    assert negatives_of["检索：首都 是哪里"] < {"上海", "长江", "黄河"}  # known from the other row
    assert negatives_of["检索：最长的河"] < {"北京", "北京市", "上海", "黄河"}  # 长江 is also labelled 0
    assert negatives_of["雨停了"] == {"雨还在下"} and negatives_of["雨不下了"] == {"雨还在下"}
    assert negatives_of["检索：一"] == set()


def test_how_negatives_were_made_is_counted(written):
    made, counts = written
    by_task = {(row["source"], row["task"]): row for row in counts.iter_rows(named=True)}
    nli, sts = by_task["句子", "nli"], by_task["句子", "sts"]
    assert (nli["given"], nli["mined"], nli["missing"]) == (1, 0, 1)
    assert (sts["groups"], sts["mined"], sts["missing"], sts["without_positive"]) == (1, 1, 1, 1)
    assert by_task["地理", "retrieval"] == {
        "source": "地理",
        "task": "retrieval",
        "groups": 3,
        "pool": 5,
        "given": 0,
        "mined": 6,
        "random": 0,
        "missing": 0,
        "rejected": 0,
        "recall": 1.0,
        "without_positive": 0,
    }
    assert by_task["孤行", "retrieval"]["missing"] == 2
    assert counts.select("given", "mined", "random").sum().sum_horizontal().item() == sum(
        len(passages) - 1 for passages in made["passages"]
    )


def test_cosines_and_origins_stand_beside_the_passages(written):
    made, _ = written
    for row in made.iter_rows(named=True):
        query = by_characters([row["query"].removeprefix("检索：")])
        np.testing.assert_allclose(
            row["cosines"], (by_characters(row["passages"]) @ query.T)[:, 0], atol=1e-6
        )
        assert len(row["origins"]) == len(row["passages"]) - 1
    assert made.schema["cosines"] == pl.List(pl.Float32) and made.schema["origins"] == pl.List(pl.String)


def test_each_different_text_is_embedded_once(tmp_path, encode):
    rows = [*ROWS, ("雨停了", ["首都是哪里"], [], "别处", "retrieval")]
    write_groups(table(rows), encode, tmp_path / "groups.parquet")
    assert len(encode.asked) == len(set(encode.asked))
    assert set(encode.asked) >= {"首都是哪里", "首都 是哪里", "北京", "黄河", "壹"}
    assert "北 京" not in encode.asked and "什么" not in encode.asked


def test_an_instruction_for_every_task_and_prompts_for_those_who_know_them(tmp_path, encode):
    own, prompts = {"nli": "推理：", "search": "搜索："}, {"nli": "问："}
    write_groups(table(ROWS), encode, tmp_path / "groups.parquet", instruction=own, prompt=prompts)
    queries = pl.read_parquet(tmp_path / "groups.parquet")["query"].to_list()
    assert queries[3:6] == ["搜索：最长的河", "推理：雨停了", "雨不下了"] and queries[0] == "首都是哪里"
    assert {text for text in encode.asked if "：" in text} == {"问：雨停了"}
    encode.asked.clear()
    write_groups(table(ROWS), encode, tmp_path / "groups.parquet", prompt="检索：")
    assert {text for text in encode.asked if "：" in text} == {
        f"检索：{query}" for query, pos, _, _, task in ROWS if task in INSTRUCTED
    }


def test_the_same_seed_writes_the_same_file_and_leaves_nothing_else(tmp_path, encode):
    paths = [tmp_path / name for name in ("a.parquet", "b.parquet")]
    for path in paths:
        write_groups(table(ROWS), encode, path, window=Window(first=0, last=9))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "given"])
def test_every_strategy_writes_groups(tmp_path, encode, name):
    path, window = tmp_path / "groups.parquet", Window(first=0, last=9)
    counts = write_groups(table(ROWS), encode, path, STRATEGIES[name], window, guide=by_characters)
    assert counts["groups"].sum() == pl.read_parquet(path).height == 7
    assert (counts["random"].sum() > 0) == (name == "at random")


def test_what_a_guide_rejects_is_counted_and_it_never_reads_prompts(tmp_path, encode):
    asked = []

    def guide(texts):
        asked.extend(texts)
        found = by_characters(texts)
        found[:, 0] = [10.0 * (text in ("黄河", "最长的河")) for text in texts]
        return found

    path, window = tmp_path / "groups.parquet", Window(first=0, last=9, count=4)
    given = {"strategy": STRATEGIES["guided"], "window": window, "prompt": "检索：", "guide": guide}
    counts = write_groups(table(ROWS), encode, path, **given)
    rejected = counts.filter(pl.col("source") == "地理", pl.col("task") == "search")["rejected"].item()
    assert rejected >= 1 and not any("：" in text for text in asked)
    made = pl.read_parquet(path).filter(pl.col("query") == "最长的河")
    assert "黄河" not in made["passages"][0].to_list()


def test_vectors_are_kept_for_the_next_who_mines_with_the_same_encoder(tmp_path, encode):
    window, kept = Window(first=0, last=9), tmp_path / "kept"
    write_groups(table(ROWS), encode, tmp_path / "a.parquet", window=window, vectors=kept)
    first = encode.asked.copy()
    write_groups(table(ROWS), encode, tmp_path / "b.parquet", window=window, vectors=kept)
    assert encode.asked == [*first, first[0]]  # once more, to know the encoder
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_interrupted_while_it_chooses_it_embeds_nothing_anew(tmp_path, encode):
    def interrupted(search, window):
        raise KeyboardInterrupt

    path = tmp_path / "groups.parquet"
    with pytest.raises(KeyboardInterrupt):
        write_groups(table(ROWS), encode, path, strategy=interrupted)
    assert not path.exists()
    first = encode.asked.copy()
    write_groups(table(ROWS), encode, path)
    assert encode.asked == [*first, first[0]]
    assert [each.name for each in tmp_path.iterdir()] == ["groups.parquet"]


def test_a_large_pool_is_searched_in_cells_and_the_recall_is_told(tmp_path, encode, monkeypatch):
    texts = ["".join(random.Random(i).choices("天地玄黄宇宙洪荒日月盈昃", k=6)) for i in range(300)]
    rows = [(f"{text}吗", [text], [], "诗", "retrieval") for text in dict.fromkeys(texts)]
    monkeypatch.setattr(groups, "new_cells", partial(groups.new_cells, texts_per_cell=100))
    found = {}
    for exact_up_to in (1_000, 100):
        path = tmp_path / f"{exact_up_to}.parquet"
        window = Window(2, 30, 3, exact_up_to=exact_up_to, looked_at=1)
        counts = write_groups(table(rows), encode, path, window=window)
        found[exact_up_to] = counts["recall"][0]
        assert counts["mined"].sum() == 3 * counts["groups"].sum()
    assert found[1_000] == 1.0 and 0.3 < found[100] < 1.0


def test_nothing_is_drawn_twice_from_lists_of_unequal_length(tmp_path, encode):
    rows = [
        ("甲", ["乙"], ["丙"] * 3, "句子", "nli"),
        ("丁", ["戊", "戊", " 戊"], ["己", "庚", "辛", "壬", "己"], "句子", "nli"),
        ("癸", ["子"], [], "句子", "nli"),
    ]
    counts = write_groups(table(rows), encode, tmp_path / "groups.parquet", window=Window(0, 9, count=3))
    made = pl.read_parquet(tmp_path / "groups.parquet")
    assert made.height == 3 and made["passages"].list.len().to_list() == [4, 4, 4]
    assert all(len(set(passages)) == 4 for passages in made["passages"].to_list())
    assert made["origins"].list.count_matches("given").to_list() == [1, 3, 0]
    assert counts.select("given", "mined", "missing").row(0) == (4, 5, 0)


def test_a_source_in_which_everything_is_right_has_no_negatives(tmp_path, encode):
    rows = [("甲", ["乙", "丙"], [], "一", "retrieval"), ("甲", ["丁"], ["乙"], "一", "retrieval")]
    counts = write_groups(table(rows), encode, tmp_path / "groups.parquet", window=Window(0, 9, count=2))
    assert pl.read_parquet(tmp_path / "groups.parquet")["passages"].to_list() == [["乙"], ["丙"], ["丁"]]
    assert counts.select("groups", "pool", "mined", "random", "missing").row(0) == (3, 3, 0, 0, 6)


def test_a_text_that_no_vector_is_made_of_is_named(tmp_path):
    def broken(texts):
        found = by_characters(texts)
        found[[text == "黄河" for text in texts]] = np.nan
        return found

    with pytest.raises(ValueError, match="NaN or infinity of '黄河'"):
        write_groups(table(ROWS), broken, tmp_path / "groups.parquet")
    assert not (tmp_path / "groups.parquet").exists()


@pytest.mark.parametrize("rows", [[], ROWS[5:6]])
def test_a_table_without_positives_is_refused(tmp_path, encode, rows):
    with pytest.raises(ValueError, match=f"none of the {len(rows)} labelled rows has a positive"):
        write_groups(table(rows), encode, tmp_path / "groups.parquet")


def some_rows(seed):
    """Random rows in which texts are often the same, but for spaces, widths and capitals."""
    chance = random.Random(seed)

    def text():
        return chance.choice(["", " "]).join(chance.choices("aAｂB马馬", k=chance.randint(1, 2)))

    def texts(least):
        return [text() for _ in range(chance.randint(least, 3))]

    tasks = ("retrieval", "nli", "sts")
    return [(text(), texts(0), texts(0), chance.choice("东西"), chance.choice(tasks)) for _ in range(40)]


def bare(text):
    """What a text is compared by."""
    return text.replace(" ", "").lower().replace("ｂ", "b").replace("馬", "马")


@pytest.mark.parametrize("seed", range(5))
def test_a_source_is_what_loops_over_its_rows_make_of_it(seed):
    rows = [row for row in some_rows(seed) if row[1]]
    for source in sources_of(table(some_rows(seed)), {"sts": "似："}):
        mine = [row for row in rows if row[3] == source.name]
        pool = {}
        for text in [text for side in (1, 2) for row in mine for text in row[side]]:
            pool.setdefault(bare(text), text)
        place = {key: i for i, key in enumerate(pool)}
        assert source.pool.to_list() == list(pool.values())
        groups, own, partners = [], [], []
        for query, pos, neg, _, task in mine:
            right = {bare(query), *(bare(t) for row in mine if bare(row[0]) == bare(query) for t in row[1])}
            for positive in dict.fromkeys(map(bare, pos)):
                groups.append((query, task, ("似：" if task == "sts" else "") + query, place[positive]))
                own.append({place[key] for key in right if key in place})
                partners.append(set() if task in INSTRUCTED else {place[bare(text)] for text in neg})
        assert source.groups.rows() == groups
        assert [set(source.own[i].tolist()) for i in range(len(groups))] == own
        assert [set(source.partners[i].tolist()) for i in range(len(groups))] == partners


def test_rows_of_the_table_stay_apart_from_those_of_other_sources():
    names = [source.name for source in sources_of(table(ROWS), {})]
    assert names == ["地理", "句子", "孤行"]
    sizes = {source.name: len(source.pool) for source in sources_of(table(ROWS), {})}
    assert sizes == {"地理": 5, "句子": 3, "孤行": 1}


def test_given_takes_label_0_partners_of_searches_too(tmp_path, encode):
    window = Window(first=0, last=9)
    for name, origins in (("rank window", ["mined"]), ("given", ["given"])):
        write_groups(table(ROWS), encode, tmp_path / "groups.parquet", STRATEGIES[name], window)
        made = pl.read_parquet(tmp_path / "groups.parquet").filter(pl.col("query") == "首都是哪里")
        assert made["origins"].to_list() == [origins] * 2
    assert made["passages"].list.get(1).to_list() == ["上海", "上海"]
