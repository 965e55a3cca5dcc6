"""Bytes a step holds on the busiest GPU, by part, at each phase; the largest phase decides what fits.

The parts at a phase add up to what is alive then. `kept` has what a chunk of texts holds; the copies of
embeddings and of scores are those the engine counts with (`objectives.groups`, `model.vocabulary`).

Axes: B texts of a chunk, L tokens of its longest, D width, H heads, I width of the feed-forward part.
"""

from collections.abc import Callable
from itertools import accumulate

from cpack_lib.model.vocabulary import ROWS_PER_CHUNK as GUESSES_PER_CHUNK
from cpack_lib.training.contrast import ROWS_PER_CHUNK
from cpack_lib.training.objectives.groups import COPIES_OF_EMBEDDINGS, COPIES_OF_SCORES
from cpack_lib.training.objectives.reconstruction import COPIES_OF_SCORES as COPIES_OF_GUESSES
from cpack_lib.training.planning import kept
from cpack_lib.training.planning.jobs import STATE, Chunk, Job, numbers_in, trained
from cpack_lib.work.measure import GIB

MOMENTS = 2  # of AdamW for each weight
OWN_COPIES = 3  # of this GPU's embeddings on the way back: as found, in order, and their gradient
Parts = dict[str, float]  # part -> bytes


def phases(job: Job, fused: bool = False) -> dict[str, Parts]:
    """Phase of a step -> its parts in bytes: embed, loss, back, reduce (with several GPUs)."""
    weights = STATE * trained(job)
    always = {"weights": weights, "optimiser states": MOMENTS * weights, "ids": ids(job)}
    found = rebuilding(job, fused) if job.stage == "retromae" else contrasting(job, fused)
    after = {"gradients": weights}
    found["reduce"] = after | ({"gradients in one row": weights} if job.gpus > 1 else {})
    return {phase: always | parts for phase, parts in found.items()}


def parts_at_peak(job: Job, fused: bool = False) -> Parts:
    """The parts of the largest phase, in bytes."""
    return max(phases(job, fused).values(), key=total)


def peak_gib(job: Job, fused: bool = False) -> float:
    """What a step holds at most, GiB."""
    return total(parts_at_peak(job, fused)) / GIB


def total(parts: Parts) -> float:
    """All parts together, bytes."""
    return sum(parts.values())


def contrasting(job: Job, fused: bool) -> dict[str, Parts]:
    """The phases of a contrast: embed, loss, back."""
    first, again = split(job, fused)
    rows = STATE * job.shape.width * len_of(first + again)
    stays = {"kept chunks": sum(sizes_of(job, first, fused))}
    forward = max((passing(job, chunk, fused) for chunk in set(again)), default=0)
    last = passing_kept(job, first[-1], fused) if first else 0
    embed = stays | {"one chunk": max(forward, last), "embeddings and scores": rows}
    loss = stays | {"embeddings and scores": loss_bytes(job)}
    return {"embed": embed, "loss": loss, "back": back(job, first, again, OWN_COPIES * rows, fused)}


def back(job: Job, first: list[Chunk], again: list[Chunk], rows: float, fused: bool) -> Parts:
    """The way back: through what is kept, then chunk by chunk."""
    gradients = STATE * trained(job)
    sizes = sizes_of(job, first, fused)
    moments = [{"gradients": gradients, "one chunk": STATE * job.words * job.shape.width}]
    if first:
        beside = passing_kept(job, first[0], fused)
        others = {"kept chunks": sum(sizes[1:]), "one chunk": beside if len(first) > 1 else 0}
        moments += [{"kept chunks": sum(sizes), "one chunk": beside}, {"gradients": gradients} | others]
        moments.append(ending(job, first[0], fused) | {"kept chunks": sum(sizes[1:])})
    if again:
        moments.append(by_turns(job, again, fused, started=bool(first)))
    return max(moments, key=total) | {"embeddings and scores": rows}


def by_turns(job: Job, chunks: list[Chunk], fused: bool, started: bool = False) -> Parts:
    """Chunks forward and back one after the other; the gradients stand after the first, or have `started`."""
    sizes = sizes_of(job, chunks, fused, passing_kept)
    later = sizes if started else sizes[1:]
    beside = {"gradients": STATE * trained(job), "one chunk": max(later, default=0)}
    return max({"one chunk": sizes[0]}, ending(job, chunks[0], fused), beside, key=total)


