"""What others ran: the paper's three runs as jobs, and a measurement that a plan can be held against.

Of each number it says who said it. `paper` is C-Pack (arXiv 2309.07597), `README` the release's; numbers with
# are issues of the repository FlagOpen/FlagEmbedding, by an author or a user; `assumed` is ours, where nobody
said anything.
"""

import math
from typing import NamedTuple

from cpack_lib.training.planning import passes, products
from cpack_lib.training.planning.cluster import Card
from cpack_lib.training.planning.fits import EVERYTHING
from cpack_lib.training.planning.jobs import Chunk, Job

CARD = "a100-40g"
PAIRS, LABELLED, EPOCHS = 100_000_000, 838_465, 5  # unlabelled; labelled, and how often they were read
TUNED = 1_024  # queries of a step of fine-tuning: assumed
TUNING_STEPS = math.ceil(LABELLED * EPOCHS / TUNED)
LEAN = {"size": "large", "recompute": True, "activations_gib": EVERYTHING}
# Tokens of a text -> texts/s of one GPU of 8 A100-40G that pre-train BERT-large in mixed precision: NVIDIA
# DeepLearningExamples, PyTorch BERT, README of July 2020 (container 20.06).
PRETRAINING = {128: 3_231 / 8, 512: 620 / 8}
MASKED = 0.15  # of the tokens that BERT's pre-training guesses
TOKENS = 8_192  # of a chunk of the published measurement: assumed, it matters little


class Fact(NamedTuple):
    """A number of a run, and who said it."""

    name: str
    value: str
    said_by: str


class PaperRun(NamedTuple):
    """A run of the paper, planned for the largest size; `dataclasses.replace` its job for another."""

    name: str
    job: Job
    facts: tuple[Fact, ...]


PAPER_RUNS = (
    PaperRun(
        "RetroMAE pre-training",
        Job(stage="retromae", batch=720, passage_tokens=512, gpus=24, steps=180_000, **LEAN),
        (
            Fact("batch", "720 texts", "README"),
            Fact("passage_tokens", "512", "README; that every text has so many is assumed"),
            Fact("gpus", "24 A100-40G", "README"),
            Fact("steps", "180,000", "user, #96: an estimate nobody confirmed"),
            Fact("recompute", "gradient checkpointing", "README"),
            Fact("its duration", "4 days, or 2 weeks", "#358, and #19"),
        ),
    ),
    PaperRun(
        "contrast of pairs",
        Job(batch=19_200, query_tokens=128, passage_tokens=128, gpus=24, steps=20_000, **LEAN),
        (
            Fact("batch", "19,200 pairs", "paper, section 4"),
            Fact("pairs", f"{PAIRS:,}", "paper, table 6"),
            Fact("query_tokens, passage_tokens", "128", "README; that every text has so many is assumed"),
            Fact("gpus", "24 A100-40G", "README"),
            Fact("steps", "20,000", "author, #113, about the English model"),
            Fact("recompute", "gradient checkpointing", "README"),
        ),
    ),
    PaperRun(
        "instruction fine-tuning",
        Job(batch=TUNED, passages=2, query_tokens=64, passage_tokens=256, gpus=8, steps=TUNING_STEPS, **LEAN),
        (
            Fact("pairs", f"{LABELLED:,}", "paper, section 3.2"),
            Fact("epochs", f"{EPOCHS}", "author, #275"),
            Fact("passages", "2, an answer and a negative", "author, #275"),
            Fact("query_tokens, passage_tokens", "64, 256", "README, an example; elsewhere it says 512"),
            Fact("batch", f"{TUNED:,}", "assumed"),
            Fact("gpus", "8 A100-40G", "assumed"),
            Fact("steps", f"{TUNING_STEPS:,}", "what follows of pairs, epochs and batch"),
        ),
    ),
)


def pretraining_texts_per_s(card: Card, tokens: int) -> float:
    """Texts a second of BERT-large's own pre-training: all layers for every token, and guesses of words."""
    job, chunk = Job(size="large"), Chunk(TOKENS // tokens, tokens, TOKENS)
    layers, D = job.shape.layers, job.shape.width
    guesses = 2 * MASKED * TOKENS * (D * D + D * job.words)
    flop = products.WITH_GRADIENTS * (layers * products.layer_flop(job.shape, chunk) + guesses)
    moved = layers * sum(passes.by_layer(job, chunk, card.fused))
    sums = sum(passes.by_weights(job))
    return chunk.texts / (flop / card.products(job.precision) + moved / card.passes() + sums / card.sums())


def beside_published(card: Card) -> list[dict[str, float]]:
    """Planned and published texts a second of one GPU, for each length that was published."""
    return [
        {"tokens": tokens, "planned": pretraining_texts_per_s(card, tokens), "published": texts_per_s}
        for tokens, texts_per_s in PRETRAINING.items()
    ]
