"""`cpack doctor` on models and runs that are sound, and on ones that were broken on purpose."""

import argparse
import json
import math
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.evaluation.diagnosis import doctor
from cpack_lib.evaluation.diagnosis.doctor import examine
from cpack_lib.evaluation.diagnosis.opening import encoding, opened, sample_texts
from cpack_lib.evaluation.diagnosis.sets import tasks_in
from cpack_lib.evaluation.diagnosis.tasks import item_scores, of_labels, of_pairs
from cpack_lib.model.bag import Bag, give_to_bert
from cpack_lib.model.encoder import Encoder, load_encoder, save_encoder
from cpack_lib.model.tokens import train_pieces, train_wordpiece

INSTRUCTION = "为这个句子生成表示以用于检索相关文章："
WIDTH = 128


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers that begins as a spelled bag: it finds texts by their characters, untrained."""
    texts = [text for seed in (3, 5) for text in sample_texts("world", 900, seed)]
    tokenizer = train_pieces(texts, 5_000)
    shape = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256}
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    share = np.bincount(np.concatenate([np.unique(row) for row in ids]), minlength=len(tokenizer)) / len(ids)
    bag = Bag(len(tokenizer), WIDTH, share + 1e-3, 0, tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **shape))
    give_to_bert(bag.table.data, model, tokenizer.cls_token_id)
    folder = tmp_path_factory.mktemp("sound") / "encoder"
    save_encoder(Encoder(model.bert, tokenizer), folder, INSTRUCTION)
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of world texts, one a line."""
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    lines = [text.replace("\n", " ") for text in sample_texts("world", 250, seed=5)]
    path.write_text("\n".join(lines), "utf-8")
    return str(path)


def fired(reports) -> dict[str, str]:
    """Finding -> its severity, of those that fire."""
    return {each.name: each.severity for report in reports for each in report.findings if each.fires}


def saved(folder: Path, place: Path, change, **options) -> str:
    """The encoder of a folder, changed and saved to another place."""
    encoder = load_encoder(folder)
    with torch.no_grad():
        encoder = change(encoder) or encoder
    save_encoder(encoder, place, **options)
    return str(place)


def test_a_sound_model_is_fine_and_the_exit_code_0(sound, texts, capsys):
    parser = argparse.ArgumentParser()
    doctor.arguments(parser)
    assert doctor.run(parser.parse_args([str(sound), "--texts", texts])) == 0
    said = capsys.readouterr().out
    assert "11 diagnostics, 0 warnings, 0 failures" in said and "wrong pooling" in said


def test_a_model_pooled_by_mean_is_recognised_and_the_exit_code_1(sound, texts, tmp_path, capsys):
    wrong = tmp_path / "mean"
    shutil.copytree(sound, wrong)
    config = wrong / "1_Pooling" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"pooling_mode": "mean"}))
    parser = argparse.ArgumentParser()
    doctor.arguments(parser)
    assert doctor.run(parser.parse_args([str(wrong), "--texts", texts])) == 1
    said = capsys.readouterr().out
    assert "hubs" in said and "→ scale vectors to length one" in " ".join(said.split())


def test_a_plain_bert_is_looked_at_and_its_pooling_called_a_guess(sound, texts, tmp_path):
    plain = tmp_path / "bert"
    encoder = load_encoder(sound)
    encoder.backbone.save_pretrained(plain)
    encoder.tokenizer.save_pretrained(plain)
    reports = examine(str(plain), texts)
    assert "hubs" in fired(reports)
    assert any("modules.json" in reason for reason in reports[0].missed)


def louder(encoder: Encoder) -> None:
    """Values a million times as large, and weights that make up for it."""
    attention = encoder.backbone.encoder.layer[0].attention
    attention.self.value.weight *= 1e6
    attention.self.value.bias *= 1e6
    attention.output.dense.weight /= 1e6


