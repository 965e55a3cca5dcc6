"""The bytes of a step that are read and written between its matrix products, pass by pass over memory.

Softmax, LayerNorm, GELU, dropout and copies do few operations on each number, so memory sets their pace; each
reads its input and writes its output. Counted as PyTorch runs them: a test counts the same on real models.
A number has `e` bytes in the matrix products, and 4 between layers.

Axes: B texts of a chunk, L tokens of its longest, T tokens of all, D width, H heads, I width of the
feed-forward part, V vocabulary.
"""

from cpack_lib.model.vocabulary import ROWS_PER_CHUNK as GUESSES_PER_CHUNK
from cpack_lib.training.planning.jobs import STATE, Chunk, Job, numbers_in, trained

FORWARD, BACK = 0, 1
LOSS = 60  # of a score: division, guards, logarithm of the sum, softmax, each read and written
GUESS = 44  # of a guess over the vocabulary (`model.vocabulary`), but for those in the products' precision
ADAM = 28  # of a weight: it, its gradient and two moments read, all but the gradient written
CLIP = 12  # of a gradient: its norm, and its scaling


def dropped(e: int, fused: bool) -> tuple[int, int]:
    """A number through dropout, forward and back: on CPUs bits are drawn, compared, and multiplied with."""
    return (2 * e + 1, 2 * e + 1) if fused else (6 + 4 * e, 4 * e + 1)


def cast(e: int) -> int:
    """A number brought into the precision of the products, or back."""
    return STATE + e if e < STATE else 0


def by_sublayer(job: Job, fused: bool) -> tuple[int, int]:
    """Per number of a state: dropout, sum with the state before, LayerNorm, and its casts."""
    e, drop = job.bytes, dropped(job.bytes, fused) if job.dropout else (0, 0)
    forward = cast(e) + drop[FORWARD] + (2 * STATE + e) + 2 * STATE
    back = 3 * STATE + cast(e) + drop[BACK] + e + cast(e) + 3 * STATE
    return forward, back


def by_scores(job: Job) -> tuple[int, int]:
    """Per score of attention: scaling, softmax, dropout."""
    e, drop = job.bytes, dropped(job.bytes, False) if job.dropout else (0, 0)
    return 4 * e + drop[FORWARD], 5 * e + drop[BACK]


def by_layer(job: Job, chunk: Chunk, fused: bool = False, inner: int = 0) -> tuple[int, int]:
    """A layer for every token, forward and back; `inner` is I where it is not the encoder's."""
    D, e, H, wide = job.shape.width, job.bytes, job.shape.heads, inner or job.shape.inner
    sub, scores = by_sublayer(job, fused), (0, 0) if fused else by_scores(job)
    heads = (4 * e, 8 * e) if fused else (8 * e, 14 * e)  # q, k, v and what was found: laid out by head
    gelu, sums = (2 * e, 3 * e), (0, 3 * e * D + e * wide)  # sums: gradients of biases
    forward, back = (
        chunk.tokens * (2 * sub[way] * D + heads[way] * D + gelu[way] * wide + sums[way])
        + chunk.places * chunk.longest * H * scores[way]
        for way in (FORWARD, BACK)
    )
    return forward, back


def by_last_layer(job: Job, chunk: Chunk, fused: bool = False) -> tuple[int, int]:
    """The last layer: key and value of every token, laid out by head; the rest for one token of each text."""
    B, L, T = chunk
    D, e, scores = job.shape.width, job.bytes, (0, 0) if fused else by_scores(job)
    tokens = cast(e) + 4 * e, 10 * e + cast(e) + 5 * STATE
    rest = by_layer(job, Chunk(B, L, B), fused)
    rows = B * L * (L - 1) * job.shape.heads  # of scores that are not computed here
    padding = by_padding(job, chunk, parts=2)
    forward, back = (
        T * tokens[way] * D + rest[way] - rows * scores[way] + padding[way] for way in (FORWARD, BACK)
    )
    return forward, back


