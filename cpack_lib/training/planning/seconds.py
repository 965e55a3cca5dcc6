"""Seconds of a step, by the parts of the engine's clock, and what a run of such steps costs.

A roofline: a kernel takes as long as its products or its bytes, whichever is slower. The products of chunks
of thousands of tokens are far on the one side, what stands between them far on the other (`intensity`), so a
step is the sum of both: products at a card's rate, passes at its memory's.

A step has three collectives (`training.ranks`): a gather of embeddings, a reduction of their gradients, a sum
of the weights' gradients. In a ring of W GPUs a gather sends (W - 1)/W of everything through each link, and
so does a reduction; a sum is both. The slowest link sets the pace: within a machine the cards' own, between
machines the network's.  Thakur et al. 2005, section 4 (Int. J. High Performance Computing Applications 19).
Sending is not hidden behind work, because the engine does not hide it.

Not counted: starting kernels, reading data, waiting for the slowest GPU.
"""

from collections import Counter
from typing import NamedTuple

from cpack_lib.training.planning import passes, products
from cpack_lib.training.planning.cluster import CLUSTER, Card, Network
from cpack_lib.training.planning.jobs import STATE, Chunk, Job, trained
from cpack_lib.training.planning.memory import split

HOUR = 3_600
LOSS_PRECISION = "float32"  # whatever the products of the encoder are in


def of_a_chunk(job: Job, chunk: Chunk, card: Card) -> tuple[float, float]:
    """Forward, and back."""
    if job.stage == "retromae":
        flop = products.rebuild_flop(job, chunk)
    else:
        flop = products.embed_flop(job, chunk), products.back_flop(job, chunk)
    moved, weights = passes.by_chunk(job, chunk, card.fused), passes.by_weights(job)
    rate = card.products(job.precision)
    forward, back = (
        f / rate + p / card.passes() + w / card.sums() for f, p, w in zip(flop, moved, weights, strict=True)
    )
    return forward, back


def of_chunks(job: Job, chunks: list[Chunk], card: Card) -> tuple[float, float]:
    """Forward, and back, of all."""
    times = {chunk: (count, *of_a_chunk(job, chunk, card)) for chunk, count in Counter(chunks).items()}
    forward, back = (sum(each[0] * each[way] for each in times.values()) for way in (1, 2))
    return forward, back


def seconds(job: Job, card: Card, network: Network = CLUSTER) -> dict[str, float]:
    """Part of a step -> seconds, on the busiest GPU."""
    found = rebuilding(job, card) if job.stage == "retromae" else contrasting(job, card)
    found["optimizer"] = passes.by_optimiser(job) / card.sums()
    return found | (seconds_sent(job, card, network) if job.gpus > 1 else {})


def contrasting(job: Job, card: Card) -> dict[str, float]:
    """A contrast: all texts forward, the loss, the way back of what was kept, and of what was not."""
    first, again = (of_chunks(job, chunks, card) for chunks in split(job, card.fused))
    loss = products.loss_flop(job) / card.products(LOSS_PRECISION) + passes.by_loss(job) / card.passes()
    return {"embed": first[0] + again[0], "loss": loss, "back": first[1], "embed again": sum(again)}


def rebuilding(job: Job, card: Card) -> dict[str, float]:
    """RetroMAE: every chunk forward and back."""
    forward, back = of_chunks(job, job.chunks(), card)
    return {"forward": forward, "back": back}


def sent(job: Job) -> dict[str, int]:
    """Bytes that each collective is about, all GPUs together: what stands everywhere when it is over."""
    rows = STATE * job.texts * job.shape.width if job.stage == "contrast" else 0
    return {"gather": rows, "reduce embeddings": rows, "reduce": STATE * trained(job)}


def ring_s(size: float, gpus: int, bytes_per_s: float, latency_s: float) -> float:
    """Seconds of a gather, or of a reduction, of so many bytes around a ring."""
    return (gpus - 1) * (size / gpus / bytes_per_s + latency_s)


def seconds_sent(job: Job, card: Card, network: Network = CLUSTER) -> dict[str, float]:
    """Seconds of each collective; 0 where nothing is sent."""
    pace = network.bytes_per_s(card, job.gpus)
    rounds = {"gather": 1, "reduce embeddings": 1, "reduce": 2}
    return {
        name: rounds[name] * ring_s(size, job.gpus, pace, network.latency_s) if size else 0.0
        for name, size in sent(job).items()
    }


def step_s(job: Job, card: Card, network: Network = CLUSTER) -> float:
    """Seconds of a step."""
    return sum(seconds(job, card, network).values())


def needed_flop(job: Job) -> float:
    """Products of a step on the busiest GPU that nobody can avoid: nothing embedded twice or made again."""
    if job.stage == "retromae":
        lean = [sum(products.rebuild_flop(job, chunk)) - extra(job, chunk) for chunk in job.chunks()]
        return sum(lean)
    texts = (products.WITH_GRADIENTS * products.embed_flop(job, chunk) for chunk in job.chunks())
    return sum(texts) + products.loss_flop(job)


def extra(job: Job, chunk: Chunk) -> float:
    """Products that `recompute` adds."""
    return products.lower_flop(job, chunk) if job.recompute else 0


def utilisation(job: Job, card: Card, network: Network = CLUSTER) -> float:
    """Share of the card's peak that a step puts to use."""
    return needed_flop(job) / step_s(job, card, network) / card.flop_per_s[job.precision]


def intensity(rows: int, width: int, columns: int, number: int) -> float:
    """FLOP for each byte of a product (rows × width) · (width × columns), of numbers of so many bytes."""
    return 2 * rows * width * columns / (number * (rows * width + width * columns + rows * columns))


class Cost(NamedTuple):
    """What a run takes; money in the currency of the price."""

    hours: float
    gpu_hours: float
    money: float
    tokens_per_s: float  # of all GPUs together


def cost_of(job: Job, card: Card, price: float, network: Network = CLUSTER) -> Cost:
    """The cost of all steps at a price of one GPU for an hour."""
    if price < 0:
        raise ValueError(f"price is {price}; a GPU's hour costs 0 or more")
    step = step_s(job, card, network)
    hours = job.steps * step / HOUR
    return Cost(hours, hours * job.gpus, hours * job.gpus * price, job.tokens / step)
