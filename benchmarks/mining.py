"""Mining beside sentence-transformers' `mine_hard_negatives`: time, memory, and whether both admit the same.

`python benchmarks/mining.py` writes results/mining.json; `--pairs N` takes N pairs at most, to try it, and
writes nothing. Same model, pool and filter: ranks 10 to 210 of what scores at most 95 % of the positive,
drawn at random. Every measurement is made by mined/once.py in a process of its own; the variants take turns,
three rounds, medians. An interrupted benchmark goes on.

What is measured: sentence-transformers as it is called (float32, 32 texts a batch, no faiss), and the best of
its settings (bfloat16, 128 texts a batch, faiss); this project in both precisions. Ours also writes its
groups to the disk. Texts are cut at 64 tokens.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from cpack_lib.work.files import runs_folder
from cpack_lib.work.measure import Journal
from cpack_lib.work.results import write_result

SCRIPT = Path(__file__).resolve().parent / "mined" / "once.py"
PLACE = runs_folder() / "benchmarks" / "mining"
JOURNAL = Journal(SCRIPT, PLACE / "measured.jsonl")  # delete it to measure again
ROUNDS = 3
VARIANTS = {
    "ours": {"what": "ours", "precision": "bfloat16"},
    "ours, float32": {"what": "ours", "precision": "float32"},
    "st best": {"what": "theirs", "precision": "bfloat16", "batch": 128, "use_faiss": True},
    "st default": {"what": "theirs", "precision": "float32", "batch": 32, "use_faiss": False},
}
CASES = {  # model, share of all pairs, negatives: rounds
    ("static", 0.32, 7): ROUNDS,
    ("static", 0.32, 1): 1,
    ("static", 0.64, 7): 1,
    ("nano", 0.08, 1): ROUNDS,
}
PAIRS, AGREED, ASKED = 50_000, 3_000, 4_096
LARGE = 150_000  # texts of a pool that is searched in cells


def prepare(data: str, most: int) -> dict:
    """Texts and encoders, made once, in a process of their own."""
    command = [sys.executable, str(SCRIPT), json.dumps({"what": "prepare", "data": data, "most": most})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"preparing {data} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def rows_of_case(data: str, model: str, pairs: int, count: int, rounds: int) -> list[dict]:
    """Medians of all variants, which take turns."""
    told: dict[str, list[dict]] = {name: [] for name in VARIANTS}
    for turn in range(rounds):
        for name, variant in VARIANTS.items():
            given = variant | {"data": data, "model": model, "pairs": pairs, "count": count}
            told[name].append(JOURNAL.measured(given, turn))
            line = told[name][-1]
            measure = f"{line['seconds']:.1f} s, {line['peak_gib']:.2f} GiB"
            print(f"  {model} {pairs:,} × {count} {name}: {measure}", flush=True)
    return [row_of(model, pairs, count, name, runs) for name, runs in told.items()]


def row_of(model: str, pairs: int, count: int, name: str, runs: list[dict]) -> dict:
    """A variant's row of the table."""
    row = {"model": model, "pairs": pairs, "negatives": count, "variant": name, "rounds": len(runs)}
    row |= {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    row["choose_s"] = statistics.median(run["seconds"] - run["encode_s"] for run in runs)
    return row | {
        "least_s": min(run["seconds"] for run in runs),
        "most_s": max(run["seconds"] for run in runs),
    }


def ratios(rows: list[dict], other: str, column: str, model: str | None = None) -> list[float]:
    """Theirs through ours, case by case."""
    by = {(row["model"], row["pairs"], row["negatives"], row["variant"]): row for row in rows}
    cases = dict.fromkeys(key[:3] for key in by if model in (None, key[0]))
    return [by[*case, other][column] / by[*case, "ours"][column] for case in cases]


def grown(rows: list[dict], variant: str) -> float:
    """GiB that four times as many queries × texts need more, in the smaller model with the most negatives."""
    some = [row for row in rows if (row["model"], row["variant"], row["negatives"]) == ("static", variant, 7)]
    small, large = sorted(some, key=lambda row: row["pairs"])
    return large["peak_gib"] - small["peak_gib"]


def figures_of(rows: list[dict], agreed: dict, cut: dict) -> tuple[dict, dict]:
    """Figures and their spread over the cases."""
    found = {
        "speedup_vs_st": ratios(rows, "st best", "seconds"),
        "speedup_vs_st_default": ratios(rows, "st default", "seconds"),
        "speedup_choosing_vs_st": ratios(rows, "st best", "choose_s"),
        "speedup_choosing_vs_st_default": ratios(rows, "st default", "choose_s"),
        "speedup_encoding_vs_st": ratios(rows, "st best", "encode_s"),
        "memory_vs_st": [1 / ratio for ratio in ratios(rows, "st best", "peak_gib")],
        "memory_vs_st_default": [1 / ratio for ratio in ratios(rows, "st default", "peak_gib")],
    }
    for model in ("static", "nano"):
        found[f"speedup_vs_st_{model}"] = ratios(rows, "st best", "seconds", model)
        found[f"speedup_vs_st_default_{model}"] = ratios(rows, "st default", "seconds", model)
    figures = {name: round(statistics.median(values), 3) for name, values in found.items()}
    names = {"ours": "ours", "st": "st best", "st_default": "st default"}
    figures |= {f"growth_gib_{name}": round(grown(rows, variant), 3) for name, variant in names.items()}
    figures |= {
        "same_candidates_jaccard": round(agreed["jaccard"], 5),
        "recall_cells": round(cut["recall"], 4),
    }
    figures["speedup_cells_vs_exact"] = round(cut["exact_s"] / cut["cells_s"], 2)
    return figures, {name: [round(min(each), 3), round(max(each), 3)] for name, each in found.items()}


def main() -> None:
    """Measure everything, and write the result unless it is a trial."""
    parser = argparse.ArgumentParser(description="Mining beside sentence-transformers.")
    parser.add_argument("--pairs", type=int, default=LARGE, help="at most so many pairs, to try it")
    most = parser.parse_args().pairs
    data = f"pairs-{most}"
    made = prepare(data, most)
    pairs, rows = min(PAIRS, made["pairs"]), []
    for (model, share, count), rounds in CASES.items():
        rows += rows_of_case(data, model, int(share * pairs), count, rounds)
    given = {"data": data, "model": "static"}
    agreed = JOURNAL.measured(given | {"what": "agreement", "pairs": min(AGREED, pairs)})
    cut = JOURNAL.measured(given | {"what": "cells", "pairs": made["pairs"], "queries": min(ASKED, pairs)})
    figures, spread = figures_of(rows, agreed, cut)
    rows += [{"case": "same candidates"} | agreed, {"case": "cells", "pool": made["pairs"]} | cut]
    if most < LARGE:
        print(json.dumps(figures, indent=1))
        return
    write_result(
        "mining",
        what=f"Mining negatives of {made['source']} beside sentence-transformers' mine_hard_negatives.",
        command="python benchmarks/mining.py",
        figures=figures,
        spread=spread,
        rows=rows,
    )


if __name__ == "__main__":
    main()
