"""What a step contrasts: queries and their passages, tokenised once, and hashes that tell equal texts.

Axes: Q queries, P passages, N = Q + P texts of a step, D width.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from cpack_lib.corpus.clean.text import folded
from cpack_lib.model.tokens import TokenStore, write_store
from cpack_lib.training.contrast import ROWS_PER_CHUNK, contrastive_loss
from cpack_lib.training.settings import Settings

TEXTS_PER_BATCH = 10_000  # tokenised at a time
COPIES_OF_EMBEDDINGS = 6  # own, gathered, to differentiate, gradient, and both in the loss
COPIES_OF_SCORES = 3  # of a chunk: cosines, what is hidden, the softmax
NEVER = 2.0  # a margin that no two cosines can differ by


class Step(NamedTuple):
    """What a step contrasts: token ids of Q queries and P passages, targets, hashes of all texts."""

    queries: list[np.ndarray]
    passages: list[np.ndarray]
    targets: Tensor  # (Q,) into the passages
    texts: Tensor  # (P,)
    query_texts: Tensor  # (Q,)

    def loss(
        self, embeddings: Tensor, settings: Settings, rows: Tensor, guide: Tensor | None = None
    ) -> Tensor:
        """The part of some queries in the contrast of all with all passages: (N, D), (R,) -> ().

        The passages' embeddings follow the queries'; so do a guide's, (N, E).
        """
        Q, device = len(self.queries), embeddings.device
        return contrastive_loss(
            embeddings[:Q],
            embeddings[Q:],
            settings.temperature,
            self.targets.to(device),
            texts=self.texts.to(device),
            query_texts=self.query_texts.to(device),
            both_ways=settings.both_ways,
            rows=rows.to(device),
            margin=settings.margin if settings.margin < NEVER else None,
            guide=None if guide is None else (guide[:Q], guide[Q:]),
        )


class Groups:
    """Queries and their passages, tokenised: one positive first, then negatives, in number as it comes."""

    def __init__(self, settings: Settings, folder: Path, tokenizer: PreTrainedTokenizerBase):
        table = pl.read_parquet(settings.data)
        if "text_a" in table.columns:
            table = table.select(query="text_a", passages=pl.concat_list("text_b"), source="source")
        lengths = table["passages"].list.drop_nulls().list.len().fill_null(0)
        if not table.height or not lengths.min():
            raise ValueError(
                f"{settings.data} has {table.height} rows, {(lengths == 0).sum()} of them without a passage; "
                "it needs a row at least, and a passage in each"
            )
        self.rows, self.sources = table.height, table["source"].to_list()
        self.queries = stored(folder / "queries", tokenizer, table["query"], settings.longest)
        passages = table["passages"].explode(keep_nulls=False, empty_as_null=False)
        self.passages = stored(folder / "passages", tokenizer, passages, settings.longest)
        self.first = np.concatenate([[0], np.cumsum(lengths.to_numpy(), dtype=np.int64)])
        self.texts, self.query_texts = hashes(passages), hashes(table["query"])

    @property
    def keys(self) -> np.ndarray:
        """Hashes of each row's query and positive: (rows, 2)."""
        return np.stack([self.query_texts, self.texts[self.first[:-1]]], axis=1)

    @property
    def longest(self) -> int:
        """Tokens of the longest text, [CLS] and [SEP] among them."""
        return 2 + max(int(store.lengths.max(initial=0)) for store in (self.queries, self.passages))

    def most_texts(self, rows: int) -> int:
        """Texts of a step of so many rows, at most."""
        return rows + int(np.sort(np.diff(self.first))[-rows:].sum())

    def bytes_of_a_loss(self, rows: int, width: int) -> int:
        """What a step of so many rows needs for embeddings, their gradients, and a chunk of scores."""
        N = self.most_texts(rows)
        return 4 * N * (width * COPIES_OF_EMBEDDINGS + min(ROWS_PER_CHUNK, N) * COPIES_OF_SCORES)

    def step(self, rows: np.ndarray) -> Step:
        """The queries of these rows with all their passages."""
        numbers = [np.arange(self.first[row], self.first[row + 1]) for row in rows]
        targets = torch.from_numpy(np.cumsum([0, *map(len, numbers)])[:-1])
        wanted = np.concatenate(numbers)
        return Step(
            [self.queries[i] for i in rows],
            [self.passages[i] for i in wanted],
            targets,
            torch.from_numpy(self.texts[wanted]),
            torch.from_numpy(self.query_texts[rows]),
        )


def hashes(texts: pl.Series) -> np.ndarray:
    """One int64 per text; equal where texts differ in spaces, widths and capitals alone."""
    return pl.select(folded(pl.lit(texts)).hash(seed=0)).to_series().to_numpy().view(np.int64)


def stored(folder: Path, tokenizer: PreTrainedTokenizerBase, texts: pl.Series, longest: int) -> TokenStore:
    """The token store in a folder, made if it is not there: written aside and renamed, so always whole."""
    if not folder.exists():
        aside = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(aside, ignore_errors=True)
        parts = (texts[i : i + TEXTS_PER_BATCH].to_list() for i in range(0, len(texts), TEXTS_PER_BATCH))
        write_store(aside, tokenizer, parts, longest)
        aside.rename(folder)
    return TokenStore(folder)
