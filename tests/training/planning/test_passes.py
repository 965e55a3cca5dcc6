"""Bytes read and written on paper are those of the kernels PyTorch runs."""

from collections.abc import Callable

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cpack_lib.training.planning import passes
from cpack_lib.training.planning.jobs import Chunk, Job, trained
from tests.training.planning.planned import WORDS, empty_model, forward_of

PRODUCTS = ("addmm", "mm", "bmm", "addmm_")
GATHERED = ("embedding", "index")  # read as much as they write, whatever they read from
DRAWN = ("random_",)


class Traffic(TorchDispatchMode):
    """Bytes that kernels read and write, but for matrix products; views move nothing."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, given=(), options=None):
        made = function(*given, **(options or {}))
        name = function.overloadpacket.__name__
        read, written = (sum(map(moved, tensors_in(tree))) for tree in ((given, options), made))
        held = {tensor.untyped_storage()._cdata for tensor in tensors_in((given, options))}
        is_view = all(tensor.untyped_storage()._cdata in held for tensor in tensors_in(made))
        if name in PRODUCTS or name.startswith("empty") or (is_view and not name.endswith("_")):
            return made
        self.bytes += 2 * written if name in GATHERED else written if name in DRAWN else read + written
        return made


def tensors_in(tree: object) -> list[torch.Tensor]:
    """The tensors of a kernel's input or output."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def moved(tensor: torch.Tensor) -> int:
    """Bytes of a tensor; what is repeated counts once."""
    numbers = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        numbers *= size if stride else 1
    return numbers * tensor.element_size()


def traffic_of(work: Callable[[], object]) -> int:
    """Bytes that some work reads and writes."""
    with Traffic() as traffic:
        work()
    return traffic.bytes


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(
    ("size", "precision", "dropout", "chunk"),
    [
        ("nano", "bfloat16", 0.1, Chunk(30, 40, 1_200)),
        ("small", "bfloat16", 0.1, Chunk(8, 128, 1_024)),
        ("small", "float32", 0.0, Chunk(30, 16, 480)),
        ("wide", "float32", 0.1, Chunk(30, 40, 1_200)),
        ("small", "bfloat16", 0.1, Chunk(20, 64, 800)),
    ],
)
def test_a_chunk_moves_what_was_planned(size, precision, dropout, chunk, recompute):
    job = Job(size=size, precision=precision, dropout=dropout, recompute=recompute, words=WORDS)
    forward = forward_of(job, empty_model(job), chunk)
    forward().backward()  # so that gradients are there, and are added to
    found, told, weights = [], passes.by_chunk(job, chunk), passes.by_weights(job)
    assert traffic_of(lambda: found.append(forward())) == pytest.approx(told[0] + weights[0], rel=0.04)
    assert traffic_of(lambda: found[0].backward()) == pytest.approx(told[1] + weights[1], rel=0.08)


def test_a_fused_kernel_moves_no_scores():
    job, chunk = Job(size="large"), Chunk(16, 512, 8_192)
    plain, fused = (passes.by_layer(job, chunk, fused) for fused in (False, True))
    assert fused[0] < plain[0] / 2 and fused[1] < plain[1] / 2


def test_the_optimiser_moves_each_weight_as_often_as_it_is_named():
    alone, several = (passes.by_optimiser(Job(size="small", gpus=gpus)) for gpus in (1, 8))
    weights = trained(Job(size="small"))
    assert alone == weights * (passes.ADAM + passes.CLIP)
    assert several - alone == weights * 4 * 4  # into one row and out of it, read and written


def test_dropout_and_its_absence():
    with_it, without = (passes.by_layer(Job(dropout=share), Chunk(4, 64, 256)) for share in (0.1, 0.0))
    assert with_it[0] > without[0] and with_it[1] > without[1]
