"""Tables of the Hugging Face hub, streamed with `datasets`: nothing is kept on disk."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
from datasets import load_dataset

from cpack_lib.corpus.read.schemas import ROWS_PER_SHARD

ADDRESS = re.compile(
    r"(?P<dataset>[\w.-]+/[\w.-]+)(/(?P<config>[^@:]+))?(@(?P<revision>[^:]+))?:(?P<split>[\w.-]+)"
)


class Address(NamedTuple):
    """What stands between `hub:` and its end; config and revision may be left out."""

    dataset: str
    config: str | None
    revision: str | None
    split: str


def parse_address(text: str) -> Address:
    """`OWNER/NAME[/config][@revision]:split` in its parts, or ValueError."""
    match = ADDRESS.fullmatch(text)
    if not match:
        raise ValueError(
            f"hub:{text} is no address of a dataset: write it as "
            "hub:OWNER/NAME[/config][@revision]:split, such as hub:C-MTEB/T2Retrieval:corpus"
        )
    return Address(**match.groupdict())


def arrow_tables(text: str) -> Iterator[pa.Table]:
    """The rows of one split, at most ROWS_PER_SHARD at a time."""
    address = parse_address(text)
    rows = load_dataset(
        address.dataset, address.config, split=address.split, revision=address.revision, streaming=True
    )
    yield from rows.with_format("arrow").iter(batch_size=ROWS_PER_SHARD)
