"""Curation: time, memory, growth, near copies beside datatrove, planted faults, the same result anywhere.

`python benchmarks/curation.py` writes results/curation.json. Names of PARTS after it measure these anew and
leave the others as they were last measured (each row of the result names its commit); `--most N` takes at
most N rows of each table, to try it, and writes nothing. An interrupted measurement goes on. Pairs are real
where ../shared/data is, else the embedded world's. Every measurement is made by a script of curated/ in a
process of its own; its memory is that of this process and of all below it.
"""

import argparse
import json
import statistics
from pathlib import Path

from cpack_lib.corpus import world
from cpack_lib.work.files import ROOT, digest_of, runs_folder, write_json
from cpack_lib.work.measure import GIB, Journal
from cpack_lib.work.provenance import commit
from cpack_lib.work.results import write_result
from cpack_lib.work.workers.pool import each

REAL = ROOT.parent / "shared/data/train/pairs_open.parquet"
if REAL.exists():
    INPUT = {
        "table": "folder:../shared/data/train/pairs_open.parquet",
        "evaluation": "folder:../shared/data/eval",
    }
else:
    INPUT = {"table": "world:pairs", "evaluation": "world:evaluation"}
PLACE = runs_folder() / "benchmarks" / "curation"
HERE = Path(__file__).resolve().parent
WHOLE, NEAR, PLANTED, SAME = (
    Journal(HERE / "curated" / f"{name}.py", PLACE / "measured.jsonl")  # delete it to measure again
    for name in ("pairs", "near_copies", "planted_faults", "same_output")
)
CODE = digest_of([HERE / "peers/datatrove_minhash.py"])  # given to the journal, which does not know this file
SHARD = 65_536
TURNS = 3
GROWTH = {100_000: 2, 1_000_000: 2, 10_000_000: 1}  # rows: turns
ALIKE, MANY = 6_000, 400_000  # texts compared all with all; texts searched to see how long it takes
THRESHOLDS = [0.6, 0.7, 0.8, 0.9]
CHARACTERS = {"unit": "characters", "n": 3, "numbers": False}
DATATROVE = {  # what the best of datatrove for Chinese is sought among
    "default": {"unit": "words", "n": 5, "numbers": True, "buckets": 14, "hashes": 8},
    "characters": CHARACTERS | {"buckets": 14, "hashes": 8},
    "characters, our bands": CHARACTERS | {"buckets": 21, "hashes": 6},
    "characters, few hashes": CHARACTERS | {"buckets": 12, "hashes": 5},
}
Told = tuple[dict[str, float], dict[str, list[float]], list[dict]]  # figures, spread, rows of the table


def turns(count: int, **given) -> list[dict]:
    """The same curation several times."""
    found = []
    for turn in range(count):
        found.append(WHOLE.measured({"what": "whole"} | given, turn))
        print(f"  {given}: {found[-1]['seconds']:.1f} s, {found[-1]['peak_gib']:.2f} GiB", flush=True)
    return found


def middle(runs: list[dict], name: str) -> float:
    """The median of a number."""
    return statistics.median(run[name] for run in runs)


def ends(runs: list[dict], name: str, unit: float = 1.0) -> list[float]:
    """Least and most of a number, in a unit."""
    numbers = [run[name] / unit for run in runs]
    return [round(min(numbers), 3), round(max(numbers), 3)]


def real(most: int | None) -> Told:
    """All rules, exact and near copies over the real pairs; and where the time of a shard goes."""
    runs = turns(TURNS, rows=most, **INPUT)
    steps = WHOLE.measured({"what": "one shard", "rows": min(SHARD, most or SHARD)} | INPUT)["seconds"]
    whole, shares = steps.pop("whole part"), {}
    for step, seconds in steps.items():
        name = step.partition(":")[0]
        shares[name] = shares.get(name, 0.0) + seconds / whole
    figures = {
        "rows_per_s_855k": round(runs[0]["rows"] / middle(runs, "seconds")),
        "minutes_855k": round(middle(runs, "seconds") / 60, 2),
        "peak_gib_855k": round(max(run["peak_gib"] for run in runs), 2),
    }
    for stage in runs[0]["stages"]:
        share = statistics.median(run["stages"][stage] / run["seconds"] for run in runs)
        figures[f"share_{stage.replace(' ', '_')}"] = round(share, 3)
    figures |= {f"share_of_treat_{name}": round(share, 3) for name, share in shares.items()}
    spread = {"minutes_855k": ends(runs, "seconds", 60), "peak_gib_855k": ends(runs, "peak_gib")}
    rows = [{"part": "one shard", "step": step, "seconds": value} for step, value in steps.items()]
    return figures, spread, [*({"part": "real"} | run for run in runs), *rows]