def by_padding(job: Job, chunk: Chunk, parts: int) -> tuple[int, int]:
    """What padding adds to a layer: so many of query, key, value are spread over all places.

    With all three, what was found is gathered, and scores are masked.
    """
    if not chunk.is_padded:
        return 0, 0
    eD, T, P = job.bytes * job.shape.width, chunk.tokens, chunk.places
    forward = (parts * (3 * P + T) + 2 * parts * (P - T)) * eD
    back = (parts * 2 * T + 3 * parts * (P - T)) * eD
    if parts < 3:
        return forward, back
    masked = 2 * job.bytes * P * chunk.longest * job.shape.heads
    return forward + 2 * P * eD + masked, back + (8 * P - 4 * T) * eD + masked


def by_embeddings(job: Job, chunk: Chunk) -> tuple[int, int]:
    """Word, place and type of each token gathered and summed, LayerNorm, dropout; back, shared out again."""
    drop = dropped(STATE, False) if job.dropout else (0, 0)
    numbers = chunk.tokens * job.shape.width
    return numbers * (11 * STATE + drop[FORWARD]), numbers * (8 * STATE + drop[BACK])


def by_weights(job: Job) -> tuple[int, int]:
    """Plain copies and sums of a chunk: matrices are joined and cast; back, gradients are cast and added up.

    So is the whole table of words, each time it was read.
    """
    e, layers = job.bytes, numbers_in(job)["layers"]
    joined = 3 * job.shape.layers - (0 if job.stage == "retromae" else 1)
    table = (2 if job.stage == "retromae" else 1) * 4 * STATE * job.words * job.shape.width
    forward = 2 * STATE * joined * job.shape.width**2 + layers * cast(e)
    return forward, layers * (cast(e) + 3 * STATE) + table + (forward if job.recompute else 0)


def by_decoder(job: Job, chunk: Chunk, fused: bool = False) -> tuple[int, int]:
    """RetroMAE's decoder, a layer over the words it rebuilds, and all guesses with their gradients."""
    D, e, (hidden, rebuilt) = job.shape.width, job.bytes, job.guesses(chunk)
    layer = by_layer(job, Chunk(chunk.texts, chunk.longest, rebuilt), fused, inner=4 * D)
    context = by_embeddings(job, chunk)
    blocks = -(-hidden // GUESSES_PER_CHUNK) - (-rebuilt // GUESSES_PER_CHUNK)
    guesses = (hidden + rebuilt) * job.words * (GUESS + 2 * e) + blocks * job.words * D * (4 * STATE + 2 * e)
    return layer[FORWARD] + context[FORWARD] + guesses, layer[BACK] + context[BACK]


def by_chunk(job: Job, chunk: Chunk, fused: bool = False) -> tuple[int, int]:
    """All of a chunk but its weights, forward and back; `recompute` makes layers again on the way back."""
    end = by_decoder if job.stage == "retromae" else by_last_layer
    layer = by_layer(job, chunk, fused)
    if not fused:
        layer = [sum(each) for each in zip(layer, by_padding(job, chunk, parts=3), strict=True)]
    parts = [by_embeddings(job, chunk), end(job, chunk, fused)]
    forward, back = (
        job.full_layers * layer[way] + sum(part[way] for part in parts) for way in (FORWARD, BACK)
    )
    return forward, back + (job.full_layers * layer[FORWARD] if job.recompute else 0)


def by_loss(job: Job) -> int:
    """The scores of the own queries with all passages, and those of the way back where there is one."""
    if job.stage == "retromae":
        return 0
    return job.own_queries * (job.batch * job.passages + (job.batch if job.both_ways else 0)) * LOSS


def by_optimiser(job: Job) -> int:
    """Clipping and AdamW; with several GPUs the gradients are laid in one row and taken out of it."""
    row = 4 * STATE if job.gpus > 1 else 0
    return trained(job) * (ADAM + CLIP + row)
