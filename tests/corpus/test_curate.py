"""The pipeline as a whole: every row is kept or set aside, the funnel adds up, and shards do not show."""

import random
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import xxhash
from datasets import load_dataset

from cpack_lib.corpus import curate as module
from cpack_lib.corpus.clean.contamination import decontamination
from cpack_lib.corpus.clean.relevance import Relevant
from cpack_lib.corpus.clean.rule import KEPT, PAIRS, SET, STAGES
from cpack_lib.corpus.clean.rules import RULES, chosen
from cpack_lib.corpus.copies.keys import First, copies
from cpack_lib.corpus.copies.near import near_copies
from cpack_lib.corpus.curate import curate
from cpack_lib.corpus.read.sources import open_table
from cpack_lib.corpus.treat import treat_pairs
from cpack_lib.work.files import ROOT
from cpack_lib.work.workers.pool import TasksFailed

COPIES = copies(same_text=2)
PAGE = """# 泡菜

泡菜是一种用盐水发酵的蔬菜，四川人家家户户都会做，吃起来又酸又脆。

## 坛子

坛子要先用开水烫过，再晾干，不能沾一点油，也不能沾生水。
"""


def run(folder, documents, given, rules=RULES, copies=COPIES, **options):
    """(funnel, pairs, texts, rejected)."""
    funnel = curate(documents, given, folder, list(rules), copies, **options)
    return (funnel, *(read(folder, name) for name in ("pairs", "texts", "rejected")))


def read(folder, name) -> pl.DataFrame:
    """All shards of one of the three sets."""
    files = sorted((folder / name).iterdir())
    names = [f"train-{number:05}-of-{len(files):05}.parquet" for number in range(len(files))]
    assert [file.name for file in files] == names
    return pl.concat(map(pl.read_parquet, files), how="diagonal_relaxed") if files else pl.DataFrame()


def documents(*texts: str) -> pl.DataFrame:
    ids = [str(n) for n in range(len(texts))]
    return pl.DataFrame(
        {"id": ids, "text": texts, "source": ["网"] * len(texts), "licence": ["CC0"] * len(texts)},
        schema=dict.fromkeys(["id", "text", "source", "licence"], pl.String),
    )


def given(*rows: tuple[str, str], **more) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"text_a": pl.String, "text_b": pl.String}, orient="row")
    return frame.with_columns(source=pl.lit("书"), kind=pl.lit("qa"), **more)


@pytest.fixture(scope="module")
def world():
    """Dirty documents and pairs, a few hundred of each."""
    return [open_table(f"world:{kind}", kind, rows=600, seed=5).read() for kind in ("documents", "pairs")]


