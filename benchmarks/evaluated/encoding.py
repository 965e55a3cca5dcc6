"""One measurement of encoding, ours beside SentenceTransformer.encode: `benchmarks/encode.py` starts it.

The argument is a JSON object, and so is the last line that is printed.
"""

import json
import random
import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import torch
from sentence_transformers import SentenceTransformer

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.evaluation.models.adapter import TEXT
from cpack_lib.evaluation.models.embedding import BUDGETS
from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.models.neural import Neural
from cpack_lib.model.encoder import new_encoder, save_encoder
from cpack_lib.model.tokens import chunks, train_wordpiece
from cpack_lib.work.files import runs_folder

PLACE = runs_folder() / "benchmarks" / "encode"
VOCABULARY = 21_128  # BERT's for Chinese
RUN = 256  # texts of a run: whole batches of every size that is tried
WARM = 64  # texts embedded before the clock starts


def prepare(source: str, texts: int) -> dict:
    """Distinct texts of pairs, longest first; a vocabulary of them, and encoders of random weights."""
    PLACE.mkdir(parents=True, exist_ok=True)
    pairs = open_table(source, "pairs", None if source.startswith("folder:") else 2 * texts).read()
    found = pl.concat([pairs["text_a"], pairs["text_b"]]).unique(maintain_order=True)
    if len(found) < texts:
        raise ValueError(f"{source} has {len(found)} distinct texts; ask for so many at most")
    found = found.sample(texts, shuffle=True, seed=0).to_frame("text")
    found = found.sort(pl.col("text").str.len_chars(), descending=True, maintain_order=True)
    found.write_parquet(PLACE / "texts.parquet")
    tokenizer = train_wordpiece(found["text"], VOCABULARY)
    for size in ("nano", "small"):
        save_encoder(new_encoder(size, tokenizer), PLACE / size)
    lengths = [len(ids) for ids in tokenizer(found["text"].to_list(), verbose=False)["input_ids"]]
    characters = int(found["text"].str.len_chars().sum())
    return {"texts": texts, "characters": characters, "tokens": sum(lengths), "vocabulary": len(tokenizer)}


def sample(runs: int, turn: int) -> list[str]:
    """So many runs of neighbours in length, spread evenly, other ones for another turn of three; shuffled.

    Sorted again they make the batches that they make among all texts, with the same padding.
    """
    texts = pl.read_parquet(PLACE / "texts.parquet")["text"].to_list()
    step = len(texts) // RUN / runs
    places = [int((run + (turn % 3 + 0.5) / 3) * step) * RUN for run in range(runs)]
    found = [text for place in places for text in texts[place : place + RUN]]
    random.Random(turn).shuffle(found)
    return found


def ours(size: str, precision: str) -> tuple[Neural, Callable[[list[str]], np.ndarray]]:
    """This project's adapter, warm, and its way from texts to vectors."""
    (model,) = open_models([str(PLACE / size)], precision=precision)
    model.vectors([f"{number}" for number in range(WARM)], TEXT)
    return model, lambda texts: model.vectors(texts, TEXT)


def theirs(size: str, precision: str, batch: int) -> Callable[[list[str]], np.ndarray]:
    """sentence-transformers, warm; half precision by autocast, as its users have it."""
    model = SentenceTransformer(str(PLACE / size))

    def encode(texts: list[str]) -> np.ndarray:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return model.encode(texts, batch_size=batch, show_progress_bar=False)

    encode([f"{number}" for number in range(WARM)])
    return encode


def timed(encode: Callable[[list[str]], np.ndarray], texts: list[str]) -> tuple[float, np.ndarray]:
    """Seconds and vectors."""
    started = time.perf_counter()
    vectors = encode(texts)
    return time.perf_counter() - started, vectors


def best_batch(size: str, precision: str, batches: list[int], runs: int) -> dict:
    """Seconds of sentence-transformers with each batch size."""
    texts = sample(runs, 0)
    seconds = {batch: timed(theirs(size, precision, batch), texts)[0] for batch in batches}
    return {"texts": len(texts), "seconds": seconds, "best": min(seconds, key=seconds.get)}


def one_round(size: str, precision: str, batch: int, runs: int, turn: int) -> dict:
    """The same texts by both; who begins changes from turn to turn."""
    texts, (model, our_way) = sample(runs, turn), ours(size, precision)
    tokens = sum(model.opened().way.read(texts, "")[1])
    ways = {"ours": our_way, "theirs": theirs(size, precision, batch)}
    told, vectors = {}, {}
    for who in sorted(ways, reverse=turn % 2 == 1):
        told[who], vectors[who] = timed(ways[who], texts)
    difference = float(np.abs(vectors["ours"] - vectors["theirs"]).max())
    return told | {"texts": len(texts), "tokens": tokens, "difference": difference}


def halves(size: str, runs: int) -> dict:
    """How far our vectors in bfloat16 are from those in float32."""
    texts = sample(runs, 0)
    full, half = (ours(size, precision)[1](texts) for precision in ("float32", "bfloat16"))
    return {"difference": float(np.abs(full - half).max()), "cosine": float((full * half).sum(axis=1).min())}


def by_length(size: str, precision: str, tokens: int, places: int) -> dict:
    """Tokens per second where every text has so many tokens, over about `places` tokens in all."""
    model, _ = ours(size, precision)
    texts = pl.read_parquet(PLACE / "texts.parquet")["text"].head(places).to_list()
    ids = np.concatenate(model.opened().way.read(texts, "")[0])
    count = max(1, places // tokens)
    items = [ids[start : start + tokens - 2] for start in range(count)]
    batches = chunks([tokens] * count, BUDGETS[model.device.type])
    started = time.perf_counter()
    for rows in batches:
        model.opened().embed([items[row] for row in rows], "", "")
    return {"tokens_per_s": count * tokens / (time.perf_counter() - started), "device": model.device.type}


MEASURES = {measure.__name__: measure for measure in (prepare, best_batch, one_round, halves, by_length)}

if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(MEASURES[given.pop("what")](**given)))
