"""No row with an evaluation text, or with much of one, stays; and it is said in which task it was found."""

import pickle
import random

import polars as pl
import pytest

from cpack_lib.corpus.clean.contamination import (
    LEAST,
    SHARE,
    Unquoted,
    Unseen,
    contamination_report,
    decontamination,
    overlaps,
)
from cpack_lib.corpus.clean.evaluation_index import COMMON, RUN, WINDOW, folds_of, indexed
from cpack_lib.corpus.clean.rule import PAIRS, TEXTS
from cpack_lib.corpus.clean.text import normalised
from cpack_lib.corpus.copies.keys import pair_keys, text_keys
from cpack_lib.work.files import ROOT

MARGIN = WINDOW - 1  # characters at each end of a stretch that may go uncounted
ASIDE = {"rule": pl.String, "detail": pl.String, "text_a": pl.String, "text_b": pl.String}


LETTERS = folds_of(pl.Series(map(chr, range(0x4E00, 0x9000)))).unique(maintain_order=True).to_list()


def text(draw: random.Random, length: int) -> str:
    return "".join(draw.choices(LETTERS, k=length))


@pytest.fixture
def draw() -> random.Random:
    return random.Random(0)


@pytest.fixture
def passages(draw) -> list[str]:
    return [text(draw, 300) for _ in range(4)]


@pytest.fixture
def quoted(passages, tmp_path) -> Unquoted:
    return Unquoted(
        TEXTS, indexed([("search", pl.Series(passages)), ("sts", pl.Series(passages[:1]))], tmp_path)
    )


def stays(rule, *texts: str) -> list[bool]:
    return rule.judge(pl.DataFrame({"text": texts})).to_list()


def test_a_row_with_an_evaluation_text_on_either_side_goes(tmp_path):
    seen = indexed([("sts/a", pl.Series(["句 一", "句二", ""]))], tmp_path)
    pairs = pl.DataFrame(
        {"text_a": ["句一", "甲", "甲", "句一句二", ""], "text_b": ["乙", "句二\u200b", "乙", "丙", "丁"]}
    )
    rule = Unseen(PAIRS, seen)
    assert rule.judge(pairs).to_list() == [False, False, True, True, True]
    assert rule.judge(pair_keys(pairs)).equals(rule.judge(pairs))
    assert rule.judge(pairs.with_columns(pair_keys(pairs[::-1]))).to_list() == [
        True,
        True,
        True,
        False,
        False,
    ]
    texts = pl.Series("text", ["句一", "别的"])
    assert Unseen(TEXTS, seen).judge(texts.to_frame()).to_list() == [False, True]
    assert Unseen(TEXTS, seen).judge(pl.DataFrame({"text_key": text_keys(texts)})).to_list() == [False, True]


def test_the_tasks_are_named(tmp_path):
    seen = indexed([("b", pl.Series(["甲", "乙"])), ("a", pl.Series(["甲", "丙"]))], tmp_path)
    pairs = pl.DataFrame({"text_a": ["甲", "丁", "乙"], "text_b": ["乙", "戊", "戊"]})
    assert Unseen(PAIRS, seen).detail(pairs).to_list() == ["a; b", None, "b"]
    assert Unquoted(PAIRS, seen).detail(pairs).to_list() == [None] * 3


def test_what_is_cut_out_of_an_evaluation_text_goes_and_so_does_what_cites_one(quoted, passages, draw):
    cut, whole = (
        passages[0][100 : 100 + LEAST * RUN + 2 * MARGIN],
        text(draw, 400) + passages[1] + text(draw, 400),
    )
    assert stays(quoted, cut, whole, passages[2].replace(passages[2][150], "，"), text(draw, 300)) == [
        False,
        False,
        False,
        True,
    ]
    frame = pl.DataFrame({"text": [cut, whole, text(draw, 100)]})
    assert quoted.detail(frame).to_list() == ["search; sts", "search", None]
    pairs = pl.DataFrame({"text_a": ["题", cut], "text_b": [whole, "题"]})
    assert quoted.judge(pairs).to_list() == [False, False]