def test_pages_and_given_pairs_become_one_set(tmp_path):
    funnel, pairs, texts, _ = run(
        tmp_path, [documents(PAGE)], [given(("什么菜又酸又脆？", "泡菜。"), page=pl.lit(3))]
    )
    assert pairs.select("text_a", "kind", "document", "page").rows() == [
        ("泡菜", "title_body", "0", None),
        ("泡菜：坛子", "heading_section", "0", None),
        ("泡菜", "entity_description", "0", None),
        ("什么菜又酸又脆？", "qa", None, 3),
    ]
    assert pairs["licence"].to_list() == ["CC0"] * 3 + [None]
    assert texts.columns == ["text", "source", "document", "licence"] and texts["text"].to_list() == [
        PAGE.replace("#", "").replace("\n\n", "\n").replace(" ", "").strip()
    ]
    assert pl.read_csv(tmp_path / "funnel.csv").equals(funnel.cast({"step": pl.Int64}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["funnel.csv", "pairs", "rejected", "texts"]


def test_every_row_is_kept_or_set_aside_and_the_funnel_says_which(tmp_path, world):
    funnel, pairs, texts, rejected = run(tmp_path, [world[0]], [world[1]])
    assert (funnel["rows_out"] <= funnel["rows_in"]).all()
    lost = funnel.filter(~pl.col("stage").is_in(["pages", "sides"])).with_columns(
        lost=pl.col("rows_in") - pl.col("rows_out")
    )
    lost = lost.filter(pl.col("lost") > 0).select("stage", "rule", "source", "lost")
    found = rejected.group_by("stage", "rule", "source").agg(lost=pl.len().cast(pl.Int64))
    assert lost.sort("stage", "rule", "source").equals(found.sort("stage", "rule", "source"))
    for stage, kept in (("set", pairs), ("texts", texts)):
        last = funnel.filter(pl.col("stage") == stage, pl.col("step") == pl.col("step").max().over("stage"))
        assert last["rows_out"].sum() == len(kept)
    first = funnel.filter(pl.col("step") == 1)
    assert first["rows_in"].sum() == len(world[0]) == first["rows_out"].sum()


def test_what_leaves_a_rule_enters_the_next(tmp_path, world):
    funnel, *_ = run(tmp_path, [world[0]], [world[1]])
    for stage in STAGES:
        steps = funnel.filter(pl.col("stage") == stage).partition_by("step", maintain_order=True)
        for before, after in zip(steps, steps[1:], strict=False):
            left = before.filter(pl.col("rows_out") > 0).select(
                "source", rows_in="rows_out", characters_in="characters_out"
            )
            assert left.equals(after.select("source", "rows_in", "characters_in"))
    assert funnel["step"].unique().to_list() == list(range(1, funnel["step"].max() + 1))


def test_shards_do_not_show(tmp_path, monkeypatch, world):
    rules = chosen(["everywhere=off"])
    monkeypatch.setattr(module, "ROWS_PER_SHARD", 1)
    whole = run(tmp_path / "one", [world[0]], [world[1]], rules)
    parts = run(tmp_path / "many", world[0].iter_slices(37), world[1].iter_slices(101), rules)
    for one, many in zip(whole[:3], parts[:3], strict=True):
        assert one.equals(many)
    assert whole[3].sort(pl.all()).equals(parts[3].sort(pl.all()))


def test_planted_faults_are_set_aside_and_clean_pages_are_not(tmp_path, world):
    _, pairs, _, rejected = run(tmp_path, [world[0]], [])
    gone = rejected.filter(pl.col("stage") == "documents")["document"]
    fate = world[0].select("truth_kind", gone=pl.col("id").is_in(gone.implode()))
    share = dict(fate.group_by("truth_kind").agg(pl.col("gone").mean()).rows())
    assert share["clean"] == 0 and share["exact_copy"] == 0 and share["contact"] == 0
    assert share["mojibake"] == share["foreign"] == share["short"] == 1
    assert min(share[fault] for fault in ("advert", "spam", "boilerplate", "repeated")) > 0.8
    assert rejected.filter(pl.col("rule") == "noise")["text_b"].str.len_chars().min() > 0
    assert not pairs["text_b"].str.contains(r"@example\.(com|org)|000-555").any()


def test_copies_are_set_aside_across_shards_and_inputs(tmp_path):
    rows = [
        ("问题一是什么", "答案一"),
        ("问题一 是什么", "答案一"),
        ("问题一是什么", "答案二"),
        ("问题一是什么", "答案三"),
        ("别的问题", "答案一"),
    ]
    _, pairs, _, rejected = run(tmp_path, [], [given(row) for row in rows])
    assert pairs.select("text_a", "text_b").rows() == [rows[0], rows[2], rows[4]]
    assert rejected.select("rule", "text_b").rows() == [("pair again", "答案一"), ("text_a again", "答案三")]


def test_evaluation_texts_are_taken_out_and_counted(tmp_path):
    seen = ["问题 二？", "这是一段在测试集里面出现过的文字，应该被拿掉，不能留在训练数据里面。"]
    (tmp_path / "sets" / "sts" / "asked").mkdir(parents=True)
    pl.DataFrame({"sentence1": seen}).write_parquet(tmp_path / "sets" / "sts" / "asked" / "test.parquet")
    rules = decontamination(f"folder:{tmp_path / 'sets'}", tmp_path / "known")
    rows = [
        ("问题一？", "答案"),
        ("问题二？", "答案"),
        ("问题三？", "这是一段在测试集里面出现过的文字，应该被拿掉，不能留在训练数据里面。"),
    ]
    funnel, pairs, texts, rejected = run(tmp_path / "run", [], [given(*rows)], rules, [])
    assert pairs["text_a"].to_list() == ["问题一？"] and texts.is_empty()
    told = ("pairs", "evaluation", "sts/asked")
    assert rejected.select("stage", "rule", "detail").rows() == [told, told]
    assert funnel.filter(pl.col("rule") == "evaluation").select("rows_in", "rows_out").row(0) == (3, 1)
    page = documents("# 题\n" + seen[1])
    *_, texts, rejected = run(tmp_path / "page", [page], [], rules, [])
    assert texts.is_empty() and ("texts", "evaluation runs") in rejected.select("stage", "rule").rows()


def test_relevance_is_asked_last_and_only_about_what_is_left(tmp_path):
    asked = []

    def encode(texts):
        asked.extend(texts)
        return np.array([[len(text), 1.0] if "乙" in text else [1.0, 0.0] for text in texts])

    once, rules = [First("pair again", SET, "pair_key", 1)], [Relevant(KEPT, encode, limit=0.99)]
    funnel, pairs, *_ = run(
        tmp_path, [], [given(("甲甲", "甲"), ("甲甲", "甲"), ("甲甲", "乙"))], rules, once
    )
    assert pairs["text_b"].to_list() == ["甲"] and sorted(asked) == ["乙", "甲", "甲甲"]
    assert funnel.select("stage", "rule").rows()[-2:] == [("set", "pair again"), ("kept", "relevance")]


def test_a_long_document_gives_passages_of_whole_lines(tmp_path):
    lines = [f"第{n}行：" + "泡菜要用盐水慢慢发酵，急不得。" * 3 for n in range(60)]
    _, _, texts, _ = run(tmp_path, [documents("\n".join(lines))], [])
    assert "\n".join(texts["text"]).split("\n") == lines
    assert texts["text"].str.len_chars().max() < 600 and len(texts) > 5


def test_kinds_limit_what_pages_become(tmp_path):
    _, pairs, *_ = run(tmp_path, [documents(PAGE)], [], kinds=["title_body"])
    assert set(pairs["kind"]) == {"title_body"}


SPREAD = """
import sys
from pathlib import Path
from cpack_lib.corpus import curate as module
from cpack_lib.corpus.clean.rules import RULES
from cpack_lib.corpus.copies.keys import copies
from cpack_lib.corpus.copies.near import near_copies
from cpack_lib.corpus.read.sources import open_table
module.ROWS_PER_SHARD = 50
tables = [open_table(f"world:{kind}", kind, rows=600, seed=5).read() for kind in ("documents", "pairs")]
shards = [table.iter_slices(60) for table in tables]
module.curate(*shards, Path(sys.argv[1]), RULES, [*copies(2), *near_copies(0.7)], workers=sys.argv[2])
"""


def bytes_of(folder) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): xxhash.xxh3_64_hexdigest(path.read_bytes()) for path in files}


