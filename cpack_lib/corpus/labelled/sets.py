"""The eight sets: where they lie, under which licence, what they share with C-MTEB, how they are read.

Together the paper counts 838,465 pairs, and no set's share (paper.md 3.2). Most are the training sets of
C-MTEB tasks, so that what labelled training gains there is no zero-shot gain: `overview` says which.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from cpack_lib.corpus.labelled import searches, sentences
from cpack_lib.corpus.labelled.instructions import INSTRUCTIONS
from cpack_lib.corpus.labelled.joining import Shard


@dataclass(frozen=True)
class Layout:
    """A way in which a set is published: the files that must be there, and what makes shards of them."""

    files: tuple[str, ...]
    convert: Callable[[Path], Iterator[Shard]]


@dataclass(frozen=True)
class PublicSet:
    """One of the eight sets; its first layout is the hub's."""

    name: str
    hub: str  # id of the data set on the Hugging Face hub
    revision: str | None  # the commit (of NLI-zh a branch) that was looked at; None: not pinned
    licence: str
    task: str
    rows: int  # of the train split, as its authors count them, or the card of a copy
    unit: str  # what is counted: queries or pairs
    overlap: tuple[str, ...]  # C-MTEB tasks of the same source
    recorded: tuple[
        str, ...
    ]  # of these, the ones mteb lists as training data of BGE; the others are inferred
    negatives: str  # what the paper says, then what `neg` holds here
    layouts: tuple[Layout, ...]


SETS = {
    each.name: each
    for each in (
        PublicSet(
            name="t2ranking",
            hub="THUIR/T2Ranking",
            revision="2a8ba17e97043672c277c27f7c95fd5fdb579e23",
            licence="Apache-2.0",
            task="retrieval",
            rows=258_042,
            unit="queries",
            overlap=("T2Retrieval", "T2Reranking"),
            recorded=("T2Retrieval",),
            negatives="mined with the model; neg: passages graded 0",
            layouts=(
                Layout(
                    (
                        "data/queries.train.tsv",
                        "data/qrels.retrieval.train.tsv",
                        "data/qrels.train.tsv",
                        "data/collection.tsv",
                    ),
                    searches.t2_ranking,
                ),
            ),
        ),
        PublicSet(
            name="dureader",
            hub="zyznull/dureader-retrieval-ranking",
            revision=None,
            licence="Apache-2.0, its card says: for research",
            task="retrieval",
            rows=86_395,
            unit="queries",
            overlap=("DuRetrieval",),
            recorded=("DuRetrieval",),
            negatives="mined with the model; neg: the set's own negative passages",
            layouts=(Layout(("train.jsonl.gz",), searches.dureader),),
        ),
        PublicSet(
            name="mmarco",
            hub="unicamp-dl/mmarco",
            revision="b1a2c25def4bd95274199be3fb226ee36b7c8bad",
            licence="MS MARCO's terms: non-commercial research",
            task="retrieval",
            rows=388_596,
            unit="queries",
            overlap=("MMarcoRetrieval", "MMarcoReranking"),
            recorded=("MMarcoReranking",),
            negatives="mined with the model; neg: the triples' third passage",
            layouts=(
                Layout(
                    (
                        "data/google/queries/train/chinese_queries.train.tsv",
                        "data/google/collections/chinese_collection.tsv",
                        "data/triples.train.ids.small.tsv",
                    ),
                    searches.mmarco,
                ),
            ),
        ),
        PublicSet(
            name="cmedqa-v2",
            hub="fzkuji/cMedQA2",
            revision="9c76bec03ab8904f6eb2986b1ff7b3d503a0e18b",
            licence="GPL-3.0 on the card of this copy",
            task="retrieval",
            rows=100_000,
            unit="queries",
            overlap=("CmedqaRetrieval", "CMedQAv2-reranking"),
            recorded=("CMedQAv2-reranking",),
            negatives="random; neg: the wrong answers among its candidates",
            layouts=(
                Layout(
                    ("raw/question.csv", "raw/answer.csv", "raw/train_candidates.txt"),
                    partial(searches.cmedqa, "raw"),
                ),
                Layout(("question.csv", "answer.csv", "train_candidates.txt"), partial(searches.cmedqa, "")),
            ),
        ),
        PublicSet(
            name="multi-cpr",
            hub="BeastyZ/cmteb_retrieval",
            revision="f1990d6322a126b5d766a75c5dd9c5e713fe6ff8",
            licence="Apache-2.0 on the card of this copy",
            task="retrieval",
            rows=299_999,
            unit="queries",
            overlap=("EcomRetrieval", "MedicalRetrieval", "VideoRetrieval"),
            recorded=(),
            negatives="random; neg: of this copy mined by its makers, of Alibaba-NLP/Multi-CPR none",
            layouts=(
                Layout(
                    tuple(f"multi-cpr-{domain}/train-*.parquet" for domain in searches.DOMAINS),
                    searches.multi_cpr_rows,
                ),
                Layout(
                    tuple(
                        f"data/{domain}/{file}"
                        for domain in searches.DOMAINS
                        for file in ("train.query.txt", "qrels.train.tsv", "corpus.tsv")
                    ),
                    searches.multi_cpr,
                ),
            ),
        ),
        PublicSet(
            name="nli-zh",
            hub="shibing624/nli_zh",
            revision="refs/convert/parquet",
            licence="CC BY 4.0 on its card; of its parts unclear",
            task="sts",
            rows=455_875,
            unit="pairs",
            overlap=("ATEC", "BQ", "LCQMC", "PAWSX", "STSB"),
            recorded=(),
            negatives="label-0 partners; neg: these (of STS-B what scores 0 to 2)",
            layouts=(
                Layout(tuple(f"{part}/train/*.parquet" for part in sentences.PARTS), sentences.nli_zh),
                Layout(
                    tuple(f"{part}/{part}.train.data" for part in sentences.PARTS), sentences.nli_zh_lines
                ),
            ),
        ),
        PublicSet(
            name="cmnli",
            hub="clue/clue",
            revision=None,
            licence="not stated",
            task="nli",
            rows=391_783,
            unit="pairs",
            overlap=("Cmnli",),
            recorded=("Cmnli",),
            negatives="label-0 partners; neg: what contradicts the premise",
            layouts=(Layout(("cmnli/train-*.parquet",), partial(sentences.clue, "cmnli")),),
        ),
        PublicSet(
            name="ocnli",
            hub="clue/clue",
            revision=None,
            licence="CC BY-NC 2.0",
            task="nli",
            rows=50_437,
            unit="pairs",
            overlap=("Ocnli",),
            recorded=("Ocnli",),
            negatives="label-0 partners; neg: what contradicts the premise",
            layouts=(Layout(("ocnli/train-*.parquet",), partial(sentences.clue, "ocnli")),),
        ),
    )
}


def overview() -> pl.DataFrame:
    """The eight sets as a table, one row each."""
    rows = [
        {
            "name": each.name,
            "hub": each.hub,
            "revision": each.revision or "not pinned",
            "licence": each.licence,
            "task": each.task,
            "instruction": INSTRUCTIONS[each.task],
            "rows": each.rows,
            "unit": each.unit,
            "overlap": ", ".join(each.overlap),
            "recorded": ", ".join(each.recorded),
            "negatives": each.negatives,
        }
        for each in SETS.values()
    ]
    return pl.DataFrame(rows)
