"""Sets of queries with passages: T2Ranking, mMARCO, DuReader-retrieval, cMedQA v2 and Multi-CPR.

Papers: arXiv 2304.03679, 2108.13897, 2203.10232, IEEE Access 6 (2018) 74061, arXiv 2203.03367.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import polars as pl

from cpack_lib.corpus.labelled.joining import NEGATIVES, Search, Shard, joined, judgements, short
from cpack_lib.corpus.labelled.lines import NUMBER_AGAIN, NumberedTexts
from cpack_lib.corpus.read.columnar import Aside, names_in_parquet, parquet_shards
from cpack_lib.corpus.read.records import Record, names_in_records, record_shards, records_in
from cpack_lib.corpus.read.schemas import EXCERPT, ROW, TEXT, TEXTS, check_names

DOMAINS = ("ecom", "medical", "video")  # of Multi-CPR
RENAMED = {"positive": "pos", "negative": "neg"}  # of BeastyZ/cmteb_retrieval
RECORDS_PER_SHARD = 8_192
IRRELEVANT = 0  # of T2Ranking's grades 0 to 3; 2 and 3 are its judgements for retrieval, 1 is neither


def t2_ranking(folder: Path) -> Iterator[Shard]:
    """Right is what T2Ranking judges relevant for retrieval, wrong what its re-ranking part grades 0."""
    data = folder / "data"
    right, unread = judgements(
        data / "qrels.retrieval.train.tsv",
        ["query", "passage"],
        lambda lines: lines.with_columns(right=True),
    )
    yield "data/qrels.retrieval.train.tsv", pl.DataFrame(), unread
    wrong, unread = judgements(
        data / "qrels.train.tsv",
        ["query", "nothing", "passage", "grade"],
        lambda lines: lines.filter(pl.col("grade") == IRRELEVANT).with_columns(right=False),
    )
    yield "data/qrels.train.tsv", pl.DataFrame(), unread
    yield from searched(
        "t2ranking", data / "queries.train.tsv", pl.concat([right, wrong]), data / "collection.tsv"
    )


def mmarco(folder: Path) -> Iterator[Shard]:
    """The Chinese translation by Google; its triples (query, right, wrong passage) are MS MARCO's."""
    data = folder / "data"
    triples = data / "triples.train.ids.small.tsv"
    judged, unread = judgements(triples, ["query", "yes", "no"], sides_of_triples)
    yield short(triples), pl.DataFrame(), unread
    queries = data / "google/queries/train/chinese_queries.train.tsv"
    yield from searched("mmarco-zh", queries, judged, data / "google/collections/chinese_collection.tsv")


def multi_cpr(folder: Path) -> Iterator[Shard]:
    """The three domains as their authors publish them, each a source, since each has a corpus of its own."""
    for domain in DOMAINS:
        data = folder / "data" / domain
        judged, unread = judgements(
            data / "qrels.train.tsv",
            ["query", "nothing", "passage", "label"],
            lambda lines: lines.with_columns(right=pl.col("label") > 0),
        )
        yield short(data / "qrels.train.tsv"), pl.DataFrame(), unread
        yield from searched(f"multi-cpr-{domain}", data / "train.query.txt", judged, data / "corpus.tsv")


def multi_cpr_rows(folder: Path) -> Iterator[Shard]:
    """The three domains as BeastyZ/cmteb_retrieval has them: rows with texts, negatives mined by others."""
    for domain in DOMAINS:
        for path in sorted(folder.glob(f"multi-cpr-{domain}/train-*.parquet")):
            check_names(names_in_parquet(path) or [*RENAMED], "labelled", RENAMED, str(path))
            for frame, unread in parquet_shards(path, "labelled", RENAMED):
                if frame.height:
                    frame = frame.select(
                        ROW,
                        "query",
                        "pos",
                        pl.col("neg").list.head(NEGATIVES),
                        source=pl.lit(f"multi-cpr-{domain}"),
                        task=pl.lit("retrieval"),
                    )
                yield short(path), frame, unread


