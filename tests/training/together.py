"""What each of several processes does in test_ranks.py; started with torchrun: FOLDER holds what is asked."""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save_file

from cpack_lib.training.objectives import OBJECTIVES
from cpack_lib.training.ranks import join, leave
from cpack_lib.training.settings import read_settings

COLLECTIVES = ("all_gather_into_tensor", "reduce_scatter_tensor", "all_reduce", "barrier", "broadcast")
calls: Counter[str] = Counter()


def counted(name):
    """The collective of this name, counting its calls."""
    original = getattr(dist, name)

    def call(*arguments, **options):
        calls[name] += 1
        return original(*arguments, **options)

    return call


def main(folder: Path) -> None:
    """For each settings file: the gradients of one step, and the numbers of its log."""
    torch.set_num_threads(1)
    ranks = join()
    for path in sorted(folder.glob("*.json")):
        settings = read_settings(path)
        place = folder / f"{path.stem}-{ranks.size}"
        place.mkdir(exist_ok=True)
        objective = OBJECTIVES[settings.objective](
            settings, folder / f"{path.stem}-{ranks.size}-{ranks.rank}", ranks
        )
        objective.model.train()
        if "double" in path.stem:
            objective.model.double()
        calls.clear()
        torch.manual_seed(ranks.rank)
        parts = objective.backward(objective.prepare(np.arange(settings.rows_per_step)))
        sums = ranks.sum_gradients(objective.model, list(parts.values()))
        gradients = {name: weight.grad for name, weight in objective.model.named_parameters()}
        told = {"sums": dict(zip(parts, sums, strict=True)), "calls": dict(calls)}
        (place / f"{ranks.rank}.json").write_text(json.dumps(told))
        save_file(gradients, place / f"{ranks.rank}.safetensors")
    leave()


if __name__ == "__main__":
    for name in COLLECTIVES:
        setattr(dist, name, counted(name))
    main(Path(sys.argv[1]))