def damaged(encoder: Encoder) -> None:
    """One number that is none."""
    encoder.backbone.embeddings.LayerNorm.weight[0] = torch.nan


def latin(encoder: Encoder) -> Encoder:
    """The tokenizer of another language."""
    lines = open_table("world:pairs", "pairs", 900).read().filter(pl.col("language") == "en")["text_b"]
    return Encoder(encoder.backbone, train_wordpiece(lines.to_list(), 400))


def collapsed(encoder: Encoder) -> None:
    """All texts in one direction: a bias that drowns what they say."""
    encoder.backbone.encoder.layer[-1].output.LayerNorm.bias[:] = torch.linspace(-30, 30, WIDTH)


@pytest.mark.parametrize(
    ("change", "options", "name", "severity"),
    [
        (louder, {}, "float16 overflow", "failure"),
        (damaged, {}, "vectors not finite", "failure"),
        (latin, {}, "unknown tokens", "failure"),
        (latin, {}, "rows without an id", "failure"),
        (collapsed, {}, "crowded space", "failure"),
        (lambda encoder: None, {"longest": 16}, "truncated texts", "failure"),
    ],
)
def test_a_model_broken_on_purpose_is_recognised(sound, texts, tmp_path, change, options, name, severity):
    found = fired(examine(saved(sound, tmp_path / "broken", change, **options), texts))
    assert found[name] == severity


def test_a_loud_model_is_broken_in_nothing_else(sound, texts, tmp_path):
    assert set(fired(examine(saved(sound, tmp_path / "loud", louder), texts))) == {"float16 overflow"}


@pytest.mark.parametrize(
    ("name", "texts_", "said"),
    [
        ("nobody/nothing", "world", "'nobody/nothing' is no run"),
        ("bm25", "world", "bm25 ranks by words and makes no vectors"),
        ("{tmp}", "world", "holds neither a training nor an encoder"),
        ("{sound}", "{tmp}/none.txt", "none.txt is no file"),
        ("{sound}", "{tmp}/texts.pdf", "ends in '.pdf'"),
        ("{sound}", "{tmp}/table.csv", "has the columns word"),
        ("{sound}", "{tmp}/empty.txt", "holds 0 different texts"),
    ],
)
def test_names_that_stand_for_nothing_are_one_sentence(sound, runs, tmp_path, name, texts_, said):
    (tmp_path / "texts.pdf").write_text("x")
    (tmp_path / "table.csv").write_text("word\nx\n")
    (tmp_path / "empty.txt").write_text("\n\n")
    given = [each.format(tmp=tmp_path, sound=sound) for each in (name, texts_)]
    with pytest.raises(ValueError, match=said) as error:
        examine(*given)
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_loaded_is_one_sentence(tmp_path):
    (tmp_path / "modules.json").write_text("[{]")
    with pytest.raises(ValueError, match="cannot be loaded"):
        examine(str(tmp_path))


def test_a_training_whose_settings_are_damaged_is_one_sentence(tmp_path):
    (tmp_path / "config.json").write_text('{"objective": "contr')
    with pytest.raises(ValueError, match="config.json is damaged"):
        examine(str(tmp_path))


def test_texts_come_from_any_table_without_blanks_or_copies(tmp_path):
    pl.DataFrame({"text_b": ["甲", "甲", " 乙 ", "", None]}).write_parquet(tmp_path / "t.parquet")
    pl.DataFrame({"passages": [["甲", "乙"], ["丙"]]}).write_parquet(tmp_path / "g.parquet")
    assert sorted(sample_texts(str(tmp_path / "t.parquet"))) == ["乙", "甲"]
    assert len(sample_texts(str(tmp_path / "g.parquet"))) == 3
    assert len(sample_texts("world", 50, seed=1)) == 50


