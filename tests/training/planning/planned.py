"""What tests of planning share: real models of a size, empty ones without time or memory, and their steps."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertForMaskedLM

from cpack_lib.model.encoder import Encoder, size_config
from cpack_lib.model.masks import words_of
from cpack_lib.model.retromae import RetroMAE
from cpack_lib.model.states import Way
from cpack_lib.training.planning.jobs import Chunk, Job

WORDS, MASK = 200, 4


def empty_model(job: Job) -> nn.Module:
    """The model that a job trains, its numbers whatever the memory held."""
    with torch.device("meta"):
        language_model = BertForMaskedLM(size_config(job.size, job.words))
        model = Encoder(language_model.bert, tokenizer=None)
        if job.stage == "retromae":
            model = RetroMAE(language_model, MASK, job.encoder_mask, decoder_labels=job.decoder_labels)
            model.way = way_of(job)
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = job.dropout
    model.to_empty(device="cpu")
    language_model.tie_weights()
    return model.train()


def way_of(job: Job) -> Way:
    """How its forward pass is made."""
    return Way(recompute=job.recompute)


def lengths_in(chunk: Chunk) -> list[int]:
    """A length of each text of a chunk, that add up to its tokens: one is the longest, the others even."""
    others, left = chunk.texts - 1, chunk.tokens - chunk.longest
    return [chunk.longest, *(left // others + (i < left % others) for i in range(others))]


def forward_of(job: Job, model: nn.Module, chunk: Chunk) -> Callable[[], Tensor]:
    """A forward pass over a chunk in the precision of the job: a number to go back from."""
    ids = torch.full((chunk.texts, chunk.longest), MASK + 1)
    is_token = torch.arange(chunk.longest) < torch.tensor(lengths_in(chunk))[:, None]

    def forward() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=job.precision == "bfloat16"):
            if job.stage == "contrast":
                return model(ids, is_token, way_of(job)).sum()
            found = model(ids, is_token, words_of(is_token))
            return found["encoder_loss"] + found["decoder_loss"]

    return forward


def counted(work: Callable[[], object]) -> int:
    """FLOP of some work by PyTorch's counter, which has to be told of the in-place product of the loss."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: added_flop}) as counter:
        work()
    return counter.get_total_flops()


def added_flop(into: torch.Size, left: torch.Size, right: torch.Size, **_: Any) -> int:
    """Of a product that is added to what is there."""
    return 2 * math.prod(left) * right[-1]
