"""What a training run is told: one flat JSON object, checked before any work starts."""

import json
import math
import shutil
from dataclasses import MISSING, dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import torch

from cpack_lib.corpus.labelled.instructions import LANGUAGES
from cpack_lib.model.instructions import WAYS
from cpack_lib.model.states import Way
from cpack_lib.training.batches import MIXINGS, SAMPLED

CHOICES = {
    "objective": ("bag", "retromae", "contrast"),
    "precision": ("float32", "bfloat16"),
    "mixing": MIXINGS,
    "schedule": ("linear", "cosine"),
    "release": ("last", "best"),
    "decoding": ("enhanced", "basic"),
    "sampled": SAMPLED,
    "distilled": ("group", "batch"),
    "instructed": WAYS,
    "language": LANGUAGES,
}
ABOVE_ZERO = (
    "rows_per_step",
    "learning_rate",
    "gradient_norm",
    "tokens_per_chunk",
    "checkpoint_every",
    "keep_checkpoints",
    "activations_gib",
    "temperature",
    "teacher_temperature",
    "width",
)
BOUNDS = {  # least and most, both allowed
    "steps": (0, math.inf),
    "seed": (0, math.inf),
    "warmup_share": (0, 1),
    "weight_decay": (0, 1),
    "dropout": (0, 0.9),
    "longest": (3, math.inf),  # [CLS], a token, [SEP]
    "until": (0, math.inf),
    "minutes": (0, math.inf),
    "memory_gib": (0, math.inf),
    "probe_every": (0, math.inf),
    "margin": (0, 2),
    "sampling_power": (0, 1),
    "group_size": (0, math.inf),
    "distillation": (0, 1),
    "watch_every": (0, math.inf),
    "watch_rows": (2, math.inf),
    "encoder_mask": (0, 1),
    "decoder_mask": (0, 1),
    "decoder_labels": (0, 1),
    "bag_of_words": (0, math.inf),
}


