"""Encoding beside SentenceTransformer.encode, and a forecast for the 35 sets of C-MTEB from it.

`python benchmarks/encode.py` writes results/encode.json; `--texts N` tries it with so many texts and writes
nothing. Of 50,000 texts (real pairs where ../shared/data is, else the embedded world's) sorted by length a
round embeds runs of 256 neighbours, spread evenly, so that both sides meet the padding they would meet in
all 50,000; sentence-transformers has the best of its batch sizes. Both take turns, in a process for each
round; medians. An interrupted measurement goes on. Weights are random: the time does not depend on them.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
import polars as pl

from cpack_lib.model.encoder import LONGEST, SIZES
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.measure import Journal
from cpack_lib.work.provenance import usable_cores
from cpack_lib.work.results import write_result

REAL = ROOT.parent / "shared/data/train/pairs_open.parquet"
SOURCE = "folder:../shared/data/train/pairs_open.parquet" if REAL.exists() else "world:pairs"
HERE = Path(__file__).resolve().parent
JOURNAL = Journal(HERE / "evaluated/encoding.py", runs_folder() / "benchmarks/encode/measured.jsonl")
TEXTS, ROUNDS = 50_000, 3
BATCHES = [16, 32, 64, 128, 256]
RUNS = {"nano": 16, "small": 12}  # of 256 texts, that a round embeds
FEW = 4  # runs on which a batch size is chosen
PRECISIONS = ("float32", "bfloat16")
LENGTHS = {16: 16_384, 64: 16_384, 256: 16_384, LONGEST: 16_384}  # tokens of a text, and of all texts
SETS = HERE / "evaluated/cmteb_texts.tsv"  # what the 35 sets hold, each row with its source


def measured(what: str, **given) -> dict:
    """One measurement, kept for the next time."""
    told = JOURNAL.measured({"what": what} | given)
    print(f"  {what} {given}: {told}", flush=True)
    return told


def compared(size: str, precision: str, runs: int) -> dict:
    """Medians of some rounds of one size and precision."""
    case = {"size": size, "precision": precision}
    search = measured("best_batch", batches=BATCHES, runs=min(runs, FEW), **case)
    given = case | {"batch": int(search["best"]), "runs": runs}
    rounds = [measured("one_round", turn=turn, **given) for turn in range(ROUNDS)]
    ratios = [told["theirs"] / told["ours"] for told in rounds]
    speeds = {
        f"{unit}_per_s{whose}": statistics.median(told[unit] / told[who] for told in rounds)
        for unit in ("texts", "tokens")
        for who, whose in (("ours", ""), ("theirs", "_st"))
    }
    row = case | {"speedup": statistics.median(ratios)} | speeds
    row |= {
        "least": min(ratios),
        "most": max(ratios),
        "difference": max(told["difference"] for told in rounds),
    }
    return row | {"st_batch": int(search["best"]), "st_seconds_by_batch": search["seconds"], "rounds": rounds}


def products(size: str, tokens: float) -> float:
    """Multiplications for a token in a text of so many; of the last layer [CLS] alone is read."""
    layers, width, _, inner = SIZES[size]
    whole = 4 * width**2 + 2 * width * inner + 2 * tokens * width
    last = 2 * width**2 + (2 * width**2 + 2 * width * inner) / tokens + 2 * width
    return (layers - 1) * whole + last


def forecast(precision: str, tokens_per_character: float) -> tuple[dict[str, float], list[dict]]:
    """Hours of embedding every distinct text of the 35 sets once, for three sizes; and the rates behind them.

    The rate is measured for small at several lengths; base and large follow by their products. A text has its
    set's mean length, cut at the longest: sets with a few very long texts are taken for somewhat too much.
    """
    lengths = sorted(LENGTHS)
    rates = [
        measured("by_length", size="small", precision=precision, tokens=tokens, places=LENGTHS[tokens])
        for tokens in lengths
    ]
    sets = pl.read_csv(SETS, separator="\t")
    tokens = np.clip(sets["mean_characters"].to_numpy() * tokens_per_character + 2, 3, LONGEST)
    rate = np.interp(tokens, lengths, [told["tokens_per_s"] for told in rates])
    seconds = sets["distinct"].to_numpy() * tokens / rate
    hours = {}
    for size in ("small", "base", "large"):
        times = np.array([products(size, each) / products("small", each) for each in tokens])
        hours[size] = float((seconds * times).sum() / 3_600)
    rows = [
        {"what": "rate", "size": "small", "precision": precision, "tokens": length} | told
        for length, told in zip(lengths, rates, strict=True)
    ]
    return hours, rows


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, help="to try it with so many, 256 or more, in rounds of one run")
    asked = parser.parse_args()
    JOURNAL.path.parent.mkdir(parents=True, exist_ok=True)
    texts = measured("prepare", source=SOURCE, texts=asked.texts or TEXTS)
    runs = dict.fromkeys(RUNS, 1) if asked.texts else RUNS
    rows = [compared(size, precision, count) for size, count in runs.items() for precision in PRECISIONS]
    halves = {size: measured("halves", size=size, runs=min(count, FEW)) for size, count in runs.items()}
    hours, rates = {}, []
    for precision in PRECISIONS:
        hours[precision], found = forecast(precision, texts["tokens"] / texts["characters"])
        rates += found
    figures, spread = summary(rows, halves, hours, rates[0]["device"])
    if asked.texts:
        print(figures)
        return
    write_result(
        "encode",
        what="Encoding beside SentenceTransformer.encode at its best batch size; a forecast for C-MTEB.",
        command="python benchmarks/encode.py",
        figures=figures,
        spread=spread,
        rows=[*rows, *rates, {"what": "texts", "source": SOURCE} | texts],
    )


def summary(rows: list[dict], halves: dict, hours: dict, device: str) -> tuple[dict, dict]:
    """The figures: small in float32 is what a name without more means."""
    figures, spread = {}, {}
    for row in sorted(rows, key=lambda row: (row["size"] != "small", row["precision"] != "float32")):
        names = [row["size"]] * (row["size"] != "small") + [row["precision"]] * (
            row["precision"] != "float32"
        )
        name = "".join(f"_{part}" for part in names)
        figures[f"speedup_vs_st{name}"] = round(row["speedup"], 3)
        spread[f"speedup_vs_st{name}"] = [round(row["least"], 3), round(row["most"], 3)]
        figures[f"texts_per_s{name}"] = round(row["texts_per_s"], 1)
        figures[f"tokens_per_s{name}"] = round(row["tokens_per_s"])
        if row["precision"] == "float32":
            figures[f"max_difference_vs_st{name}"] = row["difference"]
    speed = {(row["size"], row["precision"]): row["texts_per_s"] for row in rows}
    for size, told in halves.items():
        figures[f"gain_of_bfloat16_{size}"] = round(speed[size, "bfloat16"] / speed[size, "float32"], 3)
        figures[f"max_difference_of_bfloat16_{size}"] = round(told["difference"], 5)
        figures[f"least_cosine_of_bfloat16_{size}"] = round(told["cosine"], 6)
    where = f"{usable_cores()}_cores" if device == "cpu" else f"one_{device}_device"
    figures[f"forecast_hours_cmteb35_{where}"] = round(hours["float32"]["small"], 2)
    for precision, by_size in hours.items():
        for size, value in by_size.items():
            figures[f"forecast_hours_cmteb35_{where}_{size}_{precision}"] = round(value, 2)
    return figures, spread


if __name__ == "__main__":
    main()
