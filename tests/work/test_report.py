"""Promises of cpack_lib.work.pages.report, kept on made-up runs and looked at in a browser."""

import json
import re

import matplotlib.pyplot as plt
import polars as pl
import pytest

from cpack_lib.work import figures
from cpack_lib.work.cli import main
from cpack_lib.work.pages.report import losses, write_report
from cpack_lib.work.runs import open_run

MODELS = [
    "lexical (BM25)",
    "demo/02_pretrain_retromae",
    "demo/03_contrast_pairs",
    "demo/04_instruct_finetune",
]
NASTY = "<script>document.title = 'owned'</script> & 北京烤鸭怎么做？"


def finish(notebook, make):
    run = open_run(notebook, "demo", {"run_name": "demo"})
    make(run)
    run.finish(score=0.5)


def make_curation(run):
    rules = [("extract", "html", 1000, 900), ("filter", "length", 900, 400), ("dedup", "near", 400, 390)]
    rows = [
        (step, *rule, source) for step, rule in enumerate(rules) for source in ("百科 <b>wiki</b>", "forum")
    ]
    columns = ["step", "stage", "rule", "rows_in", "rows_out", "source"]
    run.table(pl.DataFrame(rows, schema=columns, orient="row"), "funnel")
    figure, ax = plt.subplots()
    ax.bar(["原始", "干净"], [1000, 390])
    run.figure(figure, "funnel")


def make_training(run):
    lines = [json.dumps({"step": step, "steps": 2000, "loss": 5 / (step**0.5)}) for step in range(1, 2001)]
    (run.folder / "contrast").mkdir()
    (run.folder / "contrast/log.jsonl").write_text("\n".join(lines) + '\n{"step": 20')


def make_scores(run):
    types = ["Retrieval", "Reranking", "STS", "PairClassification", "Classification", "Clustering"]
    rows = [
        (model, f"{NASTY if task == 'Retrieval' else task}-1", task, "ndcg_at_10", 0.3 + 0.1 * place)
        for task in types
        for place, model in enumerate(MODELS)
    ]
    table = pl.DataFrame(rows, schema=["model", "task", "type", "metric", "score"], orient="row")
    run.table(table, "scores")
    types = table.pivot("type", index="model", values="score", aggregate_function="mean")
    run.table(types.with_columns(mean_over_datasets=pl.mean_horizontal(types.columns[1:])), "averages")


def make_space(run):
    figure, ax = plt.subplots()
    ax.scatter(range(200), [value**2 % 37 for value in range(200)])
    ax.annotate("菜肴", (100, 20))
    run.figure(figure, "map")
    answers = [{"text": NASTY, "score": 0.912}, {"text": "葱爆羊肉的家常做法，十五分钟就好。", "score": 0.61}]
    entries = [{"query": f"{NASTY} {place}", "answers": answers} for place in range(3)]
    (run.folder / "neighbours.json").write_text(json.dumps(entries, ensure_ascii=False))


@pytest.fixture
def demo(runs):
    """A whole run, all of it made up."""
    with plt.rc_context():
        figures.use_style()
        finish("01_curate_pairs", make_curation)
        for notebook in ("02_pretrain_retromae", "03_contrast_pairs", "04_instruct_finetune"):
            finish(notebook, make_training)
        finish("05_evaluate_cmteb", make_scores)
        finish("06_map_embeddings", make_space)
    plt.close("all")
    return runs / "demo"


def test_the_report_is_one_small_file_that_asks_no_other_host(demo):
    page = write_report("demo").read_text("utf-8")
    assert len(page) < 1_500_000
    assert not re.search(r'(src|href)=(?!"data:)|url\((?!data:)|@import', page)
    assert "default-src 'none'" in page


def test_text_of_the_corpus_is_text(demo):
    page = write_report("demo").read_text("utf-8")
    assert "<script" not in page and "<b>wiki" not in page
    assert "&lt;script&gt;document.title" in page


@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_shows_it_whole(demo, measure, width):
    seen = measure(write_report("demo"), width)
    assert seen["missing"] == [] and seen["chinese"] > 10 and seen["narrow"] == []
    assert seen["broken"] == [] and seen["images"] == 5
    assert seen["wide"] <= width and seen["scripts"] == 0
    assert "<script>document.title = 'owned'</script> & 北京烤鸭怎么做？" in seen["text"]


def test_the_best_of_each_column_is_bold_and_trained_models_are_marked(demo):
    page = write_report("demo").read_text("utf-8")
    averages = page[page.index("Averages by task type") : page.index("Task by task")]
    rows = averages.split("<tr")[2:]
    assert [row.count("<strong>") for row in rows] == [0, 0, 0, 7]
    assert [row.startswith(' class="ours"') for row in rows] == [False, True, True, True]


def test_the_funnel_adds_the_sources_up(demo):
    page = write_report("demo").read_text("utf-8")
    assert "2,000</td>" in page and "44.4 %" in page


def test_what_is_absent_is_said_to_be_absent(runs):
    open_run("03_contrast_pairs", "demo", {"run_name": "demo"})
    page = write_report("demo").read_text("utf-8")
    assert "Nothing in this run is finished" in page
    for word in (
        "No funnel.csv",
        "No training log",
        "No scores.csv",
        "No map of the embeddings",
        "No neighbours",
    ):
        assert word in page
    assert "03_contrast_pairs: <b>not finished" in page and "01: <b>not made in this run" in page


def test_a_step_logged_twice_counts_once_and_half_a_line_not_at_all(tmp_path):
    (tmp_path / "log.jsonl").write_text(
        '{"step": 1, "loss": 3}\n{"step": 2, "loss": 9}\n{"step": 2, "loss": 2}\n{"ste'
    )
    assert losses(tmp_path / "log.jsonl").rows() == [(1, 3.0), (2, 2.0)]


def test_a_run_that_is_not_there_is_named(runs, capsys):
    assert main(["report", "none"]) == 2
    assert "there is no run 'none'" in capsys.readouterr().err


def test_the_command_prints_the_page(demo, capsys):
    assert main(["report", "demo"]) == 0
    assert capsys.readouterr().out.strip() == str(demo / "report.html")
