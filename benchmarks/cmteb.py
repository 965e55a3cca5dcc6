"""All scores of an encoder beside plain SentenceTransformer through mteb, and the 35 sets over a hub of ours.

`python benchmarks/cmteb.py` writes results/cmteb.json: a small encoder of random weights (`--encoder FOLDER`
for another) on eight sets of ../shared/data/eval, of every type at least one, whole: ten minutes. `--all`
takes all eighteen, more than an hour: plain mteb embeds the training texts of classification anew for each of
ten draws. `--rows N` samples each set; that, or another encoder, is printed and not written.
Where the folder is absent, the embedded world's sets stand for it. Each side has a process for itself, and an
interrupted measurement goes on.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.measure import Journal
from cpack_lib.work.results import write_result

REAL = ROOT.parent / "shared/data/eval"
EVALUATION = "folder:../shared/data/eval" if REAL.exists() else "world:evaluation"
SIZE = "small"
TASKS = [
    "xquad_zh",
    "cmrc2018_dev",
    "qbqtc_multi",
    "stsb_zh_dev",
    "bq_dev",
    "ocnli_dev",
    "tnews",
    "csl_category_titles",
]
HERE = Path(__file__).resolve().parent
JOURNAL = Journal(HERE / "evaluated/scoring.py", runs_folder() / "benchmarks/cmteb/measured.jsonl")
UNSTEADY = "nauc"  # areas over abstentions, which a rounding of one score moves


def both(given: dict) -> dict[str, dict]:
    """The same tasks by ours, by mteb's wrapper, and by ours in half precision."""
    ways = {"ours": ("ours", "float32"), "plain": ("plain", "float32"), "bfloat16": ("ours", "bfloat16")}
    told = {}
    for way, (who, precision) in ways.items():
        told[way] = JOURNAL.measured({"what": "scored", "who": who, "precision": precision} | given)
        print(f"  {way}: {told[way]['seconds']:.0f} s, {told[way]['peak_gib']:.2f} GiB", flush=True)
    return told


def table(told: dict[str, dict]) -> list[dict]:
    """A row for each task: main scores, seconds, and how far any number is from the plain run's."""
    rows = []
    for ours, plain, half in zip(*(told[way]["tasks"] for way in ("ours", "plain", "bfloat16")), strict=True):
        steady = [name for name in plain["numbers"] if UNSTEADY not in name]
        others = [abs(ours["numbers"][name] - plain["numbers"][name]) for name in steady]
        row = {name: ours[name] for name in ("task", "type", "metric", "score")}
        row |= {"plain_score": plain["score"], "bfloat16_score": half["score"]}
        row |= {f"{way}_s": one["seconds"] for way, one in zip(told, (ours, plain, half), strict=True)}
        rows.append(row | {"numbers_compared": len(others), "largest_difference": max(others)})
    return rows


def over_the_hub() -> dict[str, float]:
    """All 35 sets through mteb's unmodified loading, from a hub of ours with a few rows of each."""
    done = subprocess.run([sys.executable, "-m", "tests.hub"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the 35 sets over the hub on this machine failed:\n{done.stderr[-3000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    minutes = round(told["seconds"] / 60, 2)
    return {
        "tasks_run_on_loopback_hub": told["tasks_run_on_loopback_hub"],
        "minutes_on_loopback_hub": minutes,
    }


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", help="a sentence-transformers folder instead of random weights")
    parser.add_argument("--rows", type=int, help="a sample of so many rows of each set")
    parser.add_argument("--all", action="store_true", help="all sets of the folder")
    asked = parser.parse_args()
    JOURNAL.path.parent.mkdir(parents=True, exist_ok=True)
    made = JOURNAL.measured({"what": "prepare", "evaluation": EVALUATION, "size": SIZE})
    tasks = [] if asked.all or EVALUATION == "world:evaluation" else TASKS
    encoder = str(Path(asked.encoder).resolve()) if asked.encoder else made["encoder"]
    given = {"encoder": encoder, "evaluation": EVALUATION, "rows": asked.rows, "tasks": tasks}
    told = both(given)
    rows = table(told)
    plain, ours, half = (told[way]["seconds"] for way in ("plain", "ours", "bfloat16"))
    figures = {
        "speedup_vs_plain_mteb": round(plain / ours, 3),
        "max_score_difference": max(abs(row["score"] - row["plain_score"]) for row in rows),
        "max_difference_of_any_metric": max(row["largest_difference"] for row in rows),
        "minutes": round(ours / 60, 2),
        "minutes_plain_mteb": round(plain / 60, 2),
        "speedup_vs_plain_mteb_bfloat16": round(plain / half, 3),
        "max_score_difference_bfloat16": max(abs(row["score"] - row["bfloat16_score"]) for row in rows),
        "peak_gib": round(told["ours"]["peak_gib"], 2),
        "peak_gib_plain_mteb": round(told["plain"]["peak_gib"], 2),
        "tasks_compared": len(rows),
    } | over_the_hub()
    if asked.rows or asked.encoder:
        print(json.dumps({"figures": figures, "rows": rows}, indent=1, ensure_ascii=False))
        return
    write_result(
        "cmteb",
        what="Scores beside plain SentenceTransformer through mteb: time and agreement; 35 sets over a hub.",
        command="python benchmarks/cmteb.py" + " --all" * asked.all,
        figures=figures,
        spread={},
        rows=rows,
    )


if __name__ == "__main__":
    main()
