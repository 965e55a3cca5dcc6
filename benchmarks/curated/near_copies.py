"""Near copies of texts by this project's rule or by datatrove's MinHash, held against brute force.

It makes one measurement, which its argument names as a JSON object, and prints one: `benchmarks/curation.py`
starts it. `set` is what is searched: "planted", real texts of many sources and copies of some with characters
changed; "plain", as many real texts of the same sources alone; "many", a sample that takes a while.

What is right: the Jaccard similarity J of two texts is that of the exact sets of their character 3-grams, of
letters and digits alone, and is computed for all pairs. Recall is the share of the pairs of texts with
J >= 0.8 (or another threshold) that are joined, which means: in one group, of which one text stays. Precision
is the share of the joined pairs that ought to be, because a chain of pairs with J >= 0.8 leads from one to
the other. `precision_0.05` asks for a chain of J >= 0.75 only, which is what estimates of J can tell apart.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
import venv
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from cpack_lib.corpus.copies.minhash import NGRAM, bare
from cpack_lib.corpus.copies.near import Near, near_copies
from cpack_lib.corpus.copies.runs import Place
from cpack_lib.corpus.read.sources import open_table
from cpack_lib.corpus.treat import SHORTEST_PASSAGE
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.measure import Most, tree_gib
from cpack_lib.work.workers.pool import each

REAL = ROOT.parent / "shared/data/train/pairs_open.parquet"
PLACE = runs_folder() / "benchmarks" / "curation"
PINS = ["datatrove==0.10.1", "spacy==3.8.18", "jieba==0.42.1", "pyarrow==26.0.1", "xxhash==3.8.2"]
PINS += ["regex==2026.11.19", "orjson==3.13.0", "tokenizers==0.23.3"]
RATES = (
    0.005,
    0.01,
    0.02,
    0.03,
    0.04,
    0.06,
    0.1,
)  # of the characters changed; J is near (1 - 3r) / (1 + 3r)
LEAST = 0.5  # of the J that are kept
FILES, WORKERS = 4, 2
SEED = 4


def texts_of(name: str, rows: int) -> Path:
    """A folder with a set of so many texts as Parquet files, made once."""
    folder = PLACE / "texts" / f"{name}-{rows}"
    if not folder.exists():
        texts = real_texts()
        if name == "many":
            found = texts.sample(min(rows, len(texts)), shuffle=True, seed=SEED)["text"]
        else:
            sources = texts.sample(fraction=1, shuffle=True, seed=SEED)
            each_source = sources.with_columns(turn=pl.int_range(pl.len()).over("source"))
            found = each_source.sort("turn", maintain_order=True)["text"].head(rows)
            found = pl.concat([found, planted(found)]) if name == "planted" else found
        aside = folder.with_name(f".{folder.name}")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        shuffled = found.sample(fraction=1, shuffle=True, seed=SEED).to_frame("text")
        for number, file in enumerate(shuffled.iter_slices(-(-len(shuffled) // FILES))):
            file.write_parquet(aside / f"{number:05}.parquet")
        aside.replace(folder)
    return folder


def real_texts() -> pl.DataFrame:
    """source and text: what curation takes as texts of the real pairs, or of the embedded world's."""
    table = pl.read_parquet(REAL) if REAL.exists() else open_table("world:pairs", "pairs").read()
    return table.select("source", text="text_b").filter(pl.col("text").str.len_chars() >= SHORTEST_PASSAGE)


def planted(texts: pl.Series) -> pl.Series:
    """A copy of every second text, with characters put in, taken out or changed, at the rates in turn."""
    chance, alphabet = random.Random(SEED), list("".join(texts.to_list()))
    copies = []
    for number, text in enumerate(texts.gather_every(2)):
        rate = RATES[number % len(RATES)]
        for place in reversed([place for place in range(len(text)) if chance.random() < rate]):
            end, new = chance.choice([(place, True), (place + 1, False), (place + 1, True)])
            text = text[:place] + (chance.choice(alphabet) if new else "") + text[end:]
        copies.append(text)
    return pl.Series(texts.name, copies)


def brute_force(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of texts with J from LEAST on, and their J: (E, 2), (E,)."""
    numbers, found, starts = {}, [], [0]
    for text in texts.to_frame("text").select(bare(pl.col("text"))).to_series():
        own = {text[place : place + NGRAM] for place in range(max(1, len(text) - NGRAM + 1))} - {""}
        found += [numbers.setdefault(gram, len(numbers)) for gram in own]
        starts.append(len(found))
    sizes = np.diff(starts)
    ones = np.ones(len(found), np.int32)
    matrix = csr_array((ones, found, starts), shape=(len(texts), len(numbers)))
    pairs, likeness = [], []
    for start in range(0, len(texts), 512):
        common = (matrix[start : start + 512] @ matrix.T).tocoo()
        row, column = common.coords[0] + start, common.coords[1]
        alike = common.data / (sizes[row] + sizes[column] - common.data)
        kept = (alike >= LEAST) & (row < column)
        pairs.append(np.stack([row[kept], column[kept]], axis=1))
        likeness.append(alike[kept])
    return np.concatenate(pairs), np.concatenate(likeness)


def groups_of(pairs: np.ndarray, texts: int) -> np.ndarray:
    """The number of each text's group, where pairs of texts join them: (E, 2) -> (N,)."""
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(texts, texts))
    return connected_components(graph, directed=False)[1]


