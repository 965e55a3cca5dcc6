"""What a smaller encoder and smaller vectors cost: nDCG@10 of the demo's encoder on the world's questions.

The encoders are made by the blocks of notebooks/use_elsewhere.md, as a reader would. Figures are means
over the worlds of SEEDS, spread their extremes.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from sentence_transformers.util.quantization import quantize_embeddings

from cpack_lib.corpus import world
from cpack_lib.evaluation.tasks.layout import read_table
from cpack_lib.model.encoder import load_encoder, saved_instruction
from cpack_lib.work.files import ROOT
from cpack_lib.work.notebooks import code_blocks
from cpack_lib.work.results import write_result
from cpack_lib.work.runs import finished_run

SEEDS = (0,)
RUN, TASK = "demo/04_instruct_finetune", "retrieval/world_facts"
BATCH = 64  # texts of similar length, whose activations share one scale in an encoder of int8
SORTED_ANEW = 100  # passages that bits choose and bytes sort
EXPORTS = {"PyTorch, float32": None, "ONNX, float32": "encoder", "ONNX, weights of int8": "int8"}


def page_made(home: Path) -> Callable:
    """The page's `embed(file, texts)`, its encoders exported below `home`."""
    (home / "runs/demo").mkdir(parents=True)
    (home / "runs" / RUN).symlink_to(finished_run(RUN))
    names: dict = {}
    with contextlib.chdir(home):
        for block in code_blocks(ROOT / "notebooks/use_elsewhere.md"):
            if "import mteb" not in block:
                exec(compile(block, "use_elsewhere.md", "exec"), names)
    return names["embed"]


def in_batches(encode: Callable[[list[str]], np.ndarray], texts: list[str]) -> np.ndarray:
    """(N, D): texts of similar length together."""
    order = np.argsort([len(text) for text in texts], kind="stable")
    parts = np.split(order, range(BATCH, len(order), BATCH))
    vectors = np.concatenate([encode([texts[i] for i in part]) for part in parts])
    return vectors[np.argsort(order)]


def ndcg(scores: np.ndarray, relevant: np.ndarray) -> float:
    """(Q, N), (Q, N) bool -> the mean nDCG@10, times 100."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    worth = 1 / np.log2(np.arange(10) + 2)
    gained = (np.take_along_axis(relevant, best, axis=1) * worth).sum(axis=1)
    ideal = np.array([worth[: min(10, count)].sum() for count in relevant.sum(axis=1)])
    return 100 * float((gained / ideal).mean())


def of_vectors(asked: np.ndarray, stored: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """(name, scores) of full queries against passages kept in less."""
    ranges = np.stack([stored.min(axis=0), stored.max(axis=0)])
    as_bytes = quantize_embeddings(stored, "int8", ranges=ranges).astype(np.float32)
    by_bytes = asked @ ((as_bytes + 128) * (ranges[1] - ranges[0]) / 255 + ranges[0]).T
    by_bits = asked @ np.where(np.unpackbits(quantize_embeddings(stored, "ubinary"), axis=1), 1.0, -1.0).T
    chosen = np.argsort(-by_bits, axis=1)[:, :SORTED_ANEW]
    sorted_anew = np.full_like(by_bytes, -np.inf)
    np.put_along_axis(sorted_anew, chosen, np.take_along_axis(by_bytes, chosen, axis=1), axis=1)
    yield "vectors of int8", by_bytes
    yield "vectors of bits", by_bits
    yield f"bits, the best {SORTED_ANEW} sorted anew by int8", sorted_anew


def scores_of(seed: int, embed: Callable, exported: Path) -> Iterator[dict]:
    """A row for each way: seed, way, nDCG@10."""
    encoder = load_encoder(finished_run(RUN) / "encoder")
    instruction = saved_instruction(finished_run(RUN) / "encoder")
    with tempfile.TemporaryDirectory() as folder:
        world.write_evaluation(Path(folder), seed)
        corpus, queries, judged = (
            read_table(Path(folder) / TASK, name) for name in ("corpus", "queries", "qrels")
        )
    place, row = ({each: i for i, each in enumerate(frame["id"])} for frame in (corpus, queries))
    relevant = np.zeros((len(queries), len(corpus)), dtype=bool)
    for qid, pid in judged.select("qid", "pid").iter_rows():
        relevant[row[qid], place[pid]] = True
    for name, file in EXPORTS.items():
        encode = encoder.encode if file is None else partial(embed, str(exported / f"{file}.onnx"))
        asked = in_batches(encode, [instruction + text for text in queries["text"]])
        stored = in_batches(encode, corpus["text"].to_list())
        yield {"seed": seed, "way": name, "ndcg_at_10": ndcg(asked @ stored.T, relevant)}
        if file is None:
            ways = list(of_vectors(asked, stored))
    yield from ({"seed": seed, "way": name, "ndcg_at_10": ndcg(found, relevant)} for name, found in ways)


def main() -> None:
    """Measure, print the table, write results/elsewhere.json."""
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "runs/exported"
        embed = page_made(Path(folder))
        with contextlib.chdir(folder):
            rows = [row for seed in SEEDS for row in scores_of(seed, embed, exported)]
        mib = {name: os.path.getsize(exported / f"{name}.onnx") / 2**20 for name in ("encoder", "int8")}
    table = pl.DataFrame(rows).group_by("way", maintain_order=True)
    ways = table.agg(
        mean=pl.col("ndcg_at_10").mean(), least=pl.col("ndcg_at_10").min(), most=pl.col("ndcg_at_10").max()
    )
    key = {way: "ndcg_at_10_" + way.lower().replace(",", "").replace(" ", "_") for way in ways["way"]}
    write_result(
        "elsewhere",
        what="What int8 and bits cost of the demo encoder's nDCG@10 on the embedded world's questions; ONNX",
        command="python benchmarks/elsewhere.py",
        figures={key[way]: round(mean, 2) for way, mean, *_ in ways.iter_rows()}
        | {"onnx_mib": round(mib["encoder"], 1), "onnx_int8_mib": round(mib["int8"], 1)},
        spread={key[way]: [round(least, 2), round(most, 2)] for way, _, least, most in ways.iter_rows()},
        rows=rows,
    )


if __name__ == "__main__":
    main()
