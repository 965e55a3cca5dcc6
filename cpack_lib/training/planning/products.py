"""The matrix products of a step, in FLOP: two for each number that is multiplied and added.

What is no product (softmax, LayerNorm, GELU, dropout) counts as bytes, in `passes`.  Tested equal to
PyTorch's own counter on the models that are trained.

Axes: B texts of a chunk, L tokens of its longest, T tokens of all, D width, I width of the feed-forward part,
M words that are guessed, V vocabulary, Q queries, P passages.
"""

from cpack_lib.training.planning.jobs import Chunk, Job, Shape

WITH_GRADIENTS = 3  # a product and its two gradients, each a product of its size


def layer_flop(shape: Shape, chunk: Chunk) -> int:
    """One layer forward, for every token."""
    D, inner = shape.width, shape.inner
    B, L, T = chunk
    return 2 * T * (4 * D * D + 2 * D * inner) + 4 * B * L * L * D


def last_layer_flop(shape: Shape, chunk: Chunk) -> int:
    """The last layer forward, where only the state of [CLS] is read: keys and values of all tokens."""
    D, inner = shape.width, shape.inner
    B, L, T = chunk
    return 2 * T * 2 * D * D + 2 * B * (2 * D * D + 2 * D * inner) + 4 * B * L * D


def lower_flop(job: Job, chunk: Chunk) -> int:
    """The layers that work for every token, forward: what `recompute` makes again on the way back."""
    return job.full_layers * layer_flop(job.shape, chunk)


def embed_flop(job: Job, chunk: Chunk) -> int:
    """A chunk through the encoder, forward."""
    last = 0 if job.stage == "retromae" else last_layer_flop(job.shape, chunk)
    return lower_flop(job, chunk) + last


def back_flop(job: Job, chunk: Chunk) -> int:
    """A chunk's way back through the encoder."""
    again = lower_flop(job, chunk) if job.recompute else 0
    return again + (WITH_GRADIENTS - 1) * embed_flop(job, chunk)


def loss_flop(job: Job) -> int:
    """The contrast of the own queries with all passages, value and gradients; nothing for RetroMAE."""
    if job.stage == "retromae":
        return 0
    candidates = job.batch * job.passages + (job.batch if job.both_ways else 0)
    return WITH_GRADIENTS * 2 * job.own_queries * candidates * job.shape.width


def transform_flop(job: Job, chunk: Chunk) -> int:
    """RetroMAE's decoder, and the transform before either guess, forward."""
    D = job.shape.width
    B, L, T = chunk
    hidden, rebuilt = job.guesses(chunk)
    asked = rebuilt * (2 * D * D + 8 * D * D)  # query, mix, and the two products of the feed-forward part
    return 2 * (asked + T * 2 * D * D + (hidden + rebuilt) * D * D) + 4 * B * L * L * D


def guess_flop(job: Job, chunk: Chunk) -> int:
    """RetroMAE's guesses over the vocabulary with their gradients: made forward, in `model.vocabulary`."""
    return WITH_GRADIENTS * 2 * sum(job.guesses(chunk)) * job.shape.width * job.words


def rebuild_flop(job: Job, chunk: Chunk) -> tuple[int, int]:
    """RetroMAE on a chunk: forward, and back."""
    decoder = transform_flop(job, chunk)
    forward = embed_flop(job, chunk) + decoder + guess_flop(job, chunk)
    return forward, back_flop(job, chunk) + (WITH_GRADIENTS - 1) * decoder
