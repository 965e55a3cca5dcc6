"""Labelled rows that training has not seen, as a search: their questions among the answers of all rows."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import polars as pl

from cpack_lib.training.negatives import keys


def write_search(held_out: pl.DataFrame, labelled: pl.DataFrame, folder: Path) -> dict[str, int]:
    """Write corpus, queries and qrels (layout.TABLES) into the folder; how many rows each has.

    Both frames are labelled tables (schemas.COLUMNS). The corpus is all texts that `labelled` has in `pos`
    and `neg`; every answer that any of its rows gives to a question is relevant. Texts that differ in spaces,
    widths and capitals alone are one text. ValueError where no held-out question has an answer there.
    """
    names = keys(chain(held_out["query"], labelled["query"], *labelled["pos"], *labelled["neg"]))
    answers: dict[str, dict[str, None]] = {}  # key of a question -> keys of what answers it, in order
    for query, pos in labelled.select("query", "pos").iter_rows():
        answers.setdefault(names[query], {}).update(dict.fromkeys(names[text] for text in pos))
    corpus = first_spelling(chain(*labelled["pos"], *labelled["neg"]), names)
    queries = first_spelling((query for query in held_out["query"] if answers.get(names[query])), names)
    if not queries:
        raise ValueError(
            f"none of the {held_out.height} held-out questions has an answer among the {labelled.height} "
            "labelled rows: give the rows that they were taken from"
        )
    place = {key: f"p{number}" for number, key in enumerate(corpus)}
    judged = [(f"q{number}", place[each]) for number, key in enumerate(queries) for each in answers[key]]
    tables = {
        "corpus": {"id": list(place.values()), "text": list(corpus.values())},
        "queries": {"id": [f"q{number}" for number in range(len(queries))], "text": list(queries.values())},
        "qrels": {"qid": [q for q, _ in judged], "pid": [p for _, p in judged], "score": [1] * len(judged)},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in tables.items():
        pl.DataFrame(columns).write_parquet(folder / f"{name}.parquet")
    return {"corpus": len(corpus), "queries": len(queries), "qrels": len(judged)}


def first_spelling(texts: Iterable[str], names: dict[str, str]) -> dict[str, str]:
    """Key -> the text as it is met first."""
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(names[text], text)
    return found
