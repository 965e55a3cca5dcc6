"""The profile `own`: a CSV of questions and answers becomes a model that is trained, evaluated and saved."""

import numpy as np
import polars as pl
import pytest
import yaml
from sentence_transformers import SentenceTransformer

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.model.encoder import new_encoder, save_encoder
from cpack_lib.model.tokens import train_pieces
from cpack_lib.work.files import ROOT, read_json
from cpack_lib.work.launch import run_profile
from cpack_lib.work.plan import plan_profile

BAD = "没有答案的问题？, \n一行,有三个,格子\n"
SHORTER = {"rows_per_step": 16, "steps": 8, "longest": 48, "truth_rows": 250, "probes": 20}


@pytest.fixture
def home(tmp_path, runs):
    """The profile as it stands, pointed at a CSV and an encoder made here, and with fewer steps."""
    rows = open_table("world:labelled", "labelled", rows=400, seed=3).read()
    rows = rows.filter(pl.col("task") == "retrieval").head(150)
    table = rows.select(pl.col("query").alias("问题"), pl.col("pos").list.first().alias("答案"))
    (tmp_path / "faq.csv").write_text(table.write_csv() + BAD, "utf-8-sig")
    tokens = train_pieces([*table["问题"], *table["答案"]], 1_000)
    save_encoder(new_encoder("nano", tokens), tmp_path / "begun")
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    begun, yours = str(tmp_path / "begun"), f"folder:{tmp_path}/faq.csv"
    tuned = {"contrasted": begun, "labelled": yours, "columns": ["问题=query", "答案=pos"]} | SHORTER
    scored = {"models": [begun, "own/04_instruct_finetune"], "draws": 50}
    for name, changes in (("04_instruct_finetune", tuned), ("05_evaluate_cmteb", scored)):
        values = yaml.safe_load((ROOT / f"params/own/{name}.yaml").read_text("utf-8")) | changes
        path = tmp_path / f"params/own/{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    return tmp_path


def test_a_csv_becomes_a_model_with_its_evaluation(home, runs):
    run_profile("own", home=home)
    tuned, scored = runs / "own/04_instruct_finetune", runs / "own/05_evaluate_cmteb"
    unfit = pl.read_parquet(tuned / "unfit.parquet").sort("row")
    assert unfit["reason"].to_list() == ["pos is empty", "not 2 fields"]
    asked = pl.read_parquet(tuned / "evaluation/retrieval/held_out/queries.parquet")["text"]
    trained = pl.read_parquet(max((tuned / "finetune").glob("groups-*.parquet")))["query"]
    assert 10 < len(asked) <= 20 and not any(query.endswith(tuple(asked)) for query in trained)
    scores = pl.read_csv(scored / "scores.csv")
    assert set(scores["task"]) == {"held_out"} and scores["model"].n_unique() == 4
    released = SentenceTransformer(str(scored / "release"), device="cpu")
    vectors = released.encode(["怎么做？", "先洗手。"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert released.prompts["query"] and "held_out" in (scored / "release/README.md").read_text("utf-8")
    assert read_json(scored / "manifest.json", {"figures": dict})["figures"]["tasks"] == 1
    before = SentenceTransformer(str(home / "begun"), device="cpu").encode(["怎么做？", "先洗手。"])
    assert not np.allclose(vectors, before, atol=1e-3)


def test_a_table_that_is_not_there_is_named_before_anything_starts(home, runs):
    (home / "faq.csv").unlink()
    with pytest.raises(ValueError, match=r"labelled is .*faq\.csv', but .* does not exist"):
        plan_profile("own", home=home)
    assert not runs.exists()
