"""What the labelled stage is told, checked before any work: its instructions, its mining, and the loop.

C-Pack's third stage (paper.md 3.4 and 4.2); notebook 04 declares these parameters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from cpack_lib.model.instructions import Sides, sides
from cpack_lib.training.negatives import Window, named_strategy
from cpack_lib.training.negatives.refresh import legs
from cpack_lib.training.settings import Settings, check_values

WAYS = {"no task": "as written", "searches": "searches", "every task": "every task"}  # here, in the loop
LEAST = {"labelled_rows": 0, "rows_per_source": 0, "probes": 2, "truth_rows": 1, "processes": 1}


def loop_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that the loop knows by the same name, `instructed` in its words.

    What names a run here and a folder there, such as a teacher, is to be replaced by the folder.
    """
    known = {each.name for each in fields(Settings)}
    told = {name: value for name, value in parameters.items() if name in known}
    return told | {"objective": "contrast"} | instruction_of(parameters)


def instruction_of(parameters: Mapping[str, Any]) -> dict[str, str]:
    """`instructed` and `instruction` as the loop has them; "no task" is told by texts as they are written."""
    if parameters["instructed"] not in WAYS:
        raise ValueError(f"instructed is {parameters['instructed']!r}; choose one of {', '.join(WAYS)}")
    way = WAYS[parameters["instructed"]]
    return {"instructed": way, "instruction": "" if way == "as written" else parameters["instruction"]}


def before_texts(parameters: Mapping[str, Any], tasks: Iterable[str]) -> dict[str, Sides]:
    """Task -> what training puts before its queries and before its passages."""
    way = instruction_of(parameters)
    told = (way["instructed"], way["instruction"], parameters["language"])
    return {task: sides(task, *told) for task in dict.fromkeys(tasks)}


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """ValueError, in one sentence, for a value that cannot be meant; no file has to be there."""
    for name, least in LEAST.items():
        if parameters[name] < least:
            raise ValueError(f"{name} is {parameters[name]}; it has to be {least} or more")
    named_strategy(parameters["strategy"])
    Window(parameters["first_rank"], parameters["last_rank"], parameters["negatives"])
    legs(parameters["steps"], parameters["refresh_every"])
    if parameters["merged"] and parameters["instructed"] == "no task":
        raise ValueError(
            "merged averages with an encoder trained without instruction, but instructed is 'no task'; "
            "choose another, or leave merged off"
        )
    if parameters["mining_guide"] and parameters["strategy"] != "guided":
        raise ValueError(
            f"mining_guide is {parameters['mining_guide']}, but strategy is {parameters['strategy']!r}, "
            "which asks nobody; leave the guide out, or set strategy to 'guided'"
        )
    files = {"start": "", "data": "", "watch": "the rows held out"}
    check_values(Settings(**loop_settings(parameters) | files), "parameters")


def check_tasks(parameters: Mapping[str, Any], tasks: Iterable[str]) -> None:
    """ValueError where a task of `in_batch_off` is none of the labelled rows', or has no instruction."""
    there = dict.fromkeys(tasks)
    before_texts(parameters, there)
    for task in parameters["in_batch_off"]:
        if task not in there:
            raise ValueError(
                f"in_batch_off has {task!r}, which no labelled row has; choose from {', '.join(there)}"
            )
