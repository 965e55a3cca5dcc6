"""The tasks that labels come from, and what stands before their texts: the one table of instructions."""

from dataclasses import dataclass

LANGUAGES = ("zh", "en")
INSTRUCTION = {
    "zh": "为这个句子生成表示以用于检索相关文章：",
    "en": "Represent this sentence for searching relevant passages: ",
}  # C-Pack's release, on queries of retrieval and reranking only (paper.md 4.2)


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
    "sts": Task(
        ("STS",),
        {
            "zh": "为这个句子生成表示以用于比较语义是否相同：",
            "en": "Represent this sentence for comparing meanings: ",
        },
    ),
    "nli": Task(
        ("PairClassification",),
        {
            "zh": "为这个句子生成表示以用于判断两句能否互相推出：",
            "en": "Represent this sentence for judging entailment: ",
        },
    ),
    "classification": Task(
        ("Classification", "MultilabelClassification"),
        {"zh": "为这个句子生成表示以用于分类：", "en": "Represent this sentence for classification: "},
    ),
    "clustering": Task(
        ("Clustering",),
        {"zh": "为这个句子生成表示以用于聚类：", "en": "Represent this sentence for clustering: "},
    ),
}
INSTRUCTED = tuple(name for name, task in TASKS.items() if task.search)  # by default: C-Pack's rule
INSTRUCTIONS = {  # task -> what stands before its Chinese queries by default; passages never get any
    name: task.instruction["zh"] if task.search else "" for name, task in TASKS.items()
}
