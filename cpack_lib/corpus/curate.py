"""The pipeline: raw documents and given pairs in; pairs, texts, the rows set aside and a funnel out.

What needs the whole set (copies, evaluation texts) works on 64-bit keys alone, so memory is that of one shard
and, while copies are looked for, of 140 bytes per pair.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from cpack_lib.corpus.funnel import ASIDE, apply, as_aside, summed
from cpack_lib.corpus.growing import GrowingParquet
from cpack_lib.corpus.pairs import MAKERS
from cpack_lib.corpus.rules import KEPT, PAGES, SET, SIDES, STAGES, TEXTS, Judge
from cpack_lib.corpus.text import REPAIRS
from cpack_lib.corpus.treat import Treated, treat_documents, treat_pairs

PAIRS_WRITTEN = {
    "text_a": pl.String,
    "text_b": pl.String,
    "source": pl.String,
    "kind": pl.String,
    "document": pl.String,
}
TEXTS_WRITTEN = {"text": pl.String, "source": pl.String}
NOT_WRITTEN = ("a_key", "b_key", "pair_key", "text_key", "characters")


def curate(
    documents: Iterable[pl.DataFrame],
    extra_pairs: Iterable[pl.DataFrame],
    folder: Path,
    rules: list[Judge],
    kinds: Iterable[str] = tuple(MAKERS),
) -> pl.DataFrame:
    """Write pairs.parquet, texts.parquet, rejected.parquet and funnel.csv into the folder; the funnel.

    `rules` are applied in their order within each stage; `kinds` are the makers of `pairs.MAKERS` to use.
    """
    treated = chain(
        (treat_documents(shard, rules, kinds) for shard in documents),
        (treat_pairs(shard, rules) for shard in extra_pairs),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(dir=folder, prefix=".parts-") as parts,
        GrowingParquet(folder / "rejected.parquet", ASIDE) as rejected,
    ):
        counts = list(stored(treated, Path(parts), rejected))
        pair_parts, text_parts = (sorted(Path(parts).glob(f"{name}-*")) for name in ("pairs", "texts"))
        with GrowingParquet(folder / "pairs.parquet", written(PAIRS_WRITTEN, pair_parts)) as file:
            counts += settled(pair_parts, file, (SET, KEPT), rules, rejected)
        with GrowingParquet(folder / "texts.parquet", written(TEXTS_WRITTEN, text_parts)) as file:
            counts += settled(text_parts, file, (TEXTS, ""), rules, rejected)
    funnel = summed(counts, steps(rules))
    funnel.write_csv(folder / "funnel.csv")
    return funnel


def stored(treated: Iterable[Treated], parts: Path, rejected: GrowingParquet) -> Iterator[pl.DataFrame]:
    """The counts of each shard, once its pairs and texts are files in `parts`."""
    for number, shard in enumerate(treated):
        shard.pairs.write_parquet(parts / f"pairs-{number:06}.parquet")
        shard.texts.write_parquet(parts / f"texts-{number:06}.parquet")
        rejected.append(shard.aside)
        yield shard.counts


def settled(
    paths: list[Path],
    file: GrowingParquet,
    stages: tuple[str, str],
    rules: list[Judge],
    rejected: GrowingParquet,
) -> Iterator[pl.DataFrame]:
    """The counts of the rules for a whole set, judged on its keys, then of those for what they have kept."""
    gone, counts = judged(paths, stages[0], rules)
    yield from counts
    start = 0
    for path in paths:
        part = pl.read_parquet(path).with_row_index("row", offset=start)
        start += len(part)
        part = part.join(gone, on="row", how="left", maintain_order="left")
        stays, counts, aside = apply(rules, stages[1], part.filter(pl.col("rule").is_null()).drop("rule"))
        yield from counts
        file.append(stays)
        lost = part.filter(pl.col("rule").is_not_null()).with_columns(stage=pl.lit(stages[0]))
        for rows in [lost, *aside]:
            rejected.append(as_aside(rows))


def judged(paths: list[Path], stage: str, rules: list[Judge]) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """(row and rule of the rows of a whole set that go, the counts), from its keys alone."""
    gone = pl.DataFrame(schema={"row": pl.get_index_type(), "rule": pl.String})
    if not paths:
        return gone, []
    keys = pl.concat(key_columns(path) for path in paths).with_row_index("row")
    _, counts, aside = apply(rules, stage, keys)
    return pl.concat([gone, *(rows.select("row", "rule") for rows in aside)]), counts


def key_columns(path: Path) -> pl.DataFrame:
    """source, characters and the keys of a part."""
    names = [name for name in pl.read_parquet_schema(path) if name in ("source", *NOT_WRITTEN)]
    return pl.read_parquet(path, columns=names).cast({"source": pl.Categorical})


def written(first: dict[str, pl.DataType], paths: list[Path]) -> dict[str, pl.DataType]:
    """The columns of a file made of these parts: the `first` ones, then what else the parts pass through."""
    parts = [pl.DataFrame(schema=pl.read_parquet_schema(path)) for path in paths]
    schema = pl.concat([pl.DataFrame(schema=first), *parts], how="diagonal_relaxed").schema
    return {name: dtype for name, dtype in schema.items() if name not in NOT_WRITTEN}


def steps(rules: list[Judge]) -> list[tuple[str, str]]:
    """(stage, rule) of everything that is counted, in the order in which it is done."""
    repairs = [repair.name for repair in REPAIRS]
    repaired = {PAGES: ["plain text", *repairs], SIDES: repairs}
    return [
        (stage, name)
        for stage in STAGES
        for name in repaired.get(stage, [rule.name for rule in rules if rule.stage == stage])
    ]
