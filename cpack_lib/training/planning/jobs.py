"""A run on paper: the sizes of what is trained, and what every GPU is asked in a step.

What cannot be is refused. A model's numbers are tested equal to those of the models that are trained, the
chunks to those that the engine cuts.

Axes: B texts of a chunk, L tokens of its longest, T tokens of all, W GPUs, D width, I width of the
feed-forward part, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from cpack_lib.model.encoder import LONGEST, SIZES
from cpack_lib.training.objectives.reconstruction import labels

BERT_WORDS = 21_128  # vocabulary of the Chinese BERTs that C-Pack begins with
KINDS = 2  # of a text, in BERT's embeddings
STAGES = ("contrast", "retromae")
STATE = 4  # bytes of a number between layers, of a weight, a gradient or a moment: float32
BYTES = {"bfloat16": 2, "float32": 4}  # of a number in the matrix products
SHORTEST = 3  # [CLS], a token, [SEP]
AT_LEAST_ONE = ("batch", "passages", "gpus", "steps", "words")


class Shape(NamedTuple):
    """The shape of an encoder."""

    layers: int
    width: int  # D
    heads: int  # H
    inner: int  # I
    words: int  # V


class Chunk(NamedTuple):
    """Texts that are embedded together."""

    texts: int  # B
    longest: int  # L
    tokens: int  # T

    @property
    def places(self) -> int:
        """Tokens with the padding, B · L."""
        return self.texts * self.longest

    @property
    def is_padded(self) -> bool:
        """Whether some texts are shorter than the longest."""
        return self.tokens < self.places


@dataclass(frozen=True)
class Job:
    """A training run; the names are those of `training.settings`, but for what only a plan asks."""

    size: str = "large"
    stage: str = "contrast"
    batch: int = 19_200  # pairs of a step, or texts of RetroMAE, all GPUs together
    query_tokens: int = 128  # of a query, with [CLS] and [SEP]
    passage_tokens: int = 128  # of a passage, or of a text of RetroMAE
    passages: int = 1  # of a query: its answer and mined negatives
    gpus: int = 1
    steps: int = 20_000
    precision: str = "bfloat16"
    dropout: float = 0.1
    tokens_per_chunk: int = 8_192
    activations_gib: float = 4.0  # kept for the way back at most; what does not fit is embedded twice
    recompute: bool = False
    both_ways: bool = False
    words: int = BERT_WORDS
    encoder_mask: float = 0.3
    decoder_labels: float = 1.0

    def __post_init__(self):
        check(self)

    @property
    def shape(self) -> Shape:
        """The shape of its encoder."""
        return Shape(*SIZES[self.size], self.words)

    @property
    def bytes(self) -> int:
        """Of a number in the matrix products."""
        return BYTES[self.precision]

    @property
    def texts(self) -> int:
        """Texts of a step, all GPUs together."""
        return self.batch if self.stage == "retromae" else self.batch * (1 + self.passages)

    @property
    def tokens(self) -> int:
        """Tokens of a step, all GPUs together."""
        return sum(length * count for length, count in self.runs())

    def runs(self) -> list[tuple[int, int]]:
        """Lengths of a step's texts, and how many texts have each; the longest first."""
        if self.stage == "retromae":
            return [(self.passage_tokens, self.batch)]
        runs = [(self.query_tokens, self.batch), (self.passage_tokens, self.batch * self.passages)]
        return sorted(runs, reverse=True)

    def chunks(self) -> list[Chunk]:
        """What the busiest GPU embeds, in the engine's order, cut as the engine cuts it."""
        ends = [-(-end // self.gpus) for end in accumulate(count for _, count in self.runs())]
        mine = [end - start for start, end in pairwise([0, *ends])]  # every W-th text, from the longest on
        return cut(
            [(length, count) for (length, _), count in zip(self.runs(), mine, strict=True)],
            self.tokens_per_chunk,
        )

    @property
    def full_layers(self) -> int:
        """Layers that work for every token: all but the last, of which a contrast reads [CLS] alone."""
        return self.shape.layers - (0 if self.stage == "retromae" else 1)

    def guesses(self, chunk: Chunk) -> tuple[int, int]:
        """Words of a chunk that RetroMAE's encoder guesses, and its decoder."""
        words = np.asarray([chunk.longest - 2])
        hidden, rebuilt = (int(labels(words, share)[0]) for share in (self.encoder_mask, self.decoder_labels))
        return chunk.texts * hidden, chunk.texts * rebuilt

    @property
    def own_queries(self) -> int:
        """Queries whose loss the busiest GPU computes."""
        return -(-self.batch // self.gpus)


def numbers_in(job: Job) -> dict[str, int]:
    """Trained numbers by part; RetroMAE also trains a decoder, and a head that shares the tokens' table."""
    D, inner = job.shape.width, job.shape.inner
    norm = 2 * D
    a_layer = 4 * (D * D + D) + (D * inner + inner) + (inner * D + D) + 2 * norm
    parts = {
        "tokens and positions": (job.words + LONGEST + KINDS) * D + norm,
        "layers": job.shape.layers * a_layer,
    }
    if job.stage == "retromae":
        parts["language-model head"] = D * D + D + norm + job.words
        parts["decoder"] = 4 * (D * D + D) + (4 * D * D + 4 * D) + (4 * D * D + D) + 2 * norm
    return parts


def trained(job: Job) -> int:
    """All numbers that the optimiser changes."""
    return sum(numbers_in(job).values())


def cut(runs: list[tuple[int, int]], budget: int) -> list[Chunk]:
    """Chunks of texts whose lengths come in runs, longest first: as `tokens.chunks` cuts them."""
    left, found = [list(run) for run in runs if run[1]], []
    while left:
        longest, count = left[0]
        rows = max(1, budget // longest)
        if count >= rows:
            found += [Chunk(rows, longest, rows * longest)] * (count // rows)
            left[0][1] %= rows
        else:
            found.append(mixed(left, rows))
        left = [run for run in left if run[1]]
    return found


def mixed(left: list[list[int]], rows: int) -> Chunk:
    """One chunk of so many texts from several runs, or of all that are left; they are taken out."""
    longest, texts, tokens = left[0][0], 0, 0
    for run in left:
        taken = min(rows - texts, run[1])
        run[1] -= taken
        texts, tokens = texts + taken, tokens + taken * run[0]
    return Chunk(texts, longest, tokens)


def check(job: Job) -> None:
    """Refuse what cannot be meant; one sentence names the value and the remedy."""
    among("size", job.size, tuple(SIZES))
    among("stage", job.stage, STAGES)
    among("precision", job.precision, tuple(BYTES))
    for name in AT_LEAST_ONE:
        if getattr(job, name) < 1:
            raise ValueError(f"{name} is {getattr(job, name)}; it has to be 1 or more")
    for name in ("query_tokens", "passage_tokens"):
        if not SHORTEST <= getattr(job, name) <= LONGEST:
            raise ValueError(f"{name} is {getattr(job, name)}; a text has {SHORTEST} to {LONGEST} tokens")
    for name in ("tokens_per_chunk", "activations_gib"):
        if not getattr(job, name) > 0:
            raise ValueError(f"{name} is {getattr(job, name)}; it has to be above 0")
    for name in ("dropout", "encoder_mask", "decoder_labels"):
        if not 0 <= getattr(job, name) <= 1:
            raise ValueError(f"{name} is {getattr(job, name)}; it is a share, from 0 to 1")
    if job.batch < job.gpus:
        raise ValueError(
            f"a batch of {job.batch:,} leaves {job.gpus - job.batch:,} of {job.gpus:,} GPUs without a query; "
            "take a larger batch or fewer GPUs"
        )


def among(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is none of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(allowed)}")
