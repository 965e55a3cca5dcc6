"""What evaluation sets tell of a model or a run: prompts, texts that were trained on, tasks that suffered."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl
from sentence_transformers import SentenceTransformer

from cpack_lib.corpus.labelled.instructions import INSTRUCTION
from cpack_lib.evaluation.diagnosis.findings import Finding
from cpack_lib.evaluation.diagnosis.opening import beginning_of, encoding, prompt_of
from cpack_lib.evaluation.diagnosis.tasks import contamination, harmed_task, item_scores
from cpack_lib.evaluation.diagnosis.texts import doubled_instruction, unused_instruction
from cpack_lib.evaluation.diagnosis.trainings import data_of, read_settings
from cpack_lib.evaluation.tasks.layout import TABLES
from cpack_lib.evaluation.tasks.local import LocalTask, local_tasks
from cpack_lib.evaluation.tasks.texts import evaluated_splits, split_texts

DATA = ("query", "passages", "text_a", "text_b", "text")  # columns of training data that hold texts


def tasks_in(folder: Path) -> list[LocalTask]:
    """The tasks of an evaluation folder, or the one of a folder TYPE/NAME in it."""
    if folder.parent.name in TABLES:
        found = [task for task in local_tasks(folder.parent.parent) if task.path == folder]
        if not found:
            raise ValueError(f"{folder} is no task: give a folder TYPE/NAME that holds its Parquet files")
        return found
    return local_tasks(folder)


def look_at_prompts(model: SentenceTransformer, tasks: Sequence[LocalTask]) -> list[Finding]:
    """Whether queries bring the model's instruction along, and whether it lacks one that would help it.

    Only the instructions of C-Pack's releases are tried, and only where the model has none.
    """
    searches = [task for task in tasks if task.metadata.type == "Retrieval"]
    queries = [text for task in searches for text in queries_of(task)]
    prompt = prompt_of(model, "query")
    if prompt and queries:
        return [doubled_instruction(queries, prompt)]
    plain, findings = encoding(model), []
    for task in searches:
        scores = item_scores(task, plain)
        for instruction in INSTRUCTION.values():
            behind = item_scores(task, partial(behind_instruction, plain, instruction))
            findings.append(unused_instruction(scores, behind, instruction))
    return [max(findings, key=lambda finding: finding.value)] if findings else []


def behind_instruction(encode, instruction: str, texts: list[str], side: str):
    """The vectors of texts, queries behind an instruction."""
    return encode([instruction + text for text in texts] if side == "query" else texts)


def queries_of(task: LocalTask) -> list[str]:
    """The questions of a search."""
    return [text for split in evaluated_splits(task) for text in split["queries"]["text"]]


def texts_of(task: LocalTask) -> list[str]:
    """All texts that a task is scored on."""
    queries = queries_of(task) if task.metadata.type in ("Retrieval", "Reranking") else []
    return queries + [text for split in evaluated_splits(task) for text in split_texts(task, split)]


def look_at_run(trainings: Sequence[Path], model: SentenceTransformer | None, tasks: Sequence[LocalTask]):
    """What the trainings of a run have read of the tasks, and made of them: findings, and what was missed."""
    findings, missed = [], []
    texts = {task.metadata.name: texts_of(task) for task in tasks}
    for folder in trainings:
        data = data_of(folder, read_settings(folder))
        if data is None:
            missed.append(f"contamination by {folder.name}: its data are gone")
            continue
        findings.append(contamination(texts_in(data), texts))
        before = beginning_of(folder)
        if before is not None and model is not None:
            scores = (scores_of(each, tasks) for each in (before, model))
            findings.append(harmed_task(*scores))
    return findings, missed


def scores_of(model: SentenceTransformer, tasks: Sequence[LocalTask]) -> Mapping:
    """Task -> the scores of its items by a model as it is used, behind its prompts."""
    return {task.metadata.name: item_scores(task, encoding(model, prompts=True)) for task in tasks}


def texts_in(data: Path) -> Iterator[str]:
    """All texts of training data, column by column."""
    table = pl.read_parquet(data)
    for name in DATA:
        if name in table.columns:
            column = table[name].explode() if table[name].dtype == pl.List else table[name]
            yield from column.drop_nulls()