@dataclass(frozen=True)
class Settings:
    """The settings every objective shares. `start` is what it begins with, `data` what it reads."""

    objective: str  # bag, retromae or contrast
    start: str  # folder: a tokenizer for bag, a language model for retromae, an encoder for contrast
    data: str  # parquet: texts for retromae, groups or pairs for bag and contrast
    steps: int  # optimiser steps; 0 writes what it began with
    rows_per_step: int  # pairs, groups or texts of one step
    learning_rate: float  # peak, after warm-up; then it falls to 0
    seed: int = 0  # of batches, dropout and masks
    warmup_share: float = 0.1  # of the steps
    schedule: str = "linear"  # how the learning rate falls after warm-up: linear or cosine, both to 0
    weight_decay: float = 0.01  # on matrices alone
    gradient_norm: float = 1.0  # gradients are clipped to it
    dropout: float = 0.1  # share of states and attention that is dropped: BERT's; noise, after a bag's start
    longest: int = 128  # tokens of a text, with [CLS] and [SEP]
    tokens_per_chunk: int = 8_192  # padded tokens embedded at a time
    precision: str = "float32"  # of the matrix products
    checkpoint_every: int = 100  # steps
    keep_checkpoints: int = 1  # the last ones
    until: int = 0  # after so many steps it ends for now, with a checkpoint, as if done; 0: after all
    minutes: float = 0.0  # after these the run makes a checkpoint and asks to be started again; 0: no limit
    probe: str = ""  # folder with sts.parquet or retrieval.parquet to look at while training
    probe_every: int = 0  # steps between two looks; 0: at every checkpoint
    release: str = "last"  # weights that are saved in the end; best: those with the highest probe_mean
    tensorboard: bool = False  # also write the log for TensorBoard
    memory_gib: float = 0.0  # that a process may use beside its weights; 0: what is free
    mixing: str = "mixed"  # or: one source, or one task (per batch)
    sampled: str = "source"  # whose shares the next two tell: of each source, or each task
    source_weights: list = field(default_factory=list)  # "SOURCE=WEIGHT", or "TASK=WEIGHT", of each
    sampling_power: float = 1.0  # without weights shares grow as rows to this: 1 as they are, 0 all equal
    in_batch_off: list = field(default_factory=list)  # tasks whose queries meet their own passages alone
    group_size: int = 0  # passages of a query at most, its positive first; 0: all that there are
    temperature: float = 0.05  # cosines are divided by this
    both_ways: bool = False  # passages are also contrasted with queries
    activations_gib: float = 4.0  # kept for the way back at most; what does not fit is embedded twice
    recompute: bool = False  # within a chunk, keep each layer's input alone and compute the rest again
    compiled: bool = False  # let torch.compile fuse what follows attention; on CPUs it needs a C++ compiler
    margin: float = 2.0  # a passage whose cosine is that much above the positive's is no negative; 2: all are
    guide: str = ""  # folder of a frozen encoder: what it ranks above the positive is no negative
    distillation: float = 0.0  # share of the loss that is a teacher's; 1: there is no contrast beside it
    teacher: str = ""  # folder of a frozen encoder; none: the data's column scores has what it thought
    teacher_temperature: float = 0.05  # a teacher's scores are divided by it: cosines; logits want about 1
    distilled: str = "group"  # what a teacher compares: a query's own passages, or those of the whole batch
    widths: list = field(default_factory=list)  # first numbers trained on their own: 64, or "64=0.5" weighed
    width: int = 512  # of a bag's embeddings
    spelled: bool = False  # a bag's tokens begin as sums of vectors of their characters
    encoder_mask: float = 0.3  # share of words RetroMAE's encoder does not see
    decoder_mask: float = 0.5  # share of words each of the decoder's positions does not see
    decoder_labels: float = 1.0  # share of words the decoder has to rebuild
    decoding: str = "enhanced"  # or basic: the decoder is shown one masked text, as in RetroMAE's ablation
    bag_of_words: float = 0.0  # weight of DupMAE's loss on the ordinary tokens; 0: not computed
    instruction: str = ""  # written into the saved encoder as its prompt for queries
    instructed: str = "as written"  # or what is put before texts here: to searches, or every task its own
    language: str = "zh"  # of the instructions that are put there, but for `instruction`
    watch: str = ""  # parquet of held-out groups: what each task loses, and whether gradients agree
    watch_every: int = 0  # steps between two such looks; 0: at every checkpoint
    watch_rows: int = 32  # groups of each task, the first ones

    @property
    def way(self) -> Way:
        """How an encoder's forward pass is made."""
        return Way(self.recompute, self.compiled)

    @property
    def weighted_widths(self) -> dict[int, float]:
        """The weight of each width; empty where the whole embedding alone is trained."""
        return widths(self.widths, "settings")


def read_settings(path: Path) -> Settings:
    """Settings from a JSON file; ValueError names the file and what does not fit."""
    given: dict[str, Any] = json.loads(path.read_text("utf-8"))
    known = {each.name: each for each in fields(Settings)}
    if unknown := sorted(given.keys() - known.keys()):
        raise ValueError(f"{path}: {', '.join(unknown)} is no setting; there are {', '.join(known)}")
    required = [
        name for name, each in known.items() if each.default is MISSING and each.default_factory is MISSING
    ]
    if missing := [name for name in required if name not in given]:
        raise ValueError(f"{path}: {', '.join(missing)} is missing")
    for name, value in given.items():
        kind = known[name].type
        if type(value) not in ((int, float) if kind is float else (kind,)):
            raise ValueError(f"{path}: {name} is {value!r}, but it has to be of type {kind.__name__}")
    settings = Settings(**given)
    check(settings, path)
    return settings


def check(settings: Settings, path: Path) -> None:
    """Refuse values that cannot be meant, and files that are not there or lack a column."""
    optional = [name for name in ("guide", "probe", "teacher", "watch") if getattr(settings, name)]
    for name in ("start", "data", *optional):
        if not Path(getattr(settings, name)).exists():
            raise ValueError(f"{path}: {name} is {getattr(settings, name)}, which does not exist")
    check_values(settings, path)
    if said := missing_column(settings):
        raise ValueError(f"{path}: {said}")


