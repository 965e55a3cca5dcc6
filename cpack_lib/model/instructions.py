"""Instructions: what stands before a text in training, and as prompts in the folder that is released.

The folder's names are those that mteb and sentence-transformers look for: `query` and `document` for the two
sides of a search, and the name of an mteb task type, such as `STS`, for texts that are alike.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from cpack_lib.corpus.labelled.instructions import LANGUAGES, TASKS

WAYS = ("as written", "searches", "every task")


class Sides(NamedTuple):
    """What stands before the queries of a task, and before its passages; equal where both are alike."""

    query: str = ""
    passage: str = ""


def sides(task: str, instructed: str, instruction: str = "", language: str = "zh") -> Sides:
    """What stands before the texts of a task.

    `searches` puts the table's instruction of the language before queries of retrieval, search and reranking,
    C-Pack's rule; `every task` also puts that of each other task before both its sides. `instruction` takes
    the place of the searches' own. `as written`: the same place, but nothing is put there that the texts do
    not have already; without `instruction` they have none.
    """
    known(instructed, language)
    if task not in TASKS:
        if instructed == "every task":
            raise ValueError(f"no instruction is known for the task {task!r}; choose from {', '.join(TASKS)}")
        return Sides()
    if not TASKS[task].search:
        text = TASKS[task].instruction[language] if instructed == "every task" else ""
        return Sides(text, text)
    return Sides(
        instruction if instructed == "as written" else instruction or TASKS[task].instruction[language]
    )


def known(instructed: str, language: str) -> None:
    """Refuse a way or a language that there is not."""
    if instructed not in WAYS:
        raise ValueError(f"instructed is {instructed!r}; choose one of {', '.join(WAYS)}")
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}; instructions are in {', '.join(LANGUAGES)}")


def prompts(
    tasks: Iterable[str] | None, instructed: str, instruction: str = "", language: str = "zh"
) -> dict[str, str]:
    """The prompts to save with a model that was trained on some tasks; `query` and `document` always.

    A task type gets a name of its own only where the model has seen its instruction.
    """
    known(instructed, language)
    if instructed == "as written":
        return {"query": instruction, "document": ""}
    found = {"query": "", "document": ""}
    trained = set(() if tasks is None else tasks)
    for task in (name for name in TASKS if name in trained):
        before = sides(task, instructed, instruction, language).query
        if TASKS[task].search:
            found["query"] = before
        elif before:
            found |= dict.fromkeys(TASKS[task].types, before)
    return found


def prompt_for(prompts: Mapping[str, str | None], kind: str, side: str = "") -> str:
    """What stands before a text of an mteb task type; `side` is query or document in a search.

    The order is mteb's, without names of single tasks: type and side, the type, the side.
    """
    names = (f"{kind}-{side}", kind, side) if side else (kind,)
    return next((prompts[name] or "" for name in names if name in prompts), "")


def saved_prompts(folder: Path) -> dict[str, str]:
    """The prompts of a sentence-transformers folder, by name."""
    path = folder / "config_sentence_transformers.json"
    if not path.exists():
        raise ValueError(f"{folder} has no {path.name}, so it tells no prompts; save it with save_encoder")
    return json.loads(path.read_text("utf-8")).get("prompts", {})