def cmedqa(place: str, folder: Path) -> Iterator[Shard]:
    """Questions to doctors; wrong are the answers that the set lists as candidates beside the right ones."""
    data = folder / place
    candidates = data / "train_candidates.txt"
    judged, unread = judgements(candidates, ["query", "yes", "no"], sides_of_triples, separator=",")
    yield short(candidates), pl.DataFrame(), unread
    questions, unread = numbered_records(data / "question.csv", "question_id")
    yield "question.csv", pl.DataFrame(), unread
    answers, unread = numbered_records(data / "answer.csv", "ans_id")
    yield "answer.csv", pl.DataFrame(), unread
    is_of_train = questions["number"].is_in(judged["query"].implode())  # dev and test stand in the same file
    asked = questions.filter(is_of_train)
    yield from joined(Search("cmedqa-v2", asked, "question.csv", judged, partial(looked_up, answers)))


def dureader(folder: Path) -> Iterator[Shard]:
    """One JSON object per query; its passages, right and wrong, stand in it."""
    records = records_in(folder / "train.jsonl.gz")
    while batch := list(islice(records, RECORDS_PER_SHARD)):
        rows = [(row, *row_of(record), excerpt) for row, record, excerpt in batch]
        unread = [(row, reason, excerpt) for row, reason, *_, excerpt in rows if reason]
        fitting = [(row, *sides) for row, reason, *sides, _ in rows if not reason]
        schema = {ROW: pl.Int64, "query": TEXT, "pos": TEXTS, "neg": TEXTS}
        frame = pl.DataFrame(fitting, schema=schema, orient="row")
        labels = {"source": pl.lit("dureader-retrieval"), "task": pl.lit("retrieval")}
        yield "train.jsonl.gz", frame.with_columns(**labels), unread


def row_of(record: Record) -> tuple[str, str | None, list[str], list[str]]:
    """(why there is no row or "", query, pos, neg) of one of DuReader's objects."""
    if isinstance(record, str):
        return record, None, [], []
    query, texts = record.get("query"), []
    for side in ("positive_passages", "negative_passages"):
        passages = record.get(side)
        if not isinstance(passages, list) or not all(
            isinstance(each, dict) and isinstance(each.get("text"), str) for each in passages
        ):
            return f"{side} is no list of passages", None, [], []
        texts.append(list(dict.fromkeys(each["text"] for each in passages)))
    if not isinstance(query, str):
        return "query is no text", None, [], []
    return "", query, texts[0], [text for text in texts[1] if text not in texts[0]][:NEGATIVES]


def sides_of_triples(lines: pl.DataFrame) -> pl.DataFrame:
    """(query, yes, no) as two judgements."""
    sides = [lines.select(ROW, "query", passage=side, right=pl.lit(side == "yes")) for side in ("yes", "no")]
    return pl.concat(sides)


def searched(source: str, queries: Path, judged: pl.DataFrame, collection: Path) -> Iterator[Shard]:
    """The rows of a set whose queries and passages are lines of `number TAB text`."""
    asked, unread = NumberedTexts(queries).frame()
    yield short(queries), pl.DataFrame(), unread
    yield from joined(Search(source, asked, short(queries), judged, NumberedTexts(collection).lookup))


def numbered_records(path: Path, number: str) -> tuple[pl.DataFrame, Aside]:
    """(ROW, number and text, what cannot be read) of one of cMedQA's CSV files: 226,000 rows at most."""
    renamed = {number: "id", "content": "text"}
    check_names(names_in_records(path) or [*renamed], "documents", renamed, str(path))
    parts, aside = [pl.DataFrame(schema={ROW: pl.Int64, "number": pl.Int64, "text": TEXT})], []
    for frame, unread in record_shards(path, "documents", renamed):
        parts.append(frame.select(ROW, pl.col("id").cast(pl.Int64, strict=False).alias("number"), "text"))
        aside += unread
    rows = pl.concat(parts)
    reason = pl.when(pl.col("number").is_null()).then(pl.lit(f"{number} is no number"))
    reason = reason.when(~pl.col("number").is_first_distinct()).then(pl.lit(NUMBER_AGAIN))
    rows = rows.with_columns(reason=reason)
    fits = pl.col("reason").is_null()
    bad = rows.filter(~fits).select(ROW, "reason", pl.col("text").str.head(EXCERPT))
    return rows.filter(fits).drop("reason"), [*aside, *bad.rows()]


def looked_up(texts: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """`known` and `text` for each number, from a table in memory."""
    found = numbers.to_frame("number").join(
        texts.select("number", "text", known=pl.lit(True)), on="number", how="left", maintain_order="left"
    )
    return found.select(pl.col("known").fill_null(False), "text")