def growth(most: int | None) -> Told:
    """The rules and copies over ever more pairs of the embedded world, which are written beforehand."""
    folder, turns_of = PLACE / "world", {min(size, most or size): count for size, count in GROWTH.items()}
    sizes = list(turns_of)
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        (f"{number:05}", (number * SHARD, folder / f"{number:05}.parquet"))
        for number in range(-(-max(sizes) // SHARD))
    ]
    list(each(write_world, tasks, 2))
    given = {"table": f"folder:{folder}", "evaluation": ""}
    runs = {size: turns(turns_of[size], rows=size, **given) for size in sizes}
    rows = [{"part": "growth"} | run for size in sizes for run in runs[size]]
    figures = {}
    for size in sizes:
        name = f"{size / 1e6:g}m"
        figures[f"microseconds_per_row_{name}"] = round(middle(runs[size], "seconds") / size * 1e6, 1)
        figures[f"peak_gib_{name}"] = round(max(run["peak_gib"] for run in runs[size]), 2)
        figures[f"disk_bytes_per_row_{name}"] = round(middle(runs[size], "disk_gib") * GIB / size)
    for small, large in zip(sizes, sizes[1:], strict=False):
        name = f"{large / 1e6:g}m_over_{small / 1e6:g}m"
        time_a_row = [middle(runs[size], "seconds") / size for size in (small, large)]
        peaks = [max(run["peak_gib"] for run in runs[size]) for size in (small, large)]
        figures[f"time_per_row_{name}"] = round(time_a_row[1] / time_a_row[0], 3)
        figures[f"peak_{name}"] = round(peaks[1] / peaks[0], 3)
    return figures, {}, rows


def write_world(first: int, path: Path) -> None:
    """A file with pairs of the embedded world, unless it is there."""
    if not path.exists():
        aside = path.with_name(f".{path.name}.new")
        next(world.tables("pairs", SHARD, first=first)).write_parquet(aside)
        aside.replace(path)


def near(most: int | None) -> Told:
    """Recall and precision of the rule for near copies, at several thresholds, against brute force."""
    rows, figures = [], {}
    for name in ("planted", "plain"):
        for threshold in THRESHOLDS:
            given = {"name": name, "rows": min(ALIKE, most or ALIKE), "who": "ours"}
            told = NEAR.measured(given | {"threshold": threshold, "thresholds": [threshold]})
            rows.append({"part": "near", "set": name, "threshold": threshold} | flat(told, threshold))
            print(f"  {rows[-1]}", flush=True)
    at = {(row["set"], row["threshold"]): row for row in rows}
    for name in ("recall", "precision", "precision_0.05"):
        figures[f"near_dup_{name}"] = round(at["planted", 0.8][name], 4)
        figures[f"near_dup_{name}_plain"] = round(at["plain", 0.8][name], 4)
    return figures, {}, rows


def flat(told: dict, threshold: float) -> dict:
    """A measurement with what was found at a threshold beside the rest."""
    scores = told.get("at", {}).get(str(threshold), {})
    return {key: value for key, value in told.items() if key != "at"} | scores


def datatrove(most: int | None) -> Told:
    """datatrove's MinHash on the same texts: its settings, and the fastest that finds as much as ours."""
    rows, many = [], min(MANY, most or MANY)
    ways = {"ours": {"who": "ours", "threshold": 0.8}}
    ways |= {name: {"who": "datatrove"} | options for name, options in DATATROVE.items()}
    search = {"name": "many", "rows": many, "thresholds": [], "code": CODE}
    hard = search | {"name": "planted", "rows": min(ALIKE, many), "thresholds": [0.8]}
    for name, given in ways.items():
        found, took = flat(NEAR.measured(hard | given), 0.8), NEAR.measured(search | given)
        scores = {key: found[key] for key in ("recall", "precision", "precision_0.05", "joined")}
        rows.append({"part": "datatrove", "way": name} | given | scores | took)
        print(f"  {name}: {took['seconds']:.1f} s, {scores}", flush=True)
    as_good = [row for row in rows[1:] if row["recall"] >= rows[0]["recall"]] or rows[1:]
    best = min(as_good, key=lambda row: row["seconds"])["way"]
    ours, theirs = (
        [NEAR.measured(search | ways[name], turn)["seconds"] for turn in range(TURNS)]
        for name in ("ours", best)
    )
    at, ratios = {row["way"]: row for row in rows}, [b / a for a, b in zip(ours, theirs, strict=True)]
    figures = {
        "speedup_vs_datatrove": round(statistics.median(ratios), 2),
        "speedup_vs_datatrove_default": round(at["default"]["seconds"] / statistics.median(ours), 2),
    }
    for name, way in (("", best), ("_default", "default")):
        figures[f"near_dup_recall_datatrove{name}"] = round(at[way]["recall"], 4)
        figures[f"near_dup_precision_datatrove{name}"] = round(at[way]["precision"], 4)
        figures[f"peak_gib_datatrove{name}"] = round(at[way]["peak_gib"], 2)
    figures["peak_gib_near_copies"] = round(at["ours"]["peak_gib"], 2)
    spread = {"speedup_vs_datatrove": [round(min(ratios), 2), round(max(ratios), 2)]}
    return figures, spread, [row | {"best": row["way"] == best} for row in rows]


def planted(most: int | None) -> Told:
    """What becomes of the faults that the embedded world plants."""
    rows = PLANTED.measured({"rows": min(20_000, most or 20_000)})["table"]
    figures = {
        f"{name}_{row['fault'].replace(' ', '_')}": round(row[name], 4)
        for row in rows
        for name in ("recall", "precision")
        if row.get(name) is not None and "fault" in row
    }
    clean = next(row for row in rows if row.get("fault") == "clean")
    figures["clean_documents_kept"] = round(1 - clean["gone"], 4)
    return figures, {}, [{"part": "planted"} | row for row in rows]


def same(most: int | None) -> Told:
    """The hash of all that is written: one process, two, two of Ray, some of them killed."""
    rows = []
    for workers, kills in (("1", 0), ("2", 0), ("2", 2), ("ray", 0), ("ray", 2)):
        given = INPUT | {"rows": min(300_000, most or 300_000)}
        rows.append(SAME.measured(given | {"workers": workers, "kills": kills}))
        print(f"  {rows[-1]}", flush=True)
    equal = [row["digest"] == rows[0]["digest"] for row in rows]
    figures = {
        "workers_compared": len(rows),
        "identical": sum(equal),
        "killed": sum(row["killed"] for row in rows),
    }
    return figures, {}, [{"part": "same"} | row for row in rows]


PARTS = {part.__name__: part for part in (real, growth, near, datatrove, planted, same)}


def main() -> None:
    """Measure the parts that are asked for, all by default; the last measurement of each makes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--most", type=int, help="rows of each table, to try it")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: no part; there are {', '.join(PARTS)}")
    PLACE.mkdir(parents=True, exist_ok=True)
    for name in asked.parts or PARTS:
        print(name, flush=True)
        figures, spread, rows = PARTS[name](asked.most)
        print(json.dumps(figures, indent=1), flush=True)
        if not asked.most:
            rows = [row | {"commit": commit()["commit"]} for row in rows]
            write_json(PLACE / f"{name}.json", {"figures": figures, "spread": spread, "rows": rows})
    told = [PLACE / f"{name}.json" for name in PARTS]
    if not asked.most and all(path.exists() for path in told):
        parts = [json.loads(path.read_text("utf-8")) for path in told]
        write_result(
            "curation",
            what="Curation of pairs: time, memory, growth, near copies beside datatrove, planted faults.",
            command="python benchmarks/curation.py",
            figures={name: value for part in parts for name, value in part["figures"].items()},
            spread={name: ends for part in parts for name, ends in part["spread"].items()},
            rows=[row for part in parts for row in part["rows"]],
        )


if __name__ == "__main__":
    main()
