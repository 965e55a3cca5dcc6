"""The paper's contrastive step, 24 GPUs with 800 pairs each at length 128: will it fit, how fast is it?

`python benchmarks/paper_step.py` writes results/paper_step.json. What a token keeps for the way back is
measured here, on the real shapes in bfloat16; seconds are estimated from the products of a step, for an A100
that reaches ASSUMED_SHARE of its peak. No GPU is needed, and none has confirmed them.
"""

import torch

from cpack_lib.model.encoder import SIZES, Encoder, new_language_model
from cpack_lib.model.states import Way
from cpack_lib.training.memory import PASSING, kept_bytes
from cpack_lib.work.measure import GIB
from cpack_lib.work.results import write_result

GPUS, PAIRS, LENGTH, VOCABULARY, STEPS = 24, 800, 128, 21_128, 20_000
PEAK_TFLOP_PER_S, ASSUMED_SHARE, CARD_GIB = 312, 0.4, 40  # A100-40G, bfloat16
CHUNK = 32_768  # tokens embedded at a time
TEXTS = 2 * PAIRS  # of a GPU


def kept_per_token(encoder: Encoder, recompute: bool) -> float:
    """Bytes of a token of the longest length, from the slope between one text and three."""

    def forward(texts: int) -> torch.Tensor:
        ids = torch.full((texts, LENGTH), 5)
        with torch.autocast("cpu", torch.bfloat16):
            return encoder(ids, torch.ones_like(ids, dtype=torch.bool), Way(recompute))

    one, three = (kept_bytes(lambda texts=texts: forward(texts), encoder) for texts in (1, 3))
    return (three - one) / (2 * LENGTH)


def tflop_of_step(size: str, times_forward: int) -> float:
    """Products of one GPU's texts: forward so many times, and back, which is twice as much."""
    layers, width, _, inner = SIZES[size]
    a_token = (layers - 1) * (4 * width**2 + 2 * width * inner + 2 * LENGTH * width) + 2 * width**2
    scores = PAIRS * GPUS * PAIRS * width * 3  # own queries with all passages, and both gradients
    return 2 * (a_token * TEXTS * LENGTH * (times_forward + 2) + scores) / 1e12


def rows_of(size: str) -> list[dict]:
    """Memory and time of a step with all activations kept, embedding twice, and recomputing as well."""
    model = Encoder(new_language_model(size, VOCABULARY).bert, tokenizer=None).train()
    parameters = sum(weight.numel() for weight in model.parameters())
    width = SIZES[size][1]
    fixed = 4 * parameters * 5 + 4 * GPUS * TEXTS * width * 4  # weights, Adam, sums; all embeddings
    found = []
    for way, recompute, times in (
        ("all kept", False, 1),
        ("embedded twice", False, 2),
        ("twice, recomputed", True, 3),
    ):
        token = kept_per_token(model, recompute)
        kept = TEXTS * LENGTH if way == "all kept" else CHUNK * (1 + PASSING)
        seconds = tflop_of_step(size, times) / (PEAK_TFLOP_PER_S * ASSUMED_SHARE)
        row = {"size": size, "way": way, "million_parameters": parameters / 1e6, "bytes_per_token": token}
        row |= {"gib_per_gpu": (fixed + token * kept) / GIB, "seconds_per_step": seconds}
        row["fits_40_gib"] = row["gib_per_gpu"] < CARD_GIB
        found.append(row | {"hours_of_20000_steps": STEPS * seconds / 3600})
    return found


def main() -> None:
    """Estimate for three sizes and write the table."""
    rows = [row for size in ("small", "base", "large") for row in rows_of(size)]
    figures = {}
    for size in ("small", "base", "large"):
        fitting = [row for row in rows if row["size"] == size and row["fits_40_gib"]]
        quickest = min(fitting, key=lambda row: row["seconds_per_step"])
        figures[f"{size}_gib_per_gpu"] = round(quickest["gib_per_gpu"], 2)
        figures[f"{size}_seconds_per_step"] = round(quickest["seconds_per_step"], 2)
        figures[f"{size}_hours_of_20000_steps"] = round(quickest["hours_of_20000_steps"], 1)
    write_result(
        "paper_step",
        what="The paper's step of 19,200 pairs on 24 A100-40G: memory measured per token, seconds estimated.",
        command="python benchmarks/paper_step.py",
        figures=figures,
        spread={},
        rows=rows,
    )


if __name__ == "__main__":
    main()
