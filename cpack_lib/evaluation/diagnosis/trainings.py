"""All diagnostics that the folder of a training allows: its log, what it said, its memory, its data.

A training folder is one that `run_program("cpack_lib.training.loop", ...)` made: it has config.json, the
settings, and soon log.jsonl, a line per step. Axes: Q queries, D width.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cpack_lib.evaluation.diagnosis import log as of_log
from cpack_lib.evaluation.diagnosis.contrast import (
    easy_negatives,
    few_negatives,
    hidden_answers,
    high_temperature,
    low_temperature,
)
from cpack_lib.evaluation.diagnosis.findings import Finding, judged
from cpack_lib.evaluation.diagnosis.texts import beginning, missing_instruction
from cpack_lib.model.instructions import sides
from cpack_lib.training.settings import Settings
from cpack_lib.work.files import read_json

ROWS = 512  # of the training data that are embedded
ASKED = 64  # queries whose push is compared
YOUNG = 20  # steps that a log has before its end says whether anything was learnt
FEWEST = 30  # negatives that a share is taken of
CONTRASTS = ("bag", "contrast")
Encode = Callable[[list[str]], np.ndarray]  # texts -> (N, D), each row of length one


def is_training(folder: Path) -> bool:
    """Whether a folder is that of a training."""
    path = folder / "config.json"
    return path.is_file() and "objective" in read_json(path, {})


def trainings_of(folder: Path) -> list[Path]:
    """The training folders in a run folder, or the folder itself, in the order of the alphabet."""
    return (
        [folder] if is_training(folder) else sorted(path for path in folder.glob("*/") if is_training(path))
    )


def read_settings(folder: Path) -> dict[str, Any]:
    """What a training was told, with the defaults of what it was not."""
    known = {each.name: each for each in fields(Settings)}
    defaults = {
        name: each.default if each.default is not MISSING else each.default_factory()
        for name, each in known.items()
        if each.default is not MISSING or each.default_factory is not MISSING
    }
    return defaults | read_json(folder / "config.json", {})


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a log that are whole."""
    path = folder / "log.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def look_at_log(
    lines: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], passages: int
) -> list[Finding]:
    """What the lines of a log tell; `passages` are those that a query of a step chooses from."""
    losses, norms = [line["loss"] for line in lines], [line["gradient_norm"] for line in lines]
    findings = [of_log.loss_not_finite(losses, norms)]
    if settings["objective"] in CONTRASTS and len(losses) >= YOUNG:
        judges = (of_log.nothing_learnt, of_log.worse_than_blind, of_log.contrast_solved)
        findings += [judge(losses, passages) for judge in judges]
    if len(norms) >= YOUNG:
        findings.append(of_log.unsteady_gradients(norms))
    looks = [line["probe_mean"] for line in lines if "probe_mean" in line]
    if len(looks) > 1:
        findings.append(of_log.falling_probe(looks))
    tasks = {name for line in lines for name in line if name.startswith("watch_loss_")}
    watched = {name[11:]: [line[name] for line in lines if name in line] for name in sorted(tasks)}
    if watched:
        findings.append(of_log.rising_task(watched))
    return findings


