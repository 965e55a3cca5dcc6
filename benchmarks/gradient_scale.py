"""Are distributed contrastive gradients right? The patterns of known projects beside this engine's.

`python benchmarks/gradient_scale.py` starts 4 processes (gloo) and writes results/gradient_scale.json. Each
pattern is written down as its project has it; the gradients of the processes are averaged, as in PyTorch's
DistributedDataParallel, but for this engine, which adds up its parts. The truth is one process, all texts.
"""

import json
import os
import subprocess
import sys

import numpy as np
import torch
import torch.distributed as dist
from sentence_transformers.util import all_gather_with_grad
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from cpack_lib.training.contrast import contrastive_loss
from cpack_lib.training.ranks import Ranks
from cpack_lib.work.files import ROOT
from cpack_lib.work.results import write_result

PROCESSES, PAIRS, WIDTH, TEMPERATURE = 4, 64, 32, 0.05
COLLECTIVES = (
    "all_gather",
    "all_gather_into_tensor",
    "all_reduce",
    "all_to_all",
    "broadcast",
    "reduce_scatter",
)
COLLECTIVES += ("reduce_scatter_tensor",)
calls: list[str] = []  # collectives of this process since they were last forgotten
USERS = {
    "full matrix everywhere, own gradient": "FlagEmbedding, ms-swift",
    "the same, loss × W": "Tevatron",
    "own rows, gathered with gradient": "sentence-transformers",
    "the same rows, loss × W": "contrastors, PyLate",
    "own rows, own gradient": "a common home-made version",
    "this engine": "cpack_lib",
}


def count_collectives() -> None:
    """Note every collective this process takes part in."""
    for name in COLLECTIVES:
        original = getattr(dist, name)

        def call(*given, name=name, original=original, **options):
            calls.append(name)
            return original(*given, **options)

        setattr(dist, name, call)


def gathered(mine: Tensor) -> Tensor:
    """All rows, of which this process's alone carry a gradient."""
    found = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(found, mine.detach())
    found[dist.get_rank()] = mine
    return torch.cat(found)


def loss_of(pattern: str, queries: Tensor, passages: Tensor, rank: int, size: int) -> Tensor:
    """One process's loss as a pattern has it; (n, D) each."""
    own = torch.arange(len(queries)) + rank * len(queries)
    times = size if pattern.endswith("× W") else 1
    if pattern.startswith(("full matrix", "the same, ")):
        everything = gathered(queries) @ gathered(passages).T / TEMPERATURE
        return times * cross_entropy(everything, torch.arange(len(everything)))
    candidates = gathered(passages) if pattern.endswith("own gradient") else all_gather_with_grad(passages)
    return times * cross_entropy(queries @ candidates.T / TEMPERATURE, own)


def gradient_of(pattern: str, encoder: nn.Module, texts: Tensor, ranks: Ranks) -> Tensor:
    """What the optimiser gets, on one row, as a pattern makes it of (PAIRS, 2, WIDTH) texts."""
    encoder.zero_grad()
    n = PAIRS // ranks.size
    mine = texts[ranks.rank * n : (ranks.rank + 1) * n]
    queries, passages = (normalize(encoder(mine[:, side]), dim=1) for side in (0, 1))
    if pattern == "this engine":
        places = np.arange(2 * PAIRS).reshape(2, PAIRS)
        shares = [places[:, rank * n : (rank + 1) * n].ravel() for rank in range(ranks.size)]
        everything = ranks.everything(torch.cat([queries, passages]), shares)
        rows = ranks.own(PAIRS)
        contrastive_loss(everything[:PAIRS], everything[PAIRS:], TEMPERATURE, rows=rows).backward()
        ranks.sum_gradients(encoder, [])
        return torch.cat([weight.grad.flatten() for weight in encoder.parameters()]).double()
    loss_of(pattern, queries, passages, ranks.rank, ranks.size).backward()
    flat = torch.cat([weight.grad.flatten() for weight in encoder.parameters()])
    dist.all_reduce(flat)
    return flat.double() / ranks.size


def one_process() -> None:
    """This process's part; the first one prints length and direction of each pattern's gradient."""
    dist.init_process_group("gloo")
    count_collectives()
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH))
    topics = torch.randn(PAIRS, 1, WIDTH)
    texts = topics + torch.randn(PAIRS, 2, WIDTH)
    queries, passages = (normalize(encoder(texts[:, side]), dim=1) for side in (0, 1))
    cross_entropy(queries @ passages.T / TEMPERATURE, torch.arange(PAIRS)).backward()
    truth = torch.cat([weight.grad.flatten() for weight in encoder.parameters()]).double()
    rows = []
    for pattern, users in USERS.items():
        calls.clear()
        found = gradient_of(pattern, encoder, texts, ranks)
        cosine = torch.cosine_similarity(found, truth, dim=0)
        row = {"pattern": pattern, "users": users, "length_over_truth": float(found.norm() / truth.norm())}
        rows.append(row | {"cosine_to_truth": float(cosine), "collectives": len(calls)})
    if ranks.rank == 0:
        print(json.dumps(rows))
    dist.destroy_process_group()


def measured() -> list[dict]:
    """Start the processes: a row for each pattern, this engine's last."""
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    command = [sys.executable, *several, __file__]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and write the table."""
    rows = measured()
    ours = rows[-1]
    write_result(
        "gradient_scale",
        what="Length and direction of the contrastive gradient on 4 processes, beside one process.",
        command="python benchmarks/gradient_scale.py",
        figures={
            "processes": PROCESSES,
            "length_over_truth": round(ours["length_over_truth"], 6),
            "cosine_to_truth": round(ours["cosine_to_truth"], 6),
            "collectives_per_step": ours["collectives"],
        },
        spread={},
        rows=rows,
    )
    for row in rows:
        print(
            f"{row['length_over_truth']:.3f}  {row['cosine_to_truth']:.4f}  {row['pattern']} ({row['users']})"
        )


if __name__ == "__main__":
    one_process() if "RANK" in os.environ else main()
