"""This machine's processor as a card, measured now: products, passes over memory, plain copies."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import gelu

from cpack_lib.model.dropout import dropped
from cpack_lib.training.memory import machine_gib
from cpack_lib.training.planning import passes
from cpack_lib.training.planning.cluster import HERE, Card
from cpack_lib.training.planning.jobs import STATE, Job
from cpack_lib.work.measure import matmul_peak

ROWS, WIDTH = 4_096, 512  # tokens of a chunk, and numbers of each, of what is measured
COPIED = 1 << 26  # bytes
HEAP = 1.5  # memory that glibc holds for each byte of tensors (results/planner.json, `heap`)
PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def this_machine(job: Job, tries: int = 3) -> Card:
    """The card `cpu`, measured for the precision and dropout of a job: seconds.

    One process computes, on all cores that it may use.
    """
    kinds = {job.precision: PRECISIONS[job.precision], "float32": torch.float32}
    peaks = {name: matmul_peak(kind, edge=2_048, tries=tries) * 1e9 for name, kind in kinds.items()}
    moved = element_wise(job, tries)
    return Card(
        name=HERE,
        gib=machine_gib(),
        flop_per_s=peaks,
        bytes_per_s=moved,
        stream=copies(tries),
        link=moved,
        source="measured on this machine just now",
        share_of_products=1.0,
        share_of_bandwidth=1.0,
        reserved_gib=1.0,
        fused=False,
        overhead=HEAP,
    )


def element_wise(job: Job, tries: int) -> float:
    """Bytes/s of what stands between products: GELU, dropout, sum, LayerNorm, there and back."""
    e, part, norm = job.bytes, nn.Dropout(job.dropout).train(), nn.LayerNorm(WIDTH)
    state = torch.randn(ROWS, WIDTH, requires_grad=True)
    product = torch.randn(ROWS, WIDTH, dtype=PRECISIONS[job.precision], requires_grad=True)
    upstream = torch.ones(ROWS, WIDTH)

    def chain() -> None:
        norm(state + dropped(gelu(product), part)).backward(upstream)
        state.grad = product.grad = None

    drop = sum(passes.dropped(e, fused=False)) if job.dropout else 0
    a_number = 2 * e + drop + (2 * STATE + e) + 2 * STATE + 3 * STATE + passes.cast(e) + 3 * e
    return a_number * ROWS * WIDTH / median_s(chain, tries)


def copies(tries: int) -> float:
    """Bytes/s of a plain copy, read and written."""
    here, there = torch.zeros(COPIED, dtype=torch.uint8), torch.empty(COPIED, dtype=torch.uint8)
    return 2 * COPIED / median_s(lambda: there.copy_(here), tries)


def median_s(work: Callable[[], object], tries: int) -> float:
    """Seconds of some work, the median after a first time that does not count."""
    work()
    found = []
    for _ in range(tries):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)