def check_values(settings: Settings, path: Path | str) -> None:
    """Refuse values that cannot be meant, before any file is there; `path` opens the error."""
    for name, (least, most) in BOUNDS.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            raise ValueError(f"{path}: {name} is {value}; it has to be from {least} to {most}")
    for name in ABOVE_ZERO:
        if not 0 < getattr(settings, name) < math.inf:
            raise ValueError(f"{path}: {name} is {getattr(settings, name)}; it has to be above 0")
    for name, choices in CHOICES.items():
        if getattr(settings, name) not in choices:
            raise ValueError(
                f"{path}: {name} is {getattr(settings, name)!r}; choose one of {', '.join(choices)}"
            )
    if settings.release == "best" and not settings.probe:
        raise ValueError(f"{path}: release is best, but no probe tells which weights are; name a probe")
    if settings.release == "best" and not settings.steps:
        raise ValueError(f"{path}: release is best of 0 steps; take some, or release the last")
    if settings.tensorboard and find_spec("tensorboard") is None:
        raise ValueError(
            f"{path}: tensorboard is not installed; pip install 'cpack-notebooks[tracking]', or leave it off"
        )
    if settings.compiled and not torch.cuda.is_available() and not shutil.which("g++"):
        raise ValueError(f"{path}: compiled needs g++ on a CPU; install it, or leave compiled off")
    weights(settings.source_weights, path)
    widths(settings.widths, path)
    if said := contradiction(settings):
        raise ValueError(f"{path}: {said}")


def contradiction(settings: Settings) -> str:
    """What of the settings cannot be meant together, in one sentence; empty if all can."""
    told, teacher, objective = settings.distillation, settings.teacher, settings.objective
    widest = max(settings.weighted_widths, default=0)
    of_groups = told or widest or settings.group_size or settings.in_batch_off
    cases = [
        (
            settings.source_weights and settings.sampling_power != 1,
            "source_weights and sampling_power both tell shares; leave one of them out",
        ),
        (
            teacher and not told,
            f"teacher is {teacher}, but distillation is 0; give it a share, or leave the teacher out",
        ),
        (
            told and settings.distilled == "batch" and not teacher,
            "distilled is batch, but the column scores knows a query's own passages alone; name a teacher",
        ),
        (
            settings.watch_every and not settings.watch,
            "watch_every is given, but watch names no held-out groups; name a parquet file",
        ),
        (
            (teacher or settings.watch) and objective != "contrast",
            f"teacher and watch need an encoder, but the objective is {objective}; leave them out",
        ),
        (
            of_groups and objective == "retromae",
            "distillation, widths, group_size and in_batch_off are no part of retromae; leave them out",
        ),
        (
            objective == "bag" and widest > settings.width,
            f"widths has {widest}, but a bag's embeddings have {settings.width} numbers; take fewer",
        ),
    ]
    return next((sentence for holds, sentence in cases if holds), "")


def missing_column(settings: Settings) -> str:
    """Which column the settings ask for and a file has not, in one sentence; empty if all are there."""
    by_task = settings.mixing == "one task" or settings.sampled == "task" or settings.in_batch_off
    wanted = [(settings.data, "task")] if by_task or settings.instructed != "as written" else []
    if settings.distillation and not settings.teacher:
        wanted.append((settings.data, "scores"))
    if settings.watch:
        wanted.append((settings.watch, "task"))
    for file, column in wanted:
        if column not in pl.read_parquet_schema(file):
            return f"{file} has no column {column}, which is asked for; add it, or change the settings"
    return ""


def widths(given: list[int | str], path: Path | str) -> dict[int, float]:
    """The weight of each width, from a number or "WIDTH=WEIGHT"; each is taken once."""
    found: dict[int, float] = {}
    for each in given:
        width, _, weight = str(each).partition("=")
        try:
            number, share = int(width), float(weight or 1)
        except ValueError:
            number, share = 0, 0.0
        if number < 1 or number in found or not 0 < share < math.inf or isinstance(each, bool):
            raise ValueError(f'{path}: widths has {each!r}; write each width once, as 64 or "64=0.5"')
        found[number] = share
    return found


def weights(given: list[str], path: Path | str) -> dict[str, float] | None:
    """The weight of each source, from "SOURCE=WEIGHT"; None where none is given."""
    found = {}
    for text in given:
        name, _, number = str(text).rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise ValueError(f"{path}: source_weights has {text!r}; write SOURCE=WEIGHT, such as csl=2")
    return found or None
