"""Whether tasks learn from each other or against each other: held-out losses, and cosines of gradients.

The gradient is that of the last layer's weights, as in GradNorm (arXiv 1711.02257): it costs no way back
through the layers below. A negative cosine means that a step for one task undoes a step for the other; Yu et
al. 2020 (arXiv 2001.06782) call it conflict.

Axes: T tasks, N texts of a task's batch, W weights of the last layer.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from cpack_lib.model.encoder import Encoder
from cpack_lib.training.cache import cached_backward
from cpack_lib.training.objectives.chunked import cut
from cpack_lib.training.objectives.encoding import embedded, last_layer, padded
from cpack_lib.training.objectives.groups import Groups, Step
from cpack_lib.training.settings import Settings


class Watch:
    """A fixed batch of held-out groups for each task: the first `watch_rows` of the file.

    Each is contrasted as in training, but by itself, without dropout, guide, teacher and widths: so its loss
    can be compared from step to step and run to run. No random number is drawn, and no weight is changed.
    """

    def __init__(self, settings: Settings, folder: Path, encoder: Encoder):
        tasks = pl.read_parquet(settings.watch, columns=["task"])["task"].unique(maintain_order=True)
        off = [task for task in settings.in_batch_off if task in tasks]
        plain = {"guide": "", "teacher": "", "distillation": 0.0, "widths": []}
        self.settings = replace(settings, data=settings.watch, in_batch_off=off, **plain)
        groups = Groups(self.settings, folder / "watch", encoder.tokenizer)
        self.steps = {}
        for task in tasks:
            rows = np.flatnonzero((groups.tasks == task).fill_null(False))[: settings.watch_rows]
            if len(rows) < 2:
                raise ValueError(
                    f"{settings.watch} has {len(rows)} row of {task}; a watch needs 2 or more of each task"
                )
            self.steps[task] = groups.step(rows)

    def look(self, encoder: Encoder) -> dict[str, float]:
        """watch_loss_TASK, gradient_cosine_TASK_TASK of each two, and the seconds this took, watch_s.

        It costs two forward passes over each batch and the last layer's way back. The cosine with a gradient
        of nothing but zeros is 0.
        """
        started, training = time.perf_counter(), encoder.training
        encoder.eval()
        kept = last_layer(encoder)
        with only(encoder, kept):
            seen = {task: self.loss_and_gradient(encoder, step, kept) for task, step in self.steps.items()}
        encoder.train(training)
        found = {f"watch_loss_{task}": loss for task, (loss, _) in seen.items()}
        for (one, (_, a)), (other, (_, b)) in itertools.combinations(seen.items(), 2):
            found[f"gradient_cosine_{one}_{other}"] = float(a @ b)
        return found | {"watch_s": time.perf_counter() - started}

    def loss_and_gradient(
        self, encoder: Encoder, step: Step, kept: list[nn.Parameter]
    ) -> tuple[float, Tensor]:
        """The loss of a batch, and the direction of its gradient for some weights: (W,), of length one."""
        both = step.queries + step.passages
        parts = cut(np.asarray([len(ids) + 2 for ids in both]), self.settings.tokens_per_chunk)
        chunks = [padded(both, part.numpy(), encoder.tokenizer) for part in parts]
        rows = torch.arange(len(step.queries))
        value, _ = cached_backward(
            lambda c: embedded(encoder, chunks[c], self.settings),
            parts,
            lambda embeddings: step.loss(embeddings, self.settings, rows),
            len(both),
            kept=1,
        )
        gradient = torch.cat([weight.grad.flatten() for weight in kept])
        for weight in kept:
            weight.grad = None
        return float(value), normalize(gradient.float(), dim=0)


@contextmanager
def only(encoder: Encoder, kept: list[nn.Parameter]) -> Iterator[None]:
    """For a while, only these weights take gradients; none has one when it ends."""
    taken = {id(weight) for weight in kept}
    others = [weight for weight in encoder.parameters() if weight.requires_grad and id(weight) not in taken]
    for weight in encoder.parameters():
        weight.grad = None
    for weight in others:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in others:
            weight.requires_grad_(True)
        for weight in kept:
            weight.grad = None
