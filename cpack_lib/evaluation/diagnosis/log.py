"""What a training leaves behind: losses, gradient norms, looks at held-out data, memory, last words.

A loss is compared with a blind guess among P passages, log P. Axes: S steps.
"""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from cpack_lib.evaluation.diagnosis.findings import Finding, judged

TENTH = 10  # the last part of a log is a tenth of its steps
SAID = (  # words of a program that failed, the finding they stand for
    ("out of memory", re.compile(r"MemoryError|out of memory|can't allocate memory|SIGKILL|bad_alloc", re.I)),
    ("loss not finite", re.compile(r"loss (nan|inf|-inf)|gradient norm (nan|inf)|NotFinite", re.I)),
    ("ids without a row", re.compile(r"index out of range in self|device-side assert", re.I)),
)


def loss_not_finite(losses: Sequence[float], norms: Sequence[float] = ()) -> Finding:
    """Losses (S,), and gradient norms where there are some, that are no numbers."""
    bad = [step for step, loss in enumerate(losses, 1) if not math.isfinite(loss)]
    bad += [step for step, norm in enumerate(norms, 1) if not math.isfinite(norm)]
    return judged(
        "loss not finite",
        len(set(bad)) / max(1, len(losses)),
        f"{len(set(bad)):,} of {len(losses):,} steps have a loss or a gradient that is no number"
        + (f", the first is step {min(bad)}" if bad else ""),
        "precision bfloat16 or float32 instead of float16, a lower learning_rate, a temperature of 0.01 or "
        "above; failed_step.json names the rows of the step",
    )


def nothing_learnt(losses: Sequence[float], passages: int) -> Finding:
    """Losses (S,) that stay at a blind guess among `passages`."""
    share = ending(losses) / math.log(passages)
    return judged(
        "nothing learnt",
        share,
        f"the loss ends at {ending(losses):.2f}, a blind guess among {passages:,} passages has "
        f"{math.log(passages):.2f}",
        "a higher learning_rate or more steps; if the cosine of pairs is near 1, the space has collapsed; "
        "too high a temperature keeps it here, too; check that text_a and text_b belong together",
    )


def worse_than_blind(losses: Sequence[float], passages: int) -> Finding:
    """Losses (S,) far above a blind guess: some wrong passages are held for right with great certainty."""
    share = ending(losses) / math.log(passages)
    return judged(
        "worse than blind",
        share,
        f"the loss ends at {ending(losses):.2f}, {share:.1f} times a blind guess among {passages:,} passages",
        "a temperature that is too low, or pairs that do not belong together",
    )


def contrast_solved(losses: Sequence[float], passages: int) -> Finding:
    """Losses (S,) near 0: the step has nothing left to teach, whatever is still wrong outside of it."""
    share = ending(losses) / math.log(passages)
    return judged(
        "contrast solved",
        share,
        f"the loss ends at {ending(losses):.4f}, {share:.1%} of a blind guess among {passages:,} passages",
        "harder batches: more rows_per_step, mined negatives, mixing one source; or stop earlier, if the "
        "same pairs have been seen many times",
    )


def unsteady_gradients(norms: Sequence[float]) -> Finding:
    """Gradient norms (S,) before clipping that leap: the largest after the first tenth, over their median."""
    norms = np.asarray(norms, dtype=np.float64)[len(norms) // TENTH :]
    norms = norms[np.isfinite(norms)]
    if not len(norms):
        raise ValueError("no gradient norm is a number; see `loss_not_finite`")
    leap = float(norms.max() / max(float(np.median(norms)), 1e-12))
    return judged(
        "unsteady gradients",
        leap,
        f"the largest gradient norm is {norms.max():.3g}, {leap:.0f} times the median {np.median(norms):.3g}",
        "a lower learning_rate or a longer warm-up; look at the rows of that step: the texts may be damaged",
    )


def falling_probe(scores: Sequence[float]) -> Finding:
    """Looks at held-out data, in the order of training: how much of the best score is lost at the end."""
    scores = np.asarray(scores, dtype=np.float64)
    best = float(scores.max())
    lost = (best - float(scores[-1])) / max(abs(best), 1e-12)
    return judged(
        "falling probe",
        lost,
        f"the score on held-out data ends at {scores[-1]:.3f}, its best was {best:.3f} at look "
        f"{int(scores.argmax()) + 1} of {len(scores)}",
        "release best instead of last; a lower learning_rate, or fewer steps",
    )


def rising_task(losses: Mapping[str, Sequence[float]]) -> Finding:
    """Held-out losses of each task, in the order of training: a task that another one harms rises."""
    rises = {task: each[-1] / max(min(each), 1e-12) - 1 for task, each in losses.items()}
    worst = max(rises, key=rises.get)
    told = ", ".join(f"{task} {rise:+.0%}" for task, rise in rises.items())
    return judged(
        "rising task",
        rises[worst],
        f"held-out losses end above their least by: {told}",
        f"train without one task after the other and see which one harms {worst}; lower its weight, keep its "
        "negatives to itself (in_batch_off, mixing one task), or give each task an instruction",
    )


def ending(values: Sequence[float]) -> float:
    """The mean of the last tenth, at least one value; of numbers alone."""
    last = np.asarray(values, dtype=np.float64)[-max(1, len(values) // TENTH) :]
    return float(last[np.isfinite(last)].mean()) if np.isfinite(last).any() else math.inf


def out_of_memory(needed: Mapping[str, float], free: float) -> Finding:
    """GiB that a step needs beyond the weights, by part, and what is free."""
    total = sum(needed.values())
    told = ", ".join(f"{part} {value:.2f}" for part, value in needed.items())
    return judged(
        "out of memory",
        total / free,
        f"a step needs {total:.2f} GiB beside the weights ({told}), {free:.2f} are free",
        "smaller tokens_per_chunk and activations_gib, then recompute: they change memory and time, no "
        "result; rows_per_step can stay",
    )


def last_words(said: str) -> list[Finding]:
    """What a program that failed wrote to its error log: the failures that are known by their words."""
    remedies = {
        "out of memory": "smaller tokens_per_chunk and activations_gib, then recompute: no result changes",
        "loss not finite": "bfloat16 or float32 instead of float16, a lower learning_rate",
        "ids without a row": "load the tokenizer from the model's own folder; longest within its positions",
    }
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    found = []
    for name, words in SAID:
        if told := [line for line in lines if words.search(line)]:
            found.append(judged(name, math.inf, f"the program said: {told[-1][:300]}", remedies[name]))
    return found