def test_a_name_in_both_is_no_evidence(tmp_path, draw):
    name = text(draw, LEAST * RUN - 1)  # longer than a run, shorter than two
    title, passage = name + "第三条", name + text(draw, 150)
    rule = Unquoted(TEXTS, indexed([("law", pl.Series([passage]))], tmp_path))
    assert stays(rule, title, name, name + text(draw, 60)) == [True] * 3
    both = passage[: LEAST * RUN + MARGIN] + text(draw, 150)  # more than a name, less than half of either
    assert stays(rule, both, passage[: LEAST * RUN + MARGIN]) == [True, False]


def test_a_short_text_goes_where_it_is_half_of_both(tmp_path, draw):
    clause = text(draw, 30)
    rule = Unquoted(TEXTS, indexed([("law", pl.Series(["旅游法第九条：" + clause]))], tmp_path))
    assert stays(rule, "第九条 " + clause, clause + text(draw, 40)) == [False, True]


def test_a_phrase_of_many_evaluation_texts_is_no_evidence(tmp_path, draw):
    phrase = text(draw, 100)
    laws = pl.Series([phrase + text(draw, 20) for _ in range(COMMON + 1)])
    assert stays(Unquoted(TEXTS, indexed([("law", laws)], tmp_path)), phrase) == [True]
    assert stays(Unquoted(TEXTS, indexed([("law", laws[1:])], tmp_path)), phrase) == [False]


def test_what_is_covered_is_what_is_shared_but_for_the_edges(draw, tmp_path):
    for _ in range(60):
        shared = [text(draw, draw.randint(RUN + MARGIN, 90)) for _ in range(draw.randint(1, 3))]
        train, test = ("".join(text(draw, draw.randint(1, 50)) + part for part in shared) for _ in "ab")
        found = overlaps(pl.Series([text(draw, 9), train]), indexed([("a", pl.Series([test]))], tmp_path))
        ((row, number, covered),) = found.rows()
        assert (row, number) == (1, 0)
        total = sum(map(len, shared))
        assert total - 2 * MARGIN * len(shared) <= covered <= total
    same = overlaps(pl.Series([train]), indexed([("a", pl.Series([train]))], tmp_path))
    assert same["covered"].to_list() == [len(train)]


def test_a_shard_is_judged_row_by_row(quoted, passages, draw):
    texts = [
        passages[draw.randrange(4)][: draw.randint(0, 300)] + text(draw, draw.randint(0, 300))
        for _ in range(80)
    ]
    frame = pl.DataFrame({"text": texts})
    whole, details = quoted.judge(frame), quoted.detail(frame)
    assert 10 < whole.sum() < 70
    assert whole.to_list() == [stays(quoted, given)[0] for given in texts]
    assert details.is_null().equals(whole)
    assert details.filter(~whole).equals(quoted.detail(frame.filter(~whole)))


@pytest.mark.parametrize("rule", [Unseen, Unquoted])
def test_shards_without_rows_or_texts_are_judged(rule, quoted):
    judge = rule(PAIRS, quoted.evaluation)
    empty = pl.DataFrame(schema={"text_a": pl.String, "text_b": pl.String})
    assert judge.judge(empty).dtype == pl.Boolean and judge.judge(empty).is_empty()
    assert judge.detail(empty).dtype == pl.String and judge.detail(empty).is_empty()
    assert judge.judge(pl.DataFrame({"text_a": ["", "短"], "text_b": [None, "  "]})).to_list() == [True, True]
    with pytest.raises(ValueError, match="a frame of page holds no texts: it needs one of"):
        judge.judge(pl.DataFrame({"page": ["甲"]}))


