"""Parquet files that grow frame by frame, and stand under their name only once they are whole."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

ROWS_PER_GROUP = 65_536


class GrowingParquet:
    """A file with these columns: a frame's missing columns are written as null, its others left out."""

    def __init__(self, path: Path, schema: Mapping[str, pl.DataType]):
        self.path, self.part = path, path.with_name(path.name + ".part")
        self.empty = pl.DataFrame(schema=schema)

    def __enter__(self) -> "GrowingParquet":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.writer = pq.ParquetWriter(self.part, as_arrow(self.empty).schema, compression="zstd")
        return self

    def __exit__(self, error: type | None, *_) -> None:
        self.writer.close()
        if error is None:
            self.part.replace(self.path)
        else:
            self.part.unlink()

    def append(self, frame: pl.DataFrame) -> None:
        """Write the frame's rows behind those that are there."""
        if frame.height:
            missing = [name for name in self.empty.columns if name not in frame.columns]
            frame = frame.with_columns(pl.lit(None).alias(name) for name in missing)
            whole = frame.select(self.empty.columns).cast(dict(self.empty.schema))
            self.writer.write_table(as_arrow(whole), row_group_size=ROWS_PER_GROUP)


def as_arrow(frame: pl.DataFrame):
    """The frame as Arrow, texts in the layout that every reader of Parquet knows."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
