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
from cpack_lib.training.distillation import by_encoder, by_scores, distillation_loss
from cpack_lib.training.objectives.tables import read_groups, stand_alone, with_instructions
from cpack_lib.training.settings import Settings
from cpack_lib.training.widths import over_widths

TEXTS_PER_BATCH = 10_000  # tokenised at a time
COPIES_OF_EMBEDDINGS = 6  # own, gathered, to differentiate, gradient, and both in the loss
COPIES_OF_SCORES = 3  # of a chunk: cosines, what is hidden, the softmax
COPIES_TAUGHT = 6  # the same where a teacher's stand beside them
COPIES_OF_A_WIDTH = 5  # what is cut, its length made one, its gradient, and both in the loss
COPIES_OF_FROZEN = 2  # own, gathered
NEVER = 2.0  # a margin that no two cosines can differ by


class Step(NamedTuple):
    """What a step contrasts: token ids of Q queries and P passages, targets, hashes of all texts."""

    queries: list[np.ndarray]
    passages: list[np.ndarray]
    targets: Tensor  # (Q,) into the passages
    texts: Tensor  # (P,)
    query_texts: Tensor  # (Q,)
    alone: Tensor | None = None  # (Q,) bool: contrasted with their own passages alone
    scores: Tensor | None = None  # (P,) a teacher's, for the query whose passage it is

    def loss(
        self,
        embeddings: Tensor,
        settings: Settings,
        rows: Tensor,
        guide: Tensor | None = None,
        teacher: Tensor | None = None,
    ) -> Tensor:
        """The part of some queries in the loss of all: (N, D), (R,) -> ().

        The passages' embeddings follow the queries'; so do a guide's and a teacher's, (N, E). The loss is the
        contrast of all with all passages, the divergence from a teacher, or their weighted mean; of all that,
        the mean over widths.
        """
        share, rows = settings.distillation, rows.to(embeddings.device)

        def of_a_width(embeddings: Tensor) -> Tensor:
            parts = []
            if share < 1:
                parts.append((1 - share) * self.contrast(embeddings, settings, rows, guide))
            if share > 0:
                parts.append(share * self.divergence(embeddings, settings, rows, teacher))
            return sum(parts)

        return over_widths(embeddings, settings.weighted_widths, of_a_width)

    def contrast(self, embeddings: Tensor, settings: Settings, rows: Tensor, guide: Tensor | None) -> Tensor:
        """The contrast's part: (N, D), (R,), (N, E) -> ()."""
        Q, device = len(self.queries), embeddings.device
        return contrastive_loss(
            embeddings[:Q],
            embeddings[Q:],
            settings.temperature,
            self.targets.to(device),
            texts=self.texts.to(device),
            query_texts=self.query_texts.to(device),
            both_ways=settings.both_ways,
            rows=rows,
            margin=settings.margin if settings.margin < NEVER else None,
            guide=None if guide is None else (guide[:Q], guide[Q:]),
            alone=None if self.alone is None else self.alone.to(device),
        )

    def divergence(
        self, embeddings: Tensor, settings: Settings, rows: Tensor, teacher: Tensor | None
    ) -> Tensor:
        """The teacher's part: (N, D), (R,), (N, E) or none where `scores` has what it thought -> ()."""
        Q, device = len(self.queries), embeddings.device
        targets = self.targets.to(device)
        if teacher is None:
            taught = by_scores(self.scores.to(device), targets, settings.teacher_temperature)
        else:
            alone = torch.ones_like(targets, dtype=torch.bool)
            if settings.distilled == "batch":
                alone = None if self.alone is None else self.alone.to(device)
            taught = by_encoder(teacher[:Q], teacher[Q:], targets, settings.teacher_temperature, alone)
        return distillation_loss(embeddings[:Q], embeddings[Q:], settings.temperature, taught, rows)


class Groups:
    """Queries and their passages, tokenised: one positive first, then negatives, in number as it comes."""

    def __init__(self, settings: Settings, folder: Path, tokenizer: PreTrainedTokenizerBase):
        table, self.settings = read_groups(settings), settings
        self.rows, self.sources, self.tasks = len(table.lengths), table.sources, table.tasks
        self.alone, self.scores = stand_alone(table, settings), table.scores
        queries, passages = with_instructions(table, settings)
        self.queries = stored(folder / "queries", tokenizer, queries, settings.longest)
        self.passages = stored(folder / "passages", tokenizer, passages, settings.longest)
        self.first = np.concatenate([[0], np.cumsum(table.lengths)])
        self.texts, self.query_texts = hashes(table.passages), hashes(table.queries)

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

    def bytes_of_a_loss(self, rows: int, width: int, frozen: int = 0) -> int:
        """What a step of so many rows needs for embeddings, their gradients, and a chunk of scores.

        `frozen` is the width of all encoders together that are only asked.
        """
        N = self.most_texts(rows)
        numbers = width * COPIES_OF_EMBEDDINGS + frozen * COPIES_OF_FROZEN
        numbers += sum(self.settings.weighted_widths) * COPIES_OF_A_WIDTH
        scores = COPIES_TAUGHT if self.settings.distillation else COPIES_OF_SCORES
        return 4 * N * (numbers + min(ROWS_PER_CHUNK, N) * scores)

    def step(self, rows: np.ndarray) -> Step:
        """The queries of these rows with all their passages."""
        numbers = [np.arange(self.first[row], self.first[row + 1]) for row in rows]
        targets = torch.from_numpy(np.cumsum([0, *map(len, numbers)])[:-1])
        wanted = np.concatenate(numbers)
        apart = self.alone is not None and self.alone[rows].any()
        return Step(
            [self.queries[i] for i in rows],
            [self.passages[i] for i in wanted],
            targets,
            torch.from_numpy(self.texts[wanted]),
            torch.from_numpy(self.query_texts[rows]),
            alone=torch.from_numpy(self.alone[rows]) if apart else None,
            scores=None if self.scores is None else torch.from_numpy(self.scores[wanted]),
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
