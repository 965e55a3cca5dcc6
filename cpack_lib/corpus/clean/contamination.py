"""Evaluation texts kept out of training, exact copies and long stretches, with the tasks they were found in.

A stretch alone is no evidence: two texts may share one law's name, or a clause that every law has. The
authors of GPT-3 suspect that their 13 words found too much (Brown et al. 2020, section 4); Llama 2 asks what
share of a text's tokens stands in common runs of over 10 (Touvron et al. 2023, appendix A.6). Here the shared
stretches must cover half of the longer text, or half of the shorter and more than a name, since passages of
an evaluation corpus are cut and cited; and a run of over five texts of one task does not count.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from cpack_lib.corpus.clean.evaluation_index import (
    Evaluation,
    folds_of,
    indexed,
    meetings,
    winnowed,
)
from cpack_lib.corpus.clean.evaluation_texts import evaluation_texts
from cpack_lib.corpus.clean.rule import PAIRS, TEXTS
from cpack_lib.corpus.copies.keys import keys_of

SHARE = 0.5  # of the longer text covered; of the shorter one, if so many runs are:
LEAST = 2  # runs; below them lie the names of laws, and descriptions that stand for a name
SIDES = {"a_key": "text_a", "b_key": "text_b", "text_key": "text"}
BETWEEN = "; "  # the tasks that a row was found in
EXAMPLE = 120  # characters
EXACT, STRETCH = "evaluation", "evaluation runs"  # the rules' names


class Outside(ABC):
    """A rule for one shard of pairs or texts: no side of a row may be found in the evaluation."""

    evaluation: Evaluation

    @abstractmethod
    def found(self, frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """(rows, numbers of the tasks in which a side of each was found): (P,), (P,)."""

    def judge(self, frame: pl.DataFrame) -> pl.Series:
        """Whether each row stays."""
        stays = np.ones(len(frame), bool)
        stays[self.found(frame)[0]] = False
        return pl.Series(stays)

    def detail(self, frame: pl.DataFrame) -> pl.Series:
        """The tasks in which each row was found, in the order of the alphabet; null for a row that stays."""
        rows, tasks = self.found(frame)
        names = pl.Series(self.evaluation.tasks, dtype=pl.String).gather(tasks)
        found = pl.DataFrame({"row": rows, "detail": names}, schema={"row": pl.Int64, "detail": pl.String})
        joined = found.unique().sort("detail").group_by("row").agg(pl.col("detail").str.join(BETWEEN))
        every = pl.DataFrame({"row": pl.arange(len(frame), eager=True)})
        return every.join(joined, on="row", how="left", maintain_order="left")["detail"]


@dataclass(frozen=True)
class Unseen(Outside):
    """No side may be equal to an evaluation text; keys that the frame has already are used."""

    stage: str
    evaluation: Evaluation
    name: str = EXACT
    reason: str = "a text of the evaluation sets, white space, width and case aside"

    def found(self, frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """(rows, tasks) of equal keys."""
        rows, tasks = [], []
        for name in [key for key in SIDES if key in frame.columns] or present(frame, SIDES.values()):
            keys = frame[name] if name in SIDES else keys_of(folds_of(frame[name]))
            asked, kept = meetings(self.evaluation.array("keys"), keys.to_numpy())
            rows.append(asked)
            tasks.append(self.evaluation.array("key_tasks")[kept])
        return np.concatenate(rows), np.concatenate(tasks)


@dataclass(frozen=True)
class Unquoted(Outside):
    """No side may share with an evaluation text stretches that cover SHARE of the longer of the two texts.

    Or of the shorter, if LEAST runs are covered. The edges of a stretch may go uncounted, up to 8
    characters each, so SHARE is a lower bound of what is shared.
    """

    stage: str
    evaluation: Evaluation
    name: str = STRETCH

    @property
    def reason(self) -> str:
        """What the card says of it."""
        run = self.evaluation.run
        enough = f"half of both, or {LEAST * run} and half of one"
        return f"runs of {run} characters of an evaluation text are {enough}"

    def found(self, frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """(rows, tasks) of sides with enough of an evaluation text, or enough in one."""
        rows, tasks = [], []
        for text in present(frame, SIDES.values()):
            folds = folds_of(frame[text])
            shared = overlaps(folds, self.evaluation)
            own = folds.str.len_chars().gather(shared["row"])
            other = pl.Series(self.evaluation.array("text_lengths")[shared["text"]])
            least = LEAST * self.evaluation.run
            enough = shared.filter(is_enough(shared["covered"], own, other, least))
            rows.append(enough["row"].to_numpy())
            tasks.append(self.evaluation.array("text_tasks")[enough["text"]])
        return np.concatenate(rows), np.concatenate(tasks)


def present(frame: pl.DataFrame, names: Iterable[str]) -> list[str]:
    """Those of the columns that the frame has; ValueError for a frame with none of them."""
    if found := [name for name in names if name in frame.columns]:
        return found
    raise ValueError(
        f"a frame of {', '.join(frame.columns)} holds no texts: it needs one of {', '.join(names)}"
    )


def overlaps(folds: pl.Series, evaluation: Evaluation) -> pl.DataFrame:
    """row, text (the number of an evaluation text), covered: the characters of the row in shared runs."""
    run = evaluation.run
    hashes, rows, places = winnowed(folds, run)
    asked, kept = meetings(evaluation.array("runs"), hashes)
    met = {"row": rows[asked], "text": evaluation.array("run_texts")[kept], "place": places[asked]}
    further = pl.col("place").diff().clip(upper_bound=run).sum()
    return pl.DataFrame(met).sort("row", "text", "place").group_by("row", "text").agg(covered=run + further)


def is_enough(covered: pl.Series, own: pl.Series, other: pl.Series, least: int) -> pl.Series:
    """Whether what is covered is evidence, of texts of these two lengths: of the shorter if it is `least`."""
    lengths = pl.DataFrame({"covered": covered, "own": own, "other": other})
    shorter, longer = pl.min_horizontal("own", "other"), pl.max_horizontal("own", "other")
    cited = (pl.col("covered") >= least) & (pl.col("covered") >= SHARE * shorter)
    return lengths.select((pl.col("covered") >= SHARE * longer) | cited).to_series()


def decontamination(name: str, folder: Path, seed: int = 0, code: str = "zh") -> list[Outside]:
    """The rules that keep `evaluation_texts(name)` out of pairs and texts; none for an empty name.

    `code` is the language of these texts. What the rules look up is written below the folder, which every
    worker must be able to read.
    """
    if not name:
        return []
    evaluation = indexed(evaluation_texts(name, seed), folder, code)
    return [rule(stage, evaluation) for stage in (PAIRS, TEXTS) for rule in (Unseen, Unquoted)]


def contamination_report(rejected: pl.DataFrame) -> pl.DataFrame:
    """task, rule, rows, example of what these rules set aside, most rows first.

    A row that was found in several tasks counts in each; one that was found by both rules in the first.
    """
    found = rejected.filter(pl.col("rule").is_in([EXACT, STRETCH]) & pl.col("detail").is_not_null())
    example = pl.concat_str("text_a", "text_b", separator=" | ", ignore_nulls=True)
    rows = found.select(
        pl.col("detail").cast(pl.String).str.split(BETWEEN).alias("task"),
        "rule",
        example=example.str.slice(0, EXAMPLE),
    ).explode("task")
    counted = rows.group_by("task", "rule").agg(rows=pl.len(), example=pl.col("example").first())
    return counted.sort(["rows", "task", "rule"], descending=[True, False, False])
