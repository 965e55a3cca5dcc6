"""The texts of an mteb task, local or official, without running it."""

from collections.abc import Iterator

from datasets import Dataset
from mteb.abstasks import (
    AbsTaskClassification,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
    AbsTaskSummarization,
)
from mteb.abstasks.abstask import AbsTask


def evaluated_splits(task: AbsTask) -> Iterator[Dataset | dict]:
    """What the task is scored on: one split per subset, as mteb holds it."""
    task.load_data()
    for subset in task.hf_subsets:
        splits = task.dataset.get(subset, task.dataset)
        for split in task.eval_splits:
            yield splits[split]


def background_texts(task: AbsTask) -> list[str]:
    """The texts whose statistics a lexical model may know: a search's corpus, or the evaluated texts."""
    return [text for split in evaluated_splits(task) for text in split_texts(task, split)]


def split_texts(task: AbsTask, split: Dataset | dict) -> Iterator[str]:
    """The texts of one split; the queries of a search are left out, because they are not known beforehand."""
    if isinstance(task, AbsTaskRetrieval):
        yield from passage_texts(split["corpus"])
    elif isinstance(task, AbsTaskSTS):
        yield from (text for column in task.column_names for text in split[column])
    elif isinstance(task, AbsTaskPairClassification):
        for column in (task.input1_column_name, task.input2_column_name):
            yield from (split[0][column] if len(split) == 1 else split[column])
    elif isinstance(task, AbsTaskClassification):
        yield from split[task.input_column_name]
    elif isinstance(task, AbsTaskSummarization):
        for column in (task.human_summaries_column_name, task.machine_summaries_column_name):
            yield from (text for texts in split[column] for text in texts)
    else:
        yield from (text for bag in split[task.input_column_name] for text in bag)


def passage_texts(corpus: Dataset) -> list[str]:
    """Title and text joined, as mteb and the paper do."""
    texts = list(corpus["text"])
    if "title" in corpus.column_names:
        texts = [f"{title or ''} {text}" for title, text in zip(corpus["title"], texts, strict=True)]
    return [text.strip() for text in texts]