def test_rules_of_a_folder_go_through_pickle_as_a_path(tmp_path, passages):
    (tmp_path / "eval/sts/a").mkdir(parents=True)
    pl.DataFrame({"sentence1": passages}).write_parquet(tmp_path / "eval/sts/a/test.parquet")
    rules = decontamination(f"folder:{tmp_path}/eval", tmp_path / "index")
    assert [(rule.stage, rule.name) for rule in rules] == [
        (PAIRS, "evaluation"),
        (PAIRS, "evaluation runs"),
        (TEXTS, "evaluation"),
        (TEXTS, "evaluation runs"),
    ]
    assert len(pickle.dumps(rules)) < 1500
    frame = pl.DataFrame({"text": [passages[0], passages[1][:200], "别的"]})
    judged = [rule.judge(frame).to_list() for rule in pickle.loads(pickle.dumps(rules))[2:]]
    assert judged == [[False, True, True], [False, False, True]]
    assert decontamination("", tmp_path) == []


def test_the_report_counts_rows_by_task_and_rule():
    rejected = pl.DataFrame(
        [
            ("evaluation", "a; b", "题", "文"),
            ("evaluation", "a", None, "长" * 500),
            ("evaluation runs", "b", "题", "文"),
            ("pair again", "c", "题", "文"),
            ("short", None, "题", "文"),
        ],
        schema=ASIDE,
        orient="row",
    )
    report = contamination_report(rejected)
    assert report.drop("example").rows() == [
        ("a", "evaluation", 2),
        ("b", "evaluation", 1),
        ("b", "evaluation runs", 1),
    ]
    assert report["example"][0] == "题 | 文" and report["example"].str.len_chars().max() <= 120
    assert contamination_report(rejected[1:2])["example"].to_list() == ["长" * 120]


@pytest.mark.parametrize("detail", [pl.String, pl.Null])
def test_the_report_of_nothing_is_an_empty_table(detail):
    for rejected in (
        pl.DataFrame(schema=ASIDE),
        pl.DataFrame({"rule": ["x"], "text_a": ["a"], "text_b": ["b"]}),
    ):
        report = contamination_report(rejected.with_columns(detail=pl.lit(None, detail)))
        assert report.is_empty() and report.columns == ["task", "rule", "rows", "example"]


@pytest.mark.skipif(not (ROOT / "../shared/data/eval").is_dir(), reason="../shared/data is not here")
def test_laws_of_the_shared_evaluation_are_found_under_another_heading(tmp_path):
    unseen, unquoted, *_ = decontamination("folder:../shared/data/eval", tmp_path)
    corpus = pl.read_parquet(
        ROOT / "../shared/data/eval/retrieval/stard_law/corpus.parquet", columns=["text"]
    )
    assert not unseen.judge(corpus).any()
    long = corpus.filter(pl.col("text").str.len_chars() > 120).head(500)
    bare = long.select(text="第一条 " + pl.col("text").str.slice(20))
    assert unseen.judge(bare).mean() > 0.9 and unquoted.judge(bare).mean() < 0.05
    assert SHARE < 1 and unquoted.detail(bare).str.contains("retrieval/stard_law").sum() > 450


def test_evaluation_texts_are_repaired_before_they_are_looked_for(tmp_path):
    task = tmp_path / "sets" / "sts" / "contacts"
    task.mkdir(parents=True)
    written = ["泡菜問題請打電話13800138000", "頭髮怎麼洗？"]
    pl.DataFrame({"sentence1": written}).write_parquet(task / "test.parquet")
    rule = decontamination(f"folder:{tmp_path / 'sets'}", tmp_path / "known")[0]
    repaired = pl.DataFrame({"text_a": written, "text_b": "泡菜"}).with_columns(normalised(pl.col("text_a")))
    assert repaired["text_a"].to_list() == ["泡菜问题请打电话〔电话〕", "头发怎么洗？"]
    assert not rule.judge(repaired).any()