def ending(job: Job, chunk: Chunk, fused: bool) -> Parts:
    """Where the way back through a chunk comes to its lowest layer: the other layers' gradients are there."""
    layers = STATE * numbers_in(job)["layers"]
    layer = kept.by_layer if job.full_layers else kept.by_last_layer
    lowest = layer(job, chunk, fused) + kept.by_embeddings(job, chunk)
    return {"gradients": layers, "one chunk": lowest + chunk.places * STATE * job.shape.width}


def rebuilding(job: Job, fused: bool) -> dict[str, Parts]:
    """The phase of RetroMAE: each chunk goes forward and back before the next."""
    return {"back": by_turns(job, job.chunks(), fused) | {"embeddings and scores": guess_bytes(job)}}


def split(job: Job, fused: bool = False) -> tuple[list[Chunk], list[Chunk]]:
    """The chunks whose activations are kept, and those that are embedded twice; as the engine decides it."""
    chunks = job.chunks()
    a_place = kept.by_chunk(job, chunks[0], fused) / chunks[0].places
    places = accumulate(chunk.places for chunk in chunks)
    count = sum(a_place * place <= job.activations_gib * GIB for place in places)
    return chunks[:count], chunks[count:]


def sizes_of(
    job: Job, chunks: list[Chunk], fused: bool, beside: Callable[[Job, Chunk, bool], int] | None = None
) -> list[int]:
    """What each chunk keeps, and what stands `beside` it; equal chunks are weighed once."""
    each = {chunk: kept.by_chunk(job, chunk, fused) for chunk in set(chunks)}
    if beside is not None:
        each = {chunk: size + beside(job, chunk, fused) for chunk, size in each.items()}
    return [each[chunk] for chunk in chunks]


def len_of(chunks: list[Chunk]) -> int:
    """Texts of some chunks."""
    return sum(chunk.texts for chunk in chunks)


def ids(job: Job) -> int:
    """The padded texts themselves: a number and a mark for each place."""
    return sum(chunk.places for chunk in job.chunks()) * (kept.PLACE + 1)


def loss_bytes(job: Job) -> int:
    """Embeddings of all GPUs in several copies, and a block of scores."""
    scores = min(ROWS_PER_CHUNK, job.texts) * COPIES_OF_SCORES
    return STATE * job.texts * (job.shape.width * COPIES_OF_EMBEDDINGS + scores)


def guess_bytes(job: Job) -> int:
    """A block of RetroMAE's scores over the vocabulary, and two tables in the precision of the products."""
    scores = STATE * GUESSES_PER_CHUNK * COPIES_OF_GUESSES
    return job.words * (scores + 2 * job.bytes * job.shape.width)


def passing(job: Job, chunk: Chunk, fused: bool = False) -> int:
    """What a chunk holds on its way forward if nothing is kept: attention or feed-forward part, the wider."""
    D, inner, e, drop = job.shape.width, job.shape.inner, job.bytes, bool(job.dropout)
    scores = 0 if fused else job.shape.heads * chunk.longest * ((3 * e + 3) if drop else 2 * e)
    heads = 3 * e * D + (e * D if fused else 3 * e * D)
    attention = STATE * D + heads + scores
    cast = e * D if e < STATE else 0
    forward = 2 * STATE * D + e * D + cast + 2 * e * inner
    return chunk.places * max(attention, forward) + copies(job)


def copies(job: Job) -> int:
    """Weights in the products' precision: in bfloat16 of all layers by the end, in float32 of one, joined."""
    D, inner = job.shape.width, job.shape.inner
    if job.bytes == STATE:
        return STATE * 3 * D * D
    return job.shape.layers * job.bytes * (D * D + 2 * D * inner) + (STATE + job.bytes) * 3 * D * D


def passing_kept(job: Job, chunk: Chunk, fused: bool = False) -> int:
    """What stands for a moment beside what a chunk keeps; with `recompute` one layer in full.

    The last layer of a contrast, which is never recomputed, has been left by then.
    """
    D, inner, e = job.shape.width, job.shape.inner, job.bytes
    beside = chunk.places * (2 * e * D + (STATE * D if e < STATE else 0)) + 2 * STATE * D * D
    if not job.recompute:
        return beside
    weights = e * (4 * D * D + 2 * D * inner) if e < STATE else STATE * 3 * D * D
    a_layer = kept.by_layer(job, chunk, fused) + chunk.places * STATE * D + weights
    left = 0 if job.stage == "retromae" else kept.by_last_layer(job, chunk, fused)
    return max(beside, a_layer - left)