def look_at_end(
    folder: Path, lines: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> list[Finding]:
    """What a training that did not reach its last step left: its last words, and a step that failed."""
    findings = []
    memory = folder / "memory.json"
    if memory.is_file():
        needed = dict(read_json(memory, {"needed_gib": dict})["needed_gib"])
        findings.append(of_log.out_of_memory(needed, needed.pop("free")))
    if lines and lines[-1]["step"] >= settings["steps"]:
        return findings
    errors, failed = folder / "stderr.log", folder / "failed_step.json"
    if failed.is_file():
        told = read_json(failed, {"step": int})
        evidence = f"step {told['step'] + 1} has loss {told['loss']}, gradient norm {told['gradient_norm']}"
        remedy = "a lower learning_rate, a higher temperature; look at the rows in failed_step.json"
        findings.append(judged("loss not finite", np.inf, evidence, remedy))
    if errors.is_file():
        named = {finding.name for finding in findings if finding.fires}
        said = of_log.last_words(errors.read_text("utf-8", errors="replace"))
        findings += [finding for finding in said if finding.name not in named]
    return findings


def read_groups(path: Path, seed: int = 0) -> pl.DataFrame:
    """A sample of what is contrasted: query, passages (the positive first), origins of negatives and task, or
    null.
    """
    table = pl.read_parquet(path)
    if "text_a" in table.columns:
        table = table.select(query="text_a", passages=pl.concat_list("text_b"))
    for name, kind in (("origins", pl.List(pl.String)), ("task", pl.String)):
        if name not in table.columns:
            table = table.with_columns(pl.lit(None, dtype=kind).alias(name))
    table = table.select("query", "passages", "origins", "task")
    return table.sample(min(ROWS, len(table)), seed=seed, shuffle=True)


def look_at_groups(
    groups: pl.DataFrame, settings: Mapping[str, Any], passages: int, encode: Encode
) -> list[Finding]:
    """What an encoder sees in the groups that are trained on; their queries without an instruction."""
    begin, temperature = beginning(groups["query"].to_list()), settings["temperature"]
    queries = encode([text.removeprefix(begin) for text in groups["query"]])  # (Q, D)
    positives = encode(groups["passages"].list.first().to_list())  # (Q, D)
    findings = [high_temperature(passages, temperature)]
    count = min(passages, len(positives))
    if count > 1:
        cosines = queries[:count] @ positives[:count].T
        findings.append(low_temperature(cosines, np.arange(count), temperature))
        findings.append(few_negatives(queries[:ASKED], positives, count, temperature))
    negatives = groups.with_row_index("row").select(
        "row", text=pl.col("passages").list.slice(1), origin=pl.col("origins")
    )
    return findings + look_at_negatives(negatives, queries, positives, encode)


def look_at_negatives(
    negatives: pl.DataFrame, queries: np.ndarray, positives: np.ndarray, encode: Encode
) -> list[Finding]:
    """Given negatives (row, text list, origin list): easy ones, and answers among those nobody labelled."""
    unlabelled = negatives.filter(pl.col("text").list.len() > 0)
    if unlabelled["origin"].null_count() < len(unlabelled):
        unlabelled = unlabelled.explode("text", "origin").filter(pl.col("origin") != "given")
    else:
        unlabelled = unlabelled.explode("text")
    if len(unlabelled) < FEWEST:
        return []
    rows, vectors = unlabelled["row"].to_numpy(), encode(unlabelled["text"].to_list())
    return [
        easy_negatives(queries[rows], vectors, positives),
        hidden_answers(queries[rows], positives[rows], vectors),
    ]


def look_at_training(
    folder: Path, encode: Encode | str, prompt: str | None
) -> tuple[list[Finding], list[str]]:
    """All of it; `encode` judges the data, or says why nothing can; `prompt` is the saved encoder's."""
    settings, lines, missed = read_settings(folder), read_log(folder), []
    data, findings = data_of(folder, settings), []
    contrasts = settings["objective"] in CONTRASTS
    groups = read_groups(data) if contrasts and data else None
    per_query = 1 if groups is None else groups["passages"].list.len().mean()
    passages = max(2, round(settings["rows_per_step"] * per_query))
    findings += look_at_end(folder, lines, settings)
    if lines:
        findings += look_at_log(lines, settings, passages)
    if len(lines) < settings["steps"]:
        missed.append(f"the training is not finished: step {len(lines):,} of {settings['steps']:,}")
    if groups is None:
        missed.append("its data: " + ("they are gone" if contrasts else "only contrasts have groups"))
    elif isinstance(encode, str):
        missed.append(f"its data: {encode}")
    else:
        findings += look_at_groups(groups, settings, passages, encode)
        if prompt is not None:
            findings.append(missing_instruction(as_trained(groups, settings), prompt))
    return findings, missed


def as_trained(groups: pl.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """The queries of groups behind what the training put before them, by their task."""
    if settings["instructed"] == "as written":
        return groups["query"].to_list()
    told = (settings["instructed"], settings["instruction"], settings["language"])
    before = {task: sides(task, *told).query for task in groups["task"].unique()}
    return [before[task] + query for task, query in groups.select("task", "query").iter_rows()]


def data_of(folder: Path, settings: Mapping[str, Any]) -> Path | None:
    """The file a training reads: where it was, or in or beside the training if the run was moved."""
    given = Path(settings["data"])
    places = (given, folder / given.name, folder.parent / given.name)
    return next((path for path in places if path.is_file()), None)