@pytest.fixture(scope="module")
def spread(tmp_path_factory):
    """The files that one process makes of twenty shards."""
    folder = tmp_path_factory.mktemp("spread") / "here"
    subprocess.run([sys.executable, "-c", SPREAD, folder, "1"], check=True, cwd=ROOT)
    return bytes_of(folder)


@pytest.mark.parametrize("workers", ["2", "ray"])
def test_any_workers_make_the_same_bytes(tmp_path, spread, workers):
    subprocess.run([sys.executable, "-c", SPREAD, tmp_path / "run", workers], check=True, cwd=ROOT)
    assert bytes_of(tmp_path / "run") == spread and len(spread) > 20


def test_a_run_killed_again_and_again_ends_with_the_same_bytes(tmp_path, spread):
    folder, draw, kills = tmp_path / "run", random.Random(4), 0
    while True:
        program = subprocess.Popen(
            [sys.executable, "-c", SPREAD, folder, "2"], cwd=ROOT, start_new_session=True
        )
        try:
            assert program.wait(timeout=2 + 3 * draw.random() + kills) == 0
            break
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
            kills += 1
    assert kills and bytes_of(folder) == spread


def test_a_run_killed_while_it_clears_up_ends_with_the_same_bytes(tmp_path, world, monkeypatch):
    run(tmp_path / "whole", [world[0]], [world[1]])
    whole = bytes_of(tmp_path / "whole")
    delete = shutil.rmtree

    def killed(folder, **_):
        if folder.exists() and list(folder.glob("documents-*")):
            next(folder.rglob("*.arrow")).unlink()
            raise KeyboardInterrupt
        delete(folder, **_)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.shutil, "rmtree", killed)
        run(tmp_path / "killed", [world[0]], [world[1]])
    run(tmp_path / "killed", [world[0]], [world[1]])
    assert bytes_of(tmp_path / "killed") == whole


def test_a_bad_shard_is_named_and_the_others_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_SHARD", 1)
    shards = [given(("问题一", "答案一")), given(("坏问题", "答案")), given(("问题二", "答案二"))]

    class Bad:
        name, stage, reason = "bad", PAIRS, "it breaks"

        def judge(self, frame):
            if self.broken and "坏问题" in frame["text_a"]:
                raise ZeroDivisionError("this shard cannot be judged")
            return pl.Series([True] * len(frame))

    bad, treated = Bad(), []
    bad.broken = True
    with pytest.raises(TasksFailed, match=r"1 of 3 tasks failed: pairs-000001 \(.*cannot be judged"):
        run(tmp_path, [], shards, [bad])
    bad.broken = False
    monkeypatch.setattr(
        module, "treat_pairs", lambda *args, **options: treated.append(1) or treat_pairs(*args, **options)
    )
    _, pairs, *_ = run(tmp_path, [], shards, [bad])
    assert pairs["text_a"].to_list() == ["问题一", "坏问题", "问题二"] and len(treated) == 1