@pytest.fixture(scope="module")
def groups() -> pl.DataFrame:
    """Questions of the world with an answer, and another answer to another question."""
    world = open_table("world:labelled", "labelled", 1_500, 2).read().filter(pl.col("task") == "retrieval")
    rows = world.select("query", positive=pl.col("pos").list.first(), fact="truth_fact", source="source")
    return rows.unique("query", maintain_order=True).unique("positive", maintain_order=True)


def training(run: Path, sound: Path, groups: pl.DataFrame, steps: int = 40, **settings) -> Path:
    """A training folder in a run folder, with the log of a training that went well."""
    folder = run / "contrast"
    folder.mkdir(parents=True)
    groups.write_parquet(run / "groups.parquet")
    config = {
        "objective": "contrast",
        "start": str(sound),
        "data": str(run / "groups.parquet"),
        "steps": steps,
    }
    config |= {"rows_per_step": 128, "learning_rate": 1e-4, "temperature": 0.05}
    (folder / "config.json").write_text(json.dumps(config | settings))
    lines = [
        {"step": n + 1, "steps": steps, "loss": 3.0 - n / steps, "gradient_norm": 1.2 - n / (2 * steps)}
        for n in range(steps)
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "memory.json").write_text(json.dumps({"needed_gib": {"one chunk": 1.0, "free": 10.0}}))
    return folder


def with_negatives(groups: pl.DataFrame, shift: int = 1, instruction: str = "") -> pl.DataFrame:
    """Groups of a positive and the positive of another row, as mined."""
    other = pl.Series(np.roll(groups["positive"].to_numpy(), shift))
    return groups.select(
        query=instruction + pl.col("query"),
        passages=pl.concat_list("positive", other),
        origins=pl.concat_list(pl.lit("mined")),
        source="source",
    )


def test_a_run_that_went_well_is_fine_but_for_its_easy_negatives(sound, runs, texts, groups):
    run = runs / "demo" / "04_instruct_finetune"
    training(run, sound, with_negatives(groups, 7, INSTRUCTION))
    shutil.copytree(sound, run / "encoder")
    reports = examine("demo/04_instruct_finetune", texts)
    assert [report.title for report in reports] == ["training contrast", "encoder"]
    assert fired(reports) == {"easy negatives": "failure"}


@pytest.mark.parametrize(("instructed", "said"), [("searches", {}), ("every task", {}), ("no task", None)])
def test_what_training_puts_before_queries_is_compared_with_the_prompt(
    sound, runs, texts, groups, instructed, said
):
    run = runs / "demo" / "04_instruct_finetune"
    bare = with_negatives(groups, 7).with_columns(task=pl.lit("retrieval"))
    way = {"instructed": "as written"} if said is None else {"instructed": instructed}
    folder = training(run, sound, bare, instruction="" if said is None else INSTRUCTION, **way)
    (run / "groups.parquet").rename(folder / "groups.parquet")  # where a moved run has it
    shutil.copytree(sound, run / "encoder")
    findings = {each.name: each for each in examine("demo/04_instruct_finetune", texts)[0].findings}
    assert not findings["missing instruction"].fires
    prompts = json.loads((run / "encoder" / "config_sentence_transformers.json").read_text())
    prompts["prompts"]["query"] = "别的指令："
    (run / "encoder" / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    findings = {each.name: each for each in examine("demo/04_instruct_finetune", texts)[0].findings}
    assert findings["missing instruction"].fires == (said is not None)


def test_pairs_without_negatives_are_fine_in_every_respect(sound, runs, texts, groups):
    run = runs / "demo" / "03_contrast_pairs"
    pairs = groups.select(text_a="query", text_b="positive", source="source")
    folder = training(run, sound, pairs)
    assert fired(examine("demo/03_contrast_pairs", texts)) == {}
    assert fired(examine(str(folder), texts)) == {}


def test_a_moved_run_finds_its_data_and_one_without_data_says_so(sound, runs, texts, groups):
    run = runs / "demo" / "03_contrast_pairs"
    folder = training(run, sound, groups.select(text_a="query", text_b="positive", source="source"))
    config = json.loads((folder / "config.json").read_text()) | {"data": "elsewhere/groups.parquet"}
    (folder / "config.json").write_text(json.dumps(config))
    named = {finding.name for finding in examine(str(run), texts)[0].findings}
    assert "few negatives" in named
    (run / "groups.parquet").unlink()
    assert "its data: they are gone" in examine(str(run), texts)[0].missed


def test_answers_among_mined_negatives_are_recognised_and_labelled_ones_left_alone(
    sound, runs, texts, groups
):
    twins = groups.join(groups.select("fact", again="positive"), on="fact", maintain_order="left")
    twins = twins.filter(pl.col("again") != pl.col("positive"))
    made = twins.select("query", passages=pl.concat_list("positive", "again"), source="source")
    assert len(made) > 100
    for origin, is_found in (("mined", True), ("given", False)):
        run = runs / "demo" / origin
        training(run, sound, made.with_columns(origins=pl.concat_list(pl.lit(origin))))
        assert ("false negatives" in fired(examine(f"demo/{origin}", texts))) == is_found


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"temperature": 0.001}, "low temperature"),
        ({"temperature": 1.0}, "high temperature"),
        ({"rows_per_step": 2}, "few negatives"),
    ],
)
def test_settings_that_teach_little_are_recognised(sound, runs, texts, groups, settings, name):
    pairs = groups.select(text_a="query", text_b="positive", source="source")
    training(runs / "demo" / "a", sound, pairs, **settings)
    assert name in fired(examine("demo/a", texts))


