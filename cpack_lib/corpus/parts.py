"""Parts: what becomes of one shard, in a folder of its own that stands only once it is whole.

A part's name holds the number of its shard, and a digest of the shard and of all that is done to it. So a
killed run goes on with the parts that are missing, and a part of other rows or other rules is never taken
for this one.
"""

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import xxhash

from cpack_lib.corpus.clean.funnel import ASIDE, COUNTS, apply, as_aside, counted
from cpack_lib.corpus.clean.rule import KEPT, SET, TEXTS, Judge
from cpack_lib.corpus.copies.keys import First
from cpack_lib.corpus.copies.near import Near
from cpack_lib.corpus.copies.runs import Place
from cpack_lib.corpus.treat import Treated, together

PAIRS_WRITTEN = dict.fromkeys(["text_a", "text_b", "source", "kind", "document", "licence"], pl.String)
TEXTS_WRITTEN = dict.fromkeys(["text", "source", "document", "licence"], pl.String)
NOT_WRITTEN = ("a_key", "b_key", "pair_key", "text_key", "characters")
SETS = {"pairs": SET, "texts": TEXTS}  # the files of a part, and the stage of the rules over all of them
STAYS = 0  # the fate of a row; n is the n-th rule over the whole set, which sets it aside


class Part(NamedTuple):
    """The folder of a part, and how many pairs and texts are in it."""

    folder: Path
    pairs: int
    texts: int


def digest_of_rows(shard: pl.DataFrame) -> str:
    """What tells these rows and columns from any others."""
    written = io.BytesIO()
    shard.write_ipc(written, compression="uncompressed")
    return xxhash.xxh3_64_hexdigest(written.getvalue())


def new_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The folder, filled aside and renamed; one that stands already is left as it is."""
    if not folder.exists():
        aside = folder.with_name(f".{folder.name}")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        fill(aside)
        aside.replace(folder)
    return folder


def part_in(folder: Path, scan: Callable[[Path], pl.LazyFrame], ending: str) -> Part:
    """The part in a folder, its tables in files with this ending."""
    tables = (scan(folder / f"{name}{ending}") for name in SETS)
    return Part(folder, *(table.select(pl.len()).collect().item() for table in tables))


def make_part(
    folder: Path,
    treat: Callable[[pl.DataFrame], Treated],
    shard: pl.DataFrame,
    copies: Sequence[First | Near],
) -> Part:
    """A part that rules over the whole set can search; made unless it is there."""

    def fill(aside: Path) -> None:
        treated = treat(shard)
        for name, stage in SETS.items():
            rows = getattr(treated, name)
            rows.write_ipc(aside / f"{name}.arrow", compression="uncompressed")
            for rule in (rule for rule in copies if rule.stage == stage):
                rule.prepare(aside, rows)
        treated.aside.write_parquet(aside / "aside.parquet")
        treated.counts.write_parquet(aside / "counts.parquet")

    made = new_folder(folder, fill)
    return part_in(made, pl.scan_ipc, ".arrow")


def finish_part(
    made: Path,
    folder: Path,
    fates: dict[str, tuple[Path, int]],
    columns: dict[str, dict[str, pl.DataType]],
    rules: list[Judge],
    copies: Sequence[First | Near],
) -> Part:
    """What is left of a part, in a new folder: pairs, texts, rejected and counts.

    For each of SETS, `fates` tells where the fates of all parts' rows are and the number of this part's first
    row, `columns` the columns of all parts together.
    """

    def fill(aside: Path) -> None:
        counts, lost = [pl.read_parquet(made / "counts.parquet")], [pl.read_parquet(made / "aside.parquet")]
        for name, written in (("pairs", PAIRS_WRITTEN), ("texts", TEXTS_WRITTEN)):
            rows, told, gone = without(made / f"{name}.arrow", *fates[name], SETS[name], copies)
            if name == "pairs":
                rows, judged, set_aside = apply(rules, KEPT, rows)
                told, gone = told + judged, gone + set_aside
            ready(rows, written | columns[name]).write_parquet(
                aside / f"{name}.parquet", row_group_size=65_536
            )
            counts, lost = counts + told, lost + [as_aside(frame) for frame in gone]
        together(ASIDE, lost).write_parquet(aside / "rejected.parquet")
        together(COUNTS, counts).write_parquet(aside / "counts.parquet")

    kept = new_folder(folder, fill)
    return part_in(kept, pl.scan_parquet, ".parquet")


def without(
    path: Path, fates: Path, start: int, stage: str, copies: Sequence[First | Near]
) -> tuple[pl.DataFrame, list[pl.DataFrame], list[pl.DataFrame]]:
    """(the rows that stay, COUNTS of each rule over the whole set, the rows that each sets aside)."""
    rows = pl.read_ipc(path)
    fate = pl.Series("fate", np.load(fates, mmap_mode="r")[start : start + len(rows)])
    counts, aside = [], []
    for number, rule in enumerate((rule for rule in copies if rule.stage == stage), start=1):
        goes = fate == number
        counts.append(counted(stage, rule.name, rows, rows.filter(~goes)))
        aside.append(rows.filter(goes).with_columns(stage=pl.lit(stage), rule=pl.lit(rule.name)))
        rows, fate = rows.filter(~goes), fate.filter(~goes)
    return rows, counts, aside


def ready(rows: pl.DataFrame, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    """The rows as they are written: with these columns but for the keys, null where they have none."""
    wanted = {name: dtype for name, dtype in columns.items() if name not in NOT_WRITTEN}
    missing = [pl.lit(None).alias(name) for name in wanted if name not in rows.columns]
    return rows.with_columns(missing).select(list(wanted)).cast(wanted)


def fates_of(
    places: Sequence[Place],
    rows: int,
    stage: str,
    copies: Sequence[First | Near],
    folder: Path,
    workers: int | str,
) -> Path:
    """The file with the fate of every part's rows: STAYS, or the number of the rule that sets one aside."""
    fates = np.full(rows, STAYS, np.uint8)
    for number, rule in enumerate((rule for rule in copies if rule.stage == stage), start=1):
        fates[rule.gone(places, fates == STAYS, folder, workers)] = number
    path = folder / f"{stage}.fates.npy"
    np.save(path, fates)
    return path
