"""Whether a model is used as it was taught: what its groups begin with, beside the prompts of evaluation."""

import os
from collections.abc import Callable, Mapping

import polars as pl

from cpack_lib.corpus.labelled.instructions import TASKS
from cpack_lib.model.instructions import prompt_for, sides

SHORTEST = 4  # characters that all texts of a side begin with, to be taken for an instruction
FEWEST = 20  # different texts, for the same


def mismatches(
    groups: pl.DataFrame,
    prompts: Mapping[str, str],
    instructed: str = "as written",
    instruction: str = "",
    language: str = "zh",
    used: Callable[[str, str], str] | None = None,
) -> list[str]:
    """A sentence for each task and side that evaluation puts something else before than training did.

    `groups` are what the model was trained on: `query`, `passages`, `task`; `instructed`, `instruction` and
    `language` are the settings it was trained with. `prompts` are those of the folder. `used` tells what
    evaluation puts before the texts of an mteb task type on a side: `query`, `document`, or "" where texts
    are alike; without it, what mteb would take from the prompts. Tasks that the table of instructions does
    not have are never evaluated, and passed over.
    """
    used = used or (lambda kind, side: prompt_for(prompts, kind, side))
    found = []
    for (task,), rows in groups.group_by("task", maintain_order=True):
        if task not in TASKS:
            continue
        kind, search = TASKS[task].types[0], TASKS[task].search
        put = ("", "") if instructed == "as written" else sides(task, instructed, instruction, language)
        for name, texts, before, side in (
            ("queries", rows["query"], put[0], "query"),
            ("passages", rows["passages"].explode(), put[1], "document"),
        ):
            wanted = used(kind, side if search else "")
            if said := difference(texts.drop_nulls(), before, wanted, known_instructions() + [instruction]):
                found.append(f"the {name} of {task} {said}")
    return found


def difference(texts: pl.Series, put: str, wanted: str, known: list[str]) -> str:
    """What tells texts, trained behind `put`, from their like behind `wanted`; empty if nothing does.

    Where nothing was put, the texts may have it written in them: one of the `known` instructions, or another.
    """
    if put:
        return "" if put == wanted else f"were trained behind {put!r}, but evaluation puts {wanted!r} there"
    begin = wanted or beginning(texts, [each for each in known if each])
    share = texts.str.starts_with(begin).mean() if begin else 0.0
    if wanted and share < 1:
        return (
            f"begin with {wanted!r} in {share:.0%} of the groups, but evaluation puts it before all of them"
        )
    if begin and not wanted:
        return f"begin with {begin!r} in {share:.0%} of the groups, but evaluation puts nothing there"
    return ""


def known_instructions() -> list[str]:
    """All texts of the table."""
    return list(dict.fromkeys(text for task in TASKS.values() for text in task.instruction.values()))


def beginning(texts: pl.Series, candidates: list[str]) -> str:
    """The instruction that the most texts begin with: a candidate, or else what all of them share."""
    counts = {each: texts.str.starts_with(each).sum() for each in candidates}
    best = max(counts, key=counts.get)
    if counts[best] or texts.n_unique() < FEWEST:
        return best if counts[best] else ""
    shared = os.path.commonprefix([texts.min(), texts.max()])
    return shared if len(shared) >= SHORTEST else ""