def test_an_instruction_that_the_saved_encoder_forgot_is_recognised(sound, runs, texts, groups, tmp_path):
    run = runs / "demo" / "a"
    training(run, sound, with_negatives(groups, 7, INSTRUCTION))
    saved(sound, run / "encoder", lambda encoder: None)
    assert fired(examine("demo/a", texts))["missing instruction"] == "failure"


def test_a_training_that_died_tells_why(sound, runs, texts, groups):
    pairs = groups.select(text_a="query", text_b="positive", source="source")
    folder = training(runs / "demo" / "a", sound, pairs, steps=40)
    config = json.loads((folder / "config.json").read_text()) | {"steps": 100}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "stderr.log").write_text(
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n"
    )
    report = examine("demo/a", texts)[0]
    assert fired([report]) == {"out of memory": "failure"}
    assert "the training is not finished: step 40 of 100" in report.missed
    failed = {"step": 40, "loss": "nan", "gradient_norm": "nan", "rows": [1, 2]}
    (folder / "failed_step.json").write_text(json.dumps(failed))
    assert "loss not finite" in fired(examine("demo/a", texts))


def test_old_errors_of_a_training_that_finished_are_no_finding(sound, runs, texts, groups):
    pairs = groups.select(text_a="query", text_b="positive", source="source")
    folder = training(runs / "demo" / "a", sound, pairs)
    (folder / "stderr.log").write_text("CUDA out of memory\n")
    (folder / "failed_step.json").write_text("{}")
    assert fired(examine("demo/a", texts)) == {}


def test_a_training_that_did_not_begin_is_looked_at_all_the_same(sound, runs, texts, groups):
    pairs = groups.select(text_a="query", text_b="positive", source="source")
    folder = training(runs / "demo" / "a", sound, pairs)
    (folder / "log.jsonl").unlink()
    report = examine("demo/a", texts)[0]
    assert fired([report]) == {} and "the training is not finished: step 0 of 40" in report.missed


