"""The tasks that labels come from, and what stands before their texts in each language of `languages`."""

from dataclasses import dataclass

from cpack_lib.corpus import languages

LANGUAGES = tuple(languages.LANGUAGES)


def in_each(kind: str) -> dict[str, str]:
    """Language -> the instruction of a kind of task."""
    return {code: row.instructions[kind] for code, row in languages.LANGUAGES.items()}


INSTRUCTION = in_each("search")  # C-Pack's release, on queries of retrieval and reranking only (paper.md 4.2)


@dataclass(frozen=True)
class Task:
    """A kind of labels. A search has two sides, query and passage; texts of other tasks are alike."""

    types: tuple[str, ...]  # mteb's names of what it is evaluated by
    instruction: dict[str, str]  # language -> text; ours but for that of searches
    search: bool = False


TASKS = {
    "retrieval": Task(("Retrieval",), INSTRUCTION, search=True),
    "search": Task(("Retrieval",), INSTRUCTION, search=True),
    "reranking": Task(("Reranking",), INSTRUCTION, search=True),
    "sts": Task(("STS",), in_each("sts")),
    "nli": Task(("PairClassification",), in_each("nli")),
    "classification": Task(("Classification", "MultilabelClassification"), in_each("classification")),
    "clustering": Task(("Clustering",), in_each("clustering")),
}
INSTRUCTED = tuple(name for name, task in TASKS.items() if task.search)  # by default: C-Pack's rule
INSTRUCTIONS = {  # task -> what stands before its Chinese queries by default; passages never get any
    name: task.instruction["zh"] if task.search else "" for name, task in TASKS.items()
}
