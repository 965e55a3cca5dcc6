"""The warm start as an objective: a bag of tokens contrasted on pairs."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from cpack_lib.model.bag import Bag, flat
from cpack_lib.model.tokens import TokenStore, load_tokenizer
from cpack_lib.training.clock import Clock
from cpack_lib.training.objectives.groups import Groups, Step
from cpack_lib.training.ranks import ALONE, Ranks
from cpack_lib.training.settings import Settings

COPIES_OF_THE_TABLE = 4  # LayerNorm of all of it, without the first coordinate, and their gradients


class Bags(NamedTuple):
    """What a process embeds of a step."""

    step: Step
    shares: list[np.ndarray]  # the texts of each process
    ids: Tensor  # (N,) of this process's texts
    offsets: Tensor  # (B,) where each begins


class BagContrast:
    """The warm start: a bag of tokens contrasted on pairs."""

    def __init__(self, settings: Settings, folder: Path, ranks: Ranks = ALONE):
        self.settings, self.tokenizer, self.ranks = settings, load_tokenizer(settings.start), ranks
        self.clock = Clock()
        self.groups = Groups(settings, folder / "tokens", self.tokenizer)
        self.rows, self.sources, self.keys = self.groups.rows, self.groups.sources, self.groups.keys
        self.tasks, self.longest = self.groups.tasks, self.groups.longest
        share = document_share(self.groups.passages, self.tokenizer)
        tokens = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        spelling = tokens if settings.spelled else None
        bag = Bag(len(self.tokenizer), settings.width, share, settings.seed, spelling)
        self.model = bag.to(ranks.device)

    def prepare(self, rows: np.ndarray) -> Bags:
        """Read what a step contrasts."""
        step = self.groups.step(rows)
        both = step.queries + step.passages
        shares = self.ranks.shares(list(map(len, both)))
        return Bags(step, shares, *flat([both[i] for i in shares[self.ranks.rank]], self.tokenizer))

    def backward(self, bags: Bags) -> dict[str, float]:
        """Gradients of this process's part of the step."""
        own = self.ranks.own(len(bags.step.queries))
        with self.clock("embed"):
            mine = self.model(bags.ids.to(self.ranks.device), bags.offsets.to(self.ranks.device))
        with self.clock("loss"):
            loss = bags.step.loss(self.ranks.everything(mine, bags.shares), self.settings, own)
            loss.backward()
        return {"loss": loss.item()}

    def sample(self, settings: Settings, texts: int) -> Callable[[], Tensor]:
        """A forward pass over so many of the longest texts, to weigh it."""
        rows = [np.full(self.longest - 2, self.tokenizer.unk_token_id)] * texts
        return lambda: self.model(*(part.to(self.ranks.device) for part in flat(rows, self.tokenizer)))

    def places(self) -> int:
        """Tokens of this process's texts of a step, at most."""
        return -(-self.groups.most_texts(self.settings.rows_per_step) // self.ranks.size) * self.longest

    def besides(self) -> int:
        """Bytes of a step that belong to no text: the table as it is read, and the loss."""
        table = 4 * self.model.table.numel() * COPIES_OF_THE_TABLE
        return table + self.groups.bytes_of_a_loss(self.settings.rows_per_step, self.settings.width)

    @property
    def encoder(self) -> None:
        """None: a bag is not probed."""

    def save(self, folder: Path) -> None:
        """Write bag.safetensors: the table that a BERT can begin with."""
        save_file({"table": self.model.table.detach().cpu()}, folder / "bag.safetensors")


def document_share(store: TokenStore, tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """For each token of the vocabulary: the share of texts it stands in (V,); [CLS] and [SEP] in all."""
    count = np.zeros(len(tokenizer), dtype=np.int64)
    for i in range(len(store)):
        count[np.unique(store[i])] += 1
    share = (count + 1) / (len(store) + 1)
    share[[tokenizer.cls_token_id, tokenizer.sep_token_id]] = 1.0
    return share