@pytest.mark.parametrize(
    ("change", "name", "reason"),
    [
        (collapsed, "crowded space", "its data: two texts drawn at random"),
        (damaged, "vectors not finite", "its data: 250 of 250 vectors hold NaN"),
    ],
)
def test_a_broken_encoder_does_not_judge_the_data(sound, runs, texts, groups, change, name, reason):
    run = runs / "demo" / "a"
    training(run, sound, with_negatives(groups))
    saved(sound, run / "encoder", change, instruction=INSTRUCTION)
    reports = examine("demo/a", texts)
    assert name in fired(reports) and "easy negatives" not in fired(reports)
    assert any(reason in missed for missed in reports[0].missed)


# evaluation sets


def test_tasks_are_found_by_folder_or_one_by_one(data):
    assert len(tasks_in(data)) == 6
    assert [task.path.name for task in tasks_in(data / "sts" / "near")] == ["near"]
    with pytest.raises(ValueError, match="no task"):
        tasks_in(data / "sts" / "far")


def test_every_type_of_task_has_scores_of_its_items(data, sound):
    encode = encoding(opened(sound), prompts=True)
    for task in tasks_in(data):
        scores = item_scores(task, encode)
        assert len(scores) > 1 and (scores >= 0).all() and (scores <= 1).all(), task.metadata.name


def test_items_are_scored_by_what_their_vectors_say():
    angle = {"甲": 0.0, "乙": 0.1, "丙": 2.0, "丁": 2.2}

    def encode(some, side):
        return np.array([[math.cos(angle[text]), math.sin(angle[text])] for text in some])

    assert of_labels(list(angle), np.array(["x", "x", "y", "y"]), encode).mean() == pytest.approx(1 / 3)
    pairs = {"sentence1": ["甲", "丙", "甲"], "sentence2": ["乙", "丁", "丙"], "labels": [1, 1, 0]}
    assert of_pairs(pairs, encode, np.random.default_rng(0), "labels").tolist() == [1, 1, 1]
    graded = {"sentence1": ["甲", "丙", "甲"], "sentence2": ["乙", "丁", "丙"], "score": [5.0, 3.0, 0.0]}
    assert of_pairs(graded, encode, np.random.default_rng(0), "score").tolist() == [1, 1, 1]


def test_a_run_that_trained_on_a_task_is_contaminated_and_another_is_not(sound, runs, texts, groups, data):
    corpus = pl.read_parquet(data / "retrieval" / "find" / "corpus.parquet")["text"].to_list()
    pairs = groups.select(text_a="query", text_b="positive", source="source")
    leaked = pairs.head(len(corpus)).with_columns(text_b=pl.Series(corpus))
    for name, rows in (("sound", pairs), ("leaked", pl.concat([pairs, leaked]))):
        run = runs / "demo" / name
        training(run, sound, rows)
        shutil.copytree(sound, run / "encoder")
    assert "contamination" not in fired(examine("demo/sound", texts, data))
    found = fired(examine("demo/leaked", texts, data / "retrieval" / "find"))
    assert found["contamination"] == "failure"


def test_a_task_that_a_training_has_unlearnt_is_named(sound, runs, texts, groups):
    folder = runs / "sets" / "retrieval" / "facts"
    folder.mkdir(parents=True)
    some = groups.head(200).with_row_index("id").with_columns(pl.col("id").cast(str))
    some.select("id", text="query").write_parquet(folder / "queries.parquet")
    some.select("id", text="positive").write_parquet(folder / "corpus.parquet")
    some.select(qid="id", pid="id", score=pl.lit(1)).write_parquet(folder / "qrels.parquet")
    run = runs / "demo" / "a"
    training(run, sound, groups.select(text_a="query", text_b="positive", source="source"))
    saved(sound, run / "encoder", scrambled)
    found = fired(examine("demo/a", texts, folder))
    assert found["harmed task"] == "failure"


def scrambled(encoder: Encoder) -> None:
    """Hundreds of tokens with one meaning each time: it has unlearnt what told them apart."""
    weight = encoder.backbone.embeddings.word_embeddings.weight
    weight[:] = weight[torch.arange(len(weight)) % 20 + 100]
