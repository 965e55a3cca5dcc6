"""Bytes that a chunk of texts holds: what autograd keeps of it for the way back, and what stands beside it.

A number in the matrix products has `e` bytes, 4 or, in bfloat16, 2; states between layers have 4 in both. The
terms were read off the tensors that autograd saves, and are tested against them.

Axes: B texts of a chunk, L tokens of its longest, T tokens of all, D width, H heads, I width of the
feed-forward part, V vocabulary.
"""

from cpack_lib.training.planning.jobs import STATE, Chunk, Job

NORM = 2 * STATE  # mean and deviation of a row that LayerNorm keeps
PLACE = 8  # of a token's id, or its place: int64


def of_scores(job: Job, longest: int, fused: bool) -> int:
    """Per token and head: a row of the softmax, with dropout also a byte a number and what it left.

    A `fused` kernel, as GPUs have it, keeps the logarithm of the row's sum instead.
    """
    if fused:
        return STATE
    e = job.bytes
    return longest * (e + (1 + e if job.dropout else 0))


def by_layer(job: Job, chunk: Chunk, fused: bool = False) -> int:
    """A layer for every token.

    Its input; query, key, value and what attention found; the feed-forward part's input and two states; the
    inputs of two LayerNorms; the scores; a byte for each number that dropout may hide. With padding, query,
    key and value are spread over all places, too; a fused kernel without dropout takes uneven texts.
    """
    D, e = job.shape.width, job.bytes
    a_token = 6 * e * D + 2 * e * job.shape.inner + 2 * (STATE * D + NORM) + (2 * D if job.dropout else 0)
    a_place = job.shape.heads * of_scores(job, chunk.longest, fused)
    spread = chunk.is_padded and not (fused and not job.dropout)
    padded = chunk.tokens * PLACE + chunk.places * 3 * e * D if spread else 0
    return chunk.tokens * a_token + chunk.places * a_place + padded


def by_last_layer(job: Job, chunk: Chunk, fused: bool = False) -> int:
    """The last layer, for [CLS] alone: input, key and value of all tokens, the rest of one token a text."""
    D, e = job.shape.width, job.bytes
    a_text = 4 * e * D + 2 * e * job.shape.inner + 2 * (STATE * D + NORM) + (2 * D if job.dropout else 0)
    a_text += job.shape.heads * of_scores(job, chunk.longest, fused) + STATE * D  # and the embedding
    padded = chunk.places * 2 * e * D if chunk.is_padded else 0
    return chunk.tokens * 3 * e * D + chunk.texts * a_text + padded


def by_embeddings(job: Job, chunk: Chunk) -> int:
    """The sum of word, place and type: two numbers of each token, and the input of its LayerNorm."""
    D = job.shape.width
    return chunk.tokens * (2 * PLACE + STATE * D + NORM + (D if job.dropout else 0))


def by_decoder(job: Job, chunk: Chunk, fused: bool = False) -> int:
    """RetroMAE's decoder and both guesses: their gradients are kept, two of the whole table among them."""
    D, e, drop = job.shape.width, job.bytes, bool(job.dropout)
    hidden, rebuilt = job.guesses(chunk)
    seen = chunk.longest + job.shape.heads * of_scores(job, chunk.longest, fused)
    context = by_embeddings(job, chunk) + chunk.places * (STATE * D + 4 * e * D + seen)
    asked = 3 * (STATE * D + NORM) + 12 * e * D + PLACE + (3 * D if drop else 0)
    guess = 4 * e * D + NORM
    return context + rebuilt * asked + (hidden + rebuilt) * guess + 2 * STATE * job.words * (D + 1)


def by_weights(job: Job) -> int:
    """Copies of weights: in bfloat16 of all matrices, in float32 of query, key and value joined."""
    D, inner = job.shape.width, job.shape.inner
    joined, rest = 3 * D * D, D * D + 2 * D * inner
    last, ends = (0, 13 * D * D) if job.stage == "retromae" else (2 * D * D, D * D)
    full = 0 if job.recompute else job.full_layers
    if job.bytes == STATE:
        return STATE * (full * joined + last)
    if job.stage == "contrast":
        ends += rest
    return job.bytes * (full * (joined + rest) + last + ends)


def by_chunk(job: Job, chunk: Chunk, fused: bool = False) -> int:
    """Everything: with `recompute`, of a layer only its input."""
    a_layer = chunk.tokens * STATE * job.shape.width if job.recompute else by_layer(job, chunk, fused)
    end = by_decoder if job.stage == "retromae" else by_last_layer
    layers = job.full_layers * a_layer + end(job, chunk, fused)
    return by_embeddings(job, chunk) + layers + by_weights(job)
