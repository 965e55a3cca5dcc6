"""What fits into a card: the ways to make the same step, the largest chunk, the fewest GPUs."""

from dataclasses import replace

from cpack_lib.training.planning.cluster import CLUSTER, Card, Network
from cpack_lib.training.planning.jobs import Job
from cpack_lib.training.planning.memory import loss_bytes, peak_gib
from cpack_lib.training.planning.seconds import step_s
from cpack_lib.work.measure import GIB

EVERYTHING, NOTHING = 1e6, 1e-9  # GiB of activations that may be kept
SMALLEST_CHUNK = 64  # tokens


def ways(job: Job) -> dict[str, Job]:
    """The same step made in other ways: what it costs differs, never what it gives."""
    if job.stage == "retromae":
        return {"all kept": replace(job, recompute=False), "layers recomputed": replace(job, recompute=True)}
    return {
        "all kept": replace(job, activations_gib=EVERYTHING, recompute=False),
        "all kept, layers recomputed": replace(job, activations_gib=EVERYTHING, recompute=True),
        "embedded twice": replace(job, activations_gib=NOTHING, recompute=False),
        "embedded twice, layers recomputed": replace(job, activations_gib=NOTHING, recompute=True),
    }


def fits(job: Job, card: Card) -> bool:
    """Whether a step fits into what the card can hold; where the loss alone does not, no chunk is weighed."""
    loss = loss_bytes(job) if job.stage == "contrast" else 0
    return loss / GIB <= card.usable_gib and peak_gib(job, card.fused) <= card.usable_gib


def largest_chunk(job: Job, card: Card) -> int:
    """Tokens of the largest chunk that fits where all is embedded twice, of doublings; 0 where none fits.

    Not more than all that a GPU has.
    """
    longest = job.runs()[0][0]
    all_of_it = -(-job.texts // job.gpus) * longest
    size, found = max(longest, SMALLEST_CHUNK), 0
    while fits(replace(job, tokens_per_chunk=size, activations_gib=NOTHING), card):
        found = min(size, all_of_it)
        if size >= all_of_it:
            break
        size *= 2
    return found


def fewest_gpus(job: Job, card: Card) -> int:
    """The fewest GPUs, of doublings, on which some way fits; 0 where even the batch shared out does not."""
    gpus = 1
    while gpus <= job.batch:
        if any(fits(way, card) for way in ways(replace(job, gpus=gpus)).values()):
            return gpus
        gpus *= 2
    return 0


def quickest(job: Job, card: Card, network: Network = CLUSTER) -> str | None:
    """The name of the way that fits and takes the least time; None where none fits."""
    found = {name: step_s(way, card, network) for name, way in ways(job).items() if fits(way, card)}
    return min(found, key=found.get, default=None)