def pairs_within(*groups: np.ndarray) -> int:
    """How many pairs of texts are in one group, of all the divisions given."""
    _, sizes = np.unique(np.stack(groups), axis=1, return_counts=True)
    return int((sizes * (sizes - 1) // 2).sum())


def scored(group: np.ndarray, pairs: np.ndarray, likeness: np.ndarray, threshold: float) -> dict:
    """Recall and precision of a division into groups, as the module defines them."""
    alike = pairs[likeness >= threshold]
    joined = pairs_within(group)
    told = {"pairs": len(alike), "joined": joined}
    told["recall"] = float((group[alike[:, 0]] == group[alike[:, 1]]).mean())
    for name, slack in (("precision", 0.0), ("precision_0.05", 0.05)):
        truth = groups_of(pairs[likeness >= threshold - slack], len(group))
        told[name] = pairs_within(group, truth) / max(1, joined)
    return told


def prepared(rule: Near, file: Path, folder: Path) -> int:
    """Bands and sketches of a file's texts, and how many texts there are."""
    folder.mkdir(parents=True)
    texts = pl.read_parquet(file)
    texts.write_ipc(folder / f"{rule.table}.arrow", compression="uncompressed")
    rule.prepare(folder, texts)
    return len(texts)


def write_kept(file: Path, start: int, gone: np.ndarray, folder: Path) -> None:
    """The texts of a file that stay."""
    texts = pl.read_parquet(file)
    stays = ~np.isin(np.arange(start, start + len(texts)), gone)
    texts.filter(pl.Series(stays)).write_parquet(folder / file.name)


def ours(texts: Path, place: Path, threshold: float) -> dict:
    """Search by this project's rule; the seconds of its three stages."""
    rule, files = near_copies(threshold)[1], sorted(texts.glob("*.parquet"))
    (place / "kept").mkdir(parents=True)
    moments = [time.perf_counter()]
    tasks = [(file.stem, (rule, file, place / file.stem)) for file in files]
    counts = [rows for _, rows in each(prepared, tasks, WORKERS)]
    starts = np.cumsum([0, *counts])
    places = [Place(place / file.stem, int(start)) for file, start in zip(files, starts[:-1], strict=True)]
    moments.append(time.perf_counter())
    gone = rule.gone(places, np.ones(starts[-1], bool), place, WORKERS)
    moments.append(time.perf_counter())
    tasks = [
        (file.stem, (file, int(start), gone, place / "kept"))
        for file, start in zip(files, starts[:-1], strict=True)
    ]
    list(each(write_kept, tasks, WORKERS))
    moments.append(time.perf_counter())
    stages = np.diff(moments).round(2).tolist()
    return {"seconds": moments[-1] - moments[0], "stages": stages}


def our_groups(place: Path, texts: int, threshold: float) -> np.ndarray:
    """The groups that the search has found, from the files it has left."""
    rule, starts, places = near_copies(threshold)[1], 0, []
    for folder in sorted(path.parent for path in place.glob(f"*/{rule.table}.arrow")):
        places.append(Place(folder, starts))
        starts += pl.read_ipc(folder / f"{rule.table}.arrow").height
    return groups_of(rule.edges(places, np.ones(starts, bool), place), texts)


def datatrove_python() -> Path:
    """The Python of an environment that has datatrove, which is made at the first call."""
    folder = PLACE / "datatrove-venv"
    if not (folder / "ready").exists():
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([folder / "bin/python", "-Em", "pip", "install", "-qq", *PINS], check=True, stdout=2)
        (folder / "ready").touch()
    return folder / "bin/python"


def theirs(texts: Path, place: Path, **options) -> dict:
    """Search by datatrove; the seconds of its four stages, and the most memory of its processes."""
    script = ROOT / "benchmarks/peers/datatrove_minhash.py"
    given = {"texts": str(texts), "place": str(place), "workers": WORKERS} | options
    command = [datatrove_python(), "-E", script, json.dumps(given)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with run, Most(partial(tree_gib, run.pid)) as memory:
        said, errors = run.communicate()
    if run.returncode:
        raise RuntimeError(f"datatrove failed:\n{errors[-2000:]}")
    return json.loads(said.splitlines()[-1]) | {"peak_gib": memory.most}


def their_groups(place: Path, counts: list[int]) -> np.ndarray:
    """The groups in datatrove's files: (text, group) as uint32, for the texts that have a copy."""
    group = np.arange(sum(counts)) + sum(counts)  # alone
    for number, start in enumerate(np.cumsum([0, *counts[:-1]])):
        path = place / "clusters" / f"{number:06}.clusters"
        found = np.fromfile(path, "<u4").reshape(-1, 2) if path.exists() else np.empty((0, 2), "<u4")
        group[start + found[:, 0].astype(np.int64)] = found[:, 1]
    return group


def measured(name: str, rows: int, who: str, thresholds: list[float], code: str = "", **options) -> dict:
    """Search a set of texts: seconds, memory, and recall and precision at the thresholds.

    `code` is a mark for the journal: datatrove's script is no part of this one.
    """
    [(_, folder)] = each(texts_of, [(name, (name, rows))], WORKERS)  # the memory it takes is not ours
    place = PLACE / "search"
    shutil.rmtree(place, ignore_errors=True)
    if who == "datatrove":
        told = theirs(folder, place, **options)
    else:
        with Most(partial(tree_gib, os.getpid())) as memory:
            told = ours(folder, place, **options)
        told["peak_gib"] = memory.most
    frames = [pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    told["texts"] = sum(map(len, frames))
    if thresholds:
        counts = [len(frame) for frame in frames]
        group = (
            their_groups(place, counts)
            if who == "datatrove"
            else our_groups(place, sum(counts), options["threshold"])
        )
        pairs, likeness = brute_force(pl.concat(frames)["text"])
        told["at"] = {str(each): scored(group, pairs, likeness, each) for each in thresholds}
    kept = pl.scan_parquet(place / "kept" / "*.parquet").select(pl.len()).collect().item()
    return told | {"kept": kept}


if __name__ == "__main__":
    print(json.dumps(measured(**json.loads(sys.argv[1]))))
