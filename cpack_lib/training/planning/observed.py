"""What a step really takes on this machine: a job is made real with random texts, and measured.

The texts are Chinese characters by lot, each of them a token, so that a text has the tokens it should.
"""

import statistics
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import PreTrainedTokenizerBase

from cpack_lib.model.encoder import Encoder, new_language_model, save_encoder
from cpack_lib.model.quiet import quietly
from cpack_lib.model.tokens import SPECIAL, new_wordpiece, with_ends
from cpack_lib.training.objectives import OBJECTIVES
from cpack_lib.training.optimiser import change_weights, new_optimizer
from cpack_lib.training.planning import kept
from cpack_lib.training.planning.jobs import Job
from cpack_lib.training.planning.machine import this_machine
from cpack_lib.training.planning.memory import peak_gib
from cpack_lib.training.planning.seconds import step_s
from cpack_lib.training.ranks import ALONE
from cpack_lib.training.settings import Settings
from cpack_lib.work.measure import GIB

BLOCKS = ((0x3400, 0x4DB5), (0x4E00, 0x9FA5))  # Chinese characters: extension A, and the common ones
SHARED = ("tokens_per_chunk", "activations_gib", "recompute", "precision", "dropout", "both_ways")
SHARED += ("encoder_mask", "decoder_labels")
RATE = 1e-5  # of learning: nothing is to be learnt here


def characters(count: int) -> list[str]:
    """So many characters, each a token of its own."""
    found = [chr(code) for first, last in BLOCKS for code in range(first, last + 1)]
    if count > len(found):
        raise ValueError(f"{count} words are more than the {len(found)} characters that can stand for them")
    return found[:count]


def tokenizer_of(words: int) -> PreTrainedTokenizerBase:
    """BERT's tokenizer over so many words: the special tokens, and characters."""
    names = [*SPECIAL.values(), *characters(words - len(SPECIAL))]
    return with_ends(new_wordpiece({name: i for i, name in enumerate(names)}))


def random_texts(lengths: np.ndarray, words: int, seed: int = 0) -> list[str]:
    """Texts of so many tokens, [CLS] and [SEP] among them."""
    known, chance = np.asarray(characters(words - len(SPECIAL))), np.random.default_rng(seed)
    return ["".join(chance.choice(known, size=length - 2)) for length in lengths]


def lengths_of(job: Job) -> np.ndarray:
    """Tokens of each text of a step, queries first."""
    if job.stage == "retromae":
        return np.full(job.batch, job.passage_tokens)
    return np.repeat([job.query_tokens, job.passage_tokens], [job.batch, job.batch * job.passages])


def written(job: Job, folder: Path, lengths: np.ndarray | None = None) -> Settings:
    """Model and texts of a job on one process, in a folder: the settings of its run.

    `lengths` (texts,) gives each text a number of tokens of its own, queries first.
    """
    if job.gpus != 1:
        raise ValueError(f"a job of {job.gpus} GPUs is measured on none here; set gpus to 1")
    folder.mkdir(parents=True, exist_ok=True)
    lengths = lengths_of(job) if lengths is None else lengths
    tokenizer, texts = tokenizer_of(job.words), random_texts(lengths, job.words)
    start, model = folder / "start", new_language_model(job.size, job.words)
    if job.stage == "retromae":
        with quietly():
            model.save_pretrained(start)
        tokenizer.save_pretrained(start)
        table = pl.DataFrame({"text": texts, "source": "lot"})
    else:
        save_encoder(Encoder(model.bert, tokenizer), start)
        passages = np.array(texts[job.batch :]).reshape(job.batch, job.passages).tolist()
        table = pl.DataFrame({"query": texts[: job.batch], "passages": passages, "source": "lot"})
    table.write_parquet(folder / "texts.parquet")
    given = {name: getattr(job, name) for name in SHARED}
    given |= {"steps": 1, "objective": job.stage, "start": str(start), "data": str(folder / "texts.parquet")}
    return Settings(**given, rows_per_step=job.batch, learning_rate=RATE, longest=int(lengths.max()))


class Engine:
    """The training engine with a job in its hands; each `step` is timed by part."""

    def __init__(self, job: Job, folder: Path, lengths: np.ndarray | None = None):
        self.settings = written(job, folder, lengths)
        torch.manual_seed(self.settings.seed)
        self.objective = OBJECTIVES[job.stage](self.settings, folder, ALONE)
        self.model = self.objective.model.train()
        chunk = job.chunks()[0]
        self.objective.bytes_per_place = kept.by_chunk(job, chunk) / chunk.places  # as planned: no measuring
        self.optimizer = new_optimizer(self.model, self.settings)
        self.prepared = self.objective.prepare(np.arange(job.batch))

    def step(self) -> dict[str, float]:
        """One optimiser step: `seconds`, and those of each part of the engine's clock, as embed_again_s."""
        started = time.perf_counter()
        clock = self.objective.clock
        self.optimizer.zero_grad(set_to_none=True)
        facts = self.objective.backward(self.prepared)
        with clock("optimizer"):
            change_weights(self.model, self.optimizer, self.settings, 0, facts["loss"])
        return {"seconds": time.perf_counter() - started} | clock.read()

    def gib(self) -> float:
        """All tensors that are alive at once in a step, GiB; the moments are made in an earlier one."""
        states = (value for state in self.optimizer.state.values() for value in state.values())
        before = sum(tensor.nbytes for tensor in (*self.model.parameters(), *states))
        with Alive() as alive:
            self.step()
            alive.most = alive.now
            self.step()
        return (before + alive.most) / GIB


def beside(job: Job, folder: Path, steps: int = 3, lengths: np.ndarray | None = None) -> dict[str, float]:
    """Seconds of a step and GiB of its tensors, planned and measured here; the medians of some steps.

    The machine's constants are measured before and after the steps, since a machine that others use changes.
    """
    cards = [this_machine(job)]
    engine = Engine(job, folder, lengths)
    engine.step()
    measured = statistics.median(engine.step()["seconds"] for _ in range(steps))
    cards.append(this_machine(job))
    return {
        "planned_s": statistics.mean(step_s(job, card) for card in cards),
        "measured_s": measured,
        "planned_gib": peak_gib(job),
        "measured_gib": engine.gib(),
    }


class Alive(TorchDispatchMode):
    """Bytes of tensors made inside the block: `now` alive, `most` at once. What kernels hold is not seen."""

    def __init__(self):
        super().__init__()
        self.now, self.most, self.known = 0, 0, set()

    def __torch_dispatch__(self, function, types, given=(), options=None):
        self.note(given, own=False)
        self.note(options, own=False)
        made = function(*given, **(options or {}))
        self.note(made, own=True)
        return made

    def note(self, tree: Any, own: bool) -> None:
        """Count the memory of tensors not met before; of those from outside, none."""
        for tensor in tree_leaves(tree):
            if isinstance(tensor, torch.Tensor):
                memory = tensor.untyped_storage()
                if memory._cdata not in self.known:
                    self.known.add(memory._cdata)
                    size = memory.nbytes() if own else 0
                    self.now += size
                    self.most = max(self.most, self.now)
                    weakref.finalize(memory, self.forget, memory._cdata, size)

    def forget(self, place: int, size: int) -> None:
        """A memory is given back."""
        self.known.discard(place)
        self.now -= size
