"""The one way in: open a table by its name, read it shard by shard, set aside and count what does not fit.

`world:KIND` is the embedded corpus, `world:KIND@en` the English one; `folder:PATH` a file or a folder of
Parquet, JSONL or CSV (the latter two also .gz or .zst; a relative path starts at the repository);
`hub:OWNER/NAME[/config][@revision]:split` a dataset of the Hugging Face hub; `labelled:NAME[@PLACE]` one of
C-MTP's eight public labelled sets.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from cpack_lib.corpus import world
from cpack_lib.corpus.labelled import reading
from cpack_lib.corpus.read import columnar, hub, records, sampling, schemas, setaside
from cpack_lib.work.files import ROOT

TEXT_FILES = tuple(f".{name}{packed}" for name in ("jsonl", "csv", "tsv") for packed in ("", ".gz", ".zst"))
ENDINGS = (".parquet", *TEXT_FILES)


@dataclass
class Table:
    """A table, read anew each time it is iterated: frames of at most 65,536 rows, all of which fit its kind.

    After a reading `counts` holds `rows`, `rejected`, `reasons` (reason -> rows), `filled` (column -> gaps).
    """

    name: str
    kind: str
    rows: int | None
    seed: int
    rejected: Path | None
    columns: Mapping[str, str]
    per_source: int | None
    counts: dict[str, Any] = field(default_factory=dict, init=False)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        with setaside.SetAside(self.rejected) as aside:
            self.counts = aside.counts
            for shard in first_rows(self.drawn(aside), self.rows):
                self.counts["rows"] += len(shard)
                yield shard
        if not self.counts["rows"] and self.counts["rejected"]:
            reasons = ", ".join(f"{count} × {reason}" for reason, count in self.counts["reasons"].items())
            raise ValueError(
                f"{self.name} has no row that fits a table of {self.kind} ({reasons}): look at "
                "the rows set aside (rejected=PATH keeps them) and write it anew, as UTF-8"
            )

    def read(self) -> pl.DataFrame:
        """All shards as one frame."""
        shards = [pl.DataFrame(schema=schemas.columns_of(self.kind)), *self]
        return pl.concat(shards, how="diagonal_relaxed")

    def drawn(self, aside: setaside.SetAside) -> Iterator[pl.DataFrame]:
        """The shards that fit, where `per_source` is given only the rows that are drawn."""
        if self.per_source is None:
            return self.fitting(aside)
        with setaside.SetAside(None) as uncounted:
            bounds = sampling.lowest_lots(self.fitting(uncounted), self.per_source, self.seed)
        return sampling.drawn_rows(self.fitting(aside), bounds, self.seed)

    def fitting(self, aside: setaside.SetAside) -> Iterator[pl.DataFrame]:
        """The shards' rows that fit; the others go aside."""
        for file, frame, unread in self.shards():
            aside.add(file, unread)
            if frame.height:
                frame, gaps = schemas.fill(frame, self.kind, file.split(".")[0])
                reasons = schemas.reasons(frame, self.kind)
                aside.counts["filled"].update(gaps)
                aside.add(file, setaside.misfits(frame, reasons, self.kind))
                yield frame.filter(reasons.is_null()).drop(schemas.ROW)

    def shards(self) -> Iterator[tuple[str, pl.DataFrame, columnar.Aside]]:
        """(file, rows, what could not be read), files in the order of their names."""
        supply, _, address = self.name.partition(":")
        if supply == "labelled":
            yield from reading.shards(*reading.parse_address(address))
        elif supply == "folder":
            for path in files_of(address):
                read = columnar.parquet_shards if path.suffix == ".parquet" else records.record_shards
                for frame, unread in read(path, self.kind, self.columns):
                    yield path.name, frame, unread
        else:
            file = hub.parse_address(address).dataset.partition("/")[2] if supply == "hub" else supply
            start = 1
            for table in hub.arrow_tables(address) if supply == "hub" else self.world_tables():
                schemas.check_names(table.column_names, self.kind, self.columns, self.name)
                yield file, *columnar.arrow_shard(table, self.kind, self.columns, start=start, file=self.name)
                start += len(table)

    def world_tables(self) -> Iterator:
        """The embedded corpus as Arrow, cut into shards."""
        language = self.name.partition("@")[2] or "zh"
        for frame in world.tables(self.kind, self.rows, self.seed, language=language):
            yield from (shard.to_arrow() for shard in frame.iter_slices(schemas.ROWS_PER_SHARD))


def open_table(
    name: str,
    kind: str,
    rows: int | None = None,
    seed: int = 0,
    rejected: Path | None = None,
    columns: Mapping[str, str] | None = None,
    per_source: int | None = None,
) -> Table:
    """The table `name` as one of the kinds in `schemas.COLUMNS`; ValueError where it can never be one.

    `rows` limits how many are read, `per_source` how many are drawn of each source (by `seed`), `rejected` is
    the Parquet file for rows that do not fit, `columns` renames: {"question": "text_a"}.
    """
    table = Table(name, kind, rows, seed, rejected, columns or {}, per_source)
    schemas.columns_of(kind)
    supply, _, address = name.partition(":")
    if supply == "folder":
        for path in files_of(address):
            names = columnar.names_in_parquet if path.suffix == ".parquet" else records.names_in_records
            if found := names(path):
                schemas.check_names(found, kind, table.columns, str(path))
    elif supply == "hub":
        hub.parse_address(address)
    elif supply == kind == "labelled":
        reading.check_set(*reading.parse_address(address))
    elif (supply, address.partition("@")[0]) != ("world", kind):
        raise ValueError(
            f"{name!r} names no table of {kind}: write world:{kind}, folder:PATH or "
            "hub:OWNER/NAME[/config][@revision]:split"
        )
    return table


def renamed(changes: Iterable[str]) -> dict[str, str]:
    """Old name -> new name of changes such as "问题=query"; ValueError for one that is none."""
    found = {}
    for change in changes:
        old, equals, new = (part.strip() for part in str(change).partition("="))
        if not (old and equals and new):
            raise ValueError(
                f"{change!r} renames no column: write the name that it has, =, and the name here"
            )
        found[old] = new
    return found


def files_of(address: str) -> list[Path]:
    """The readable files of a `folder:` address, sorted; ValueError where there are none."""
    path = ROOT / address
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    files = [
        file
        for file in found
        if file.is_file()
        and file.name.endswith(ENDINGS)
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    if not files:
        state = "holds no such file" if path.exists() else "does not exist"
        raise ValueError(
            f"folder:{address} {state} ({path}): give a file or a folder of files that end in "
            f"{', '.join(ENDINGS)}"
        )
    return files


def first_rows(shards: Iterable[pl.DataFrame], rows: int | None) -> Iterator[pl.DataFrame]:
    """The first `rows` rows, and no shard read beyond them."""
    left = rows
    for shard in shards:
        yield shard if left is None else shard.head(left)
        left = left if left is None else left - len(shard)
        if left is not None and left <= 0:
            return
