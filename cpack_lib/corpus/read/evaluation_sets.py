"""The public evaluation sets by name, C-MTEB's 35 and the 56 of English MTEB, and the folder of their copies.

evaluation_sets.tsv says where the data of each lie on the hub and at which revision, which subset counts, and
how many texts and characters a model has to embed (mteb's own statistics; training texts not counted).
`splits` are the paper's. `board_splits` are those of mteb's board today: two for MultilingualSentiment, none
for the four Chinese sets that MTEB had before C-MTEB. The 56 stand as MTEB(eng, v1) has them; one of them,
CQADupstackRetrieval, is the mean over twelve forums, each with a line of its own.

Retrieval, re-ranking, PAWSX, STSB and AmazonReviews are read from repositories that mteb made after the paper
in its own format; their counts are the paper's.
"""

import csv
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpack_lib.work.files import ROOT, digest, read_json, runs_folder, sha256

SUITES = {  # what a name stands for
    "cmteb-35": "C-MTEB as in the paper",
    "cmteb-31": "C-MTEB as on mteb's board, MTEB(cmn, v1)",
    "cmteb-mini": "a sample of each of the 35",
    "mteb-en-56": "English MTEB, MTEB(eng, v1)",
}


@dataclass(frozen=True)
class EvaluationSet:
    """One line of the table, with the splits that its suite scores."""

    task: str  # mteb's name
    kind: str  # mteb's task type
    repo: str
    revision: str
    subset: str | None
    splits: tuple[str, ...]
    texts: int
    characters: int
    part_of: str | None  # the task whose score is a mean over this one and others
    left_out: tuple[str, ...]  # files of the repository that no task reads

    @property
    def folder(self) -> Path:
        """Where `cpack fetch` puts the copy."""
        return sets_folder() / f"{self.repo.replace('/', '__')}-{self.revision[:12]}"

    @property
    def manifest(self) -> Path:
        """What the copy holds: repository, revision, and size and SHA-256 of every file."""
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def is_fetched(self) -> bool:
        """Whether the copy is there, whole; the folder gets its name last."""
        return self.folder.is_dir() and self.manifest.is_file()

    @property
    def address(self) -> str:
        """`mteb/STSB@e036defe`."""
        return f"{self.repo}@{self.revision[:8]}"


def sets_folder() -> Path:
    """Where copies lie: $CPACK_EVALUATION (absolute, or below the repository), else evaluation/ by runs/."""
    return ROOT / (os.environ.get("CPACK_EVALUATION") or runs_folder().parent / "evaluation")


def evaluation_sets(name: str) -> list[EvaluationSet]:
    """The sets of a suite, "cmteb-35", or some of it, "cmteb-35:Retrieval" or "cmteb-31:STSB,T2Retrieval"."""
    suite, _, choice = name.partition(":")
    if suite not in SUITES:
        told = "; ".join(f"{known} ({meaning})" for known, meaning in SUITES.items())
        raise ValueError(
            f"{name!r} names no suite: write one of {told}; for less of it add a colon and task types or "
            "tasks, as in cmteb-35:Retrieval or cmteb-35:STSB,T2Retrieval"
        )
    sets, chosen = sets_of(suite), []
    for part in (word.strip() for word in choice.split(",")) if choice else ():
        found = [one for one in sets if part in (one.task, one.kind, one.part_of)]
        if not found:
            names = dict.fromkeys([*(one.kind for one in sets), *(one.part_of or one.task for one in sets)])
            raise ValueError(f"{part!r} is no task of {suite}: name one of {', '.join(names)}")
        chosen += found
    return list(dict.fromkeys(chosen)) if choice else sets


@functools.cache
def table() -> list[dict[str, str]]:
    """The lines of evaluation_sets.tsv."""
    with Path(__file__).with_suffix(".tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def sets_of(suite: str) -> list[EvaluationSet]:
    """A suite in the order of the table: by type, as in the paper."""
    splits = "board_splits" if suite == "cmteb-31" else "splits"
    benchmark = suite.rpartition("-")[0]
    return [
        EvaluationSet(
            task=line["task"],
            kind=line["type"],
            repo=line["repo"],
            revision=line["revision"],
            subset=line["subset"] or None,
            splits=tuple(line[splits].split(",")),
            texts=int(line["texts"]),
            characters=int(line["characters"]),
            part_of=line["part_of"] or None,
            left_out=tuple(line["left_out"].split()),
        )
        for line in table()
        if line["benchmark"] == benchmark and line[splits]
    ]


def new_task(chosen: EvaluationSet) -> Any:
    """mteb's task for a set: its splits and subset alone, data at the pinned revision or from the copy."""
    import mteb  # takes seconds

    subsets = [chosen.subset] if chosen.subset else None
    task = mteb.get_task(chosen.task, eval_splits=chosen.splits, hf_subsets=subsets)
    task.metadata = task.metadata.model_copy(update={"dataset": data_of(chosen)})  # mteb's is the class's own
    return task


def data_of(chosen: EvaluationSet) -> dict[str, str]:
    """What `datasets` loads: the repository at its revision, or the copy."""
    path = str(chosen.folder) if chosen.is_fetched else chosen.repo
    return {"path": path, "revision": chosen.revision}


def content(chosen: EvaluationSet) -> str:
    """16 hex digits for the bytes of a copy, from its manifest."""
    files = read_json(chosen.manifest, {"files": dict})["files"]
    return digest({name: file["sha256"] for name, file in files.items()})


def check_copy(chosen: EvaluationSet) -> None:
    """ValueError where a file of a copy is not as it was fetched; reads every byte."""
    for name, file in read_json(chosen.manifest, {"files": dict})["files"].items():
        path = chosen.folder / name
        if not path.is_file() or sha256(path) != file["sha256"]:
            raise ValueError(
                f"{path} is not what was fetched from {chosen.address}: remove {chosen.folder} and run "
                f"`cpack fetch {chosen.task}` again"
            )