def test_other_rows_or_other_rules_are_never_taken_for_these(tmp_path):
    def halting(rows):
        yield given(*rows)
        raise KeyError("stopped here")

    for rows, rules in (([("问题", "甲")], RULES), ([("问题", "乙")], RULES), ([("问题", "甲")], [])):
        with pytest.raises(KeyError):
            curate([], halting(rows), tmp_path, rules)
    _, pairs, *_ = run(tmp_path, [], [given(("问题", "丙"))])
    assert pairs["text_b"].to_list() == ["丙"]


def test_near_copies_go_and_the_first_stays(tmp_path):
    passage = "泡菜是一种用盐水发酵的蔬菜，四川人家家户户都会做，吃起来又酸又脆，做的时候不能沾油。"
    rows = [("泡菜是什么菜？", passage), ("泡菜是什么菜", passage.replace("又酸又脆", "又脆又酸"))]
    _, pairs, texts, rejected = run(tmp_path, [], [given(*rows)], copies=near_copies(0.6))
    assert pairs["text_b"].to_list() == [passage] and texts["text"].to_list() == [passage]
    assert set(rejected["rule"]) == {"pair nearly again", "text nearly again"}


def test_datasets_loads_what_is_written(tmp_path, world):
    _, pairs, *_ = run(tmp_path, [world[0]], [world[1]])
    loaded = load_dataset(str(tmp_path / "pairs"), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded.num_rows == len(pairs) and loaded[0]["text_a"] == pairs["text_a"][0]
    assert loaded.column_names == pairs.columns


def test_a_crash_leaves_no_file_that_looks_whole(tmp_path):
    def broken():
        yield given(("问题一", "答案一"))
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        curate([], broken(), tmp_path, RULES)
    assert [path.name for path in tmp_path.iterdir()] in ([], [".parts"])


@pytest.mark.parametrize("shard", [documents(), documents("", "\u200b", "<html>", "```\ncode\n```", "---")])
def test_documents_without_text_are_set_aside_too(tmp_path, shard):
    funnel, pairs, texts, rejected = run(tmp_path, [shard], [])
    assert (
        pairs.is_empty()
        and texts.is_empty()
        and len(rejected.filter(pl.col("stage") == "documents")) == len(shard)
    )


def test_nothing_in_gives_empty_files(tmp_path):
    funnel, pairs, texts, rejected = run(tmp_path, [], [])
    assert funnel.is_empty() and pairs.is_empty() and texts.is_empty() and rejected.is_empty()


def test_random_pages_are_all_accounted_for(tmp_path):
    rng = random.Random(0)
    pieces = [
        "# 题\n",
        "<p>",
        "</div>",
        "泡菜是一种菜。",
        "\n\n",
        "问：",
        "答：",
        "\u200b",
        "|a|b|\n|-|-|\n",
        "&nbsp;",
        "QQ：123456",
        "```",
        "字" * 40,
    ]
    shard = documents(*("".join(rng.choices(pieces, k=rng.randrange(20))) for _ in range(300)))
    funnel, _, _, rejected = run(tmp_path, [shard], [])
    step = funnel.filter(pl.col("stage") == "documents")
    assert step["rows_in"][0] == 300
    assert 300 - step["rows_out"][-1] == len(rejected.filter(pl.col("stage") == "documents"))


def test_pairs_that_are_made_pass_the_rules_for_pairs(tmp_path, world):
    _, pairs, *_ = run(tmp_path, [world[0]], [world[1]])
    for rule in (rule for rule in RULES if rule.stage == PAIRS):
        assert rule.judge(pairs).all(), rule.name


@pytest.mark.skipif(not (ROOT / "../shared/data/raw").is_dir(), reason="../shared/data is not here")
def test_the_shared_raw_pages_give_pairs_of_all_kinds(tmp_path):
    table = open_table("folder:../shared/data/raw", "documents", per_source=12)
    funnel, pairs, *_ = run(tmp_path, table, [])
    assert pairs["source"].n_unique() == 8 and pairs["kind"].n_unique() >= 4
    assert not pairs["text_b"].str.contains("<p>|</|&nbsp;|\\+\\+\\+\\$").any()
