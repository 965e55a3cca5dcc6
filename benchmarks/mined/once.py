"""Negatives of real or embedded pairs, mined by this project or by sentence-transformers: one measurement.

The argument is a JSON object, and so is the last line that is printed: `benchmarks/mining.py` starts it.
`data` is a folder under runs/benchmarks/mining with pairs, and two encoders that begin as bags of tokens: so
their cosines mean something, as those of random weights do not. "static" has one layer 256 wide, so that the
search and the choice show; "nano" is the library's.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import mine_hard_negatives
from transformers import BertConfig, BertForMaskedLM

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.model.bag import Bag, give_to_bert
from cpack_lib.model.encoder import Encoder, load_encoder, new_language_model, save_encoder
from cpack_lib.model.tokens import train_wordpiece, write_store
from cpack_lib.training.negatives import Search, Window, embedder, mine, positive_aware, write_groups
from cpack_lib.training.negatives.cells import new_cells, recall
from cpack_lib.training.negatives.search import products
from cpack_lib.training.negatives.vectors import Rows, write_vectors
from cpack_lib.training.objectives.bags import document_share
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.measure import peak_gib

REAL = ROOT.parent / "shared/data/train/pairs_open.parquet"
PLACE = runs_folder() / "benchmarks" / "mining"
VOCABULARY, LONGEST, LEARNT_FROM = 8_000, 64, 20_000
FIRST, LAST, SHARE = 10, 210, 0.95  # ranks, and the most of a negative's score beside the positive's
THEIRS = {"range_min": FIRST, "range_max": LAST, "relative_margin": 1 - SHARE, "verbose": False}


class Timed:
    """A function, the seconds that were spent in it, and those of all cores together."""

    def __init__(self, function: Callable):
        self.function, self.seconds, self.cpu = function, 0.0, 0.0

    def __call__(self, *given, **named):
        started, cpu = time.perf_counter(), time.process_time()
        try:
            return self.function(*given, **named)
        finally:
            self.seconds += time.perf_counter() - started
            self.cpu += time.process_time() - cpu


def prepare(data: str, most: int) -> dict:
    """Pairs of different texts, `most` at most, and both encoders, once: how many pairs, and from where."""
    place = PLACE / data
    if not (place / "nano").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        pairs = (
            pl.read_parquet(REAL) if REAL.exists() else open_table("world:pairs", "pairs", 4 * most).read()
        )
        pairs = pairs.unique(["text_a"], maintain_order=True).unique(["text_b"], maintain_order=True)
        pairs = pairs.sample(min(most, len(pairs)), shuffle=True, seed=0).select("text_a", "text_b")
        pairs.write_parquet(place / "pairs.parquet")
        texts = [*pairs["text_a"].head(LEARNT_FROM), *pairs["text_b"].head(LEARNT_FROM)]
        tokenizer = train_wordpiece(texts, VOCABULARY)
        share = document_share(write_store(place / "tokens", tokenizer, [texts], LONGEST), tokenizer)
        for name in ("static", "nano"):
            model = new_language_model("nano", len(tokenizer)) if name == "nano" else static(len(tokenizer))
            bag = Bag(len(tokenizer), model.config.hidden_size, share, seed=0)
            give_to_bert(bag.table, model, tokenizer.cls_token_id)
            save_encoder(Encoder(model.bert, tokenizer), place / name)
    pairs = pl.read_parquet(place / "pairs.parquet")
    return {"pairs": len(pairs), "source": "pairs_open" if REAL.exists() else "world"}


def static(vocabulary: int) -> BertForMaskedLM:
    """One layer, 256 wide: nearly nothing but a table of tokens."""
    torch.manual_seed(0)
    shape = {"num_hidden_layers": 1, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 512}
    return BertForMaskedLM(BertConfig(vocab_size=vocabulary, **shape))


def pairs_of(data: str, pairs: int) -> pl.DataFrame:
    """The first pairs."""
    return pl.read_parquet(PLACE / data / "pairs.parquet").head(pairs)


def ours(data: str, model: str, pairs: int, count: int, precision: str) -> dict[str, float]:
    """This project's groups, written to the disk."""
    table = pairs_of(data, pairs)

    labelled = table.select(
        query="text_a", pos=pl.concat_list("text_b"), neg=pl.lit([], dtype=pl.List(pl.String))
    )
    labelled = labelled.with_columns(source=pl.lit("all"), task=pl.lit("retrieval"))
    encode = Timed(embedder(load_encoder(PLACE / data / model), LONGEST, precision))
    encode(table["text_a"].head(64).to_list())  # warm
    encode, whole, before = Timed(encode.function), Timed(write_groups), peak_gib()
    options = {"strategy": positive_aware, "window": Window(FIRST, LAST, count, counted="accepted")}
    counts = whole(labelled, encode, PLACE / data / "groups.parquet", **options)
    return told(whole, encode, before, int(counts["mined"].sum()))


def theirs(
    data: str, model: str, pairs: int, count: int, precision: str, batch: int, use_faiss: bool
) -> dict[str, float]:
    """sentence-transformers' rows, one for each query with what was found for it."""
    table, encoder = pairs_of(data, pairs), sentence_transformer(data, model)
    dataset = Dataset.from_dict(table.to_dict(as_series=False))
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        encoder.encode(table["text_a"].head(64).to_list(), show_progress_bar=False)  # warm
        encoder.encode = encode = Timed(encoder.encode)
        whole, before = Timed(mine_hard_negatives), peak_gib()
        options = {"sampling_strategy": "random", "output_format": "labeled-list", "batch_size": batch}
        found = whole(dataset, encoder, num_negatives=count, use_faiss=use_faiss, **options, **THEIRS)
    mined = sum(len(labels) - 1 for labels in found["labels"])
    return told(whole, encode, before, mined)


def told(whole: Timed, encode: Timed, before: float, mined: int) -> dict[str, float]:
    """What one side tells: seconds and those of the encoder, all cores' seconds, memory before, negatives."""
    numbers = {"seconds": whole.seconds, "encode_s": encode.seconds}
    numbers |= {"cpu_s": whole.cpu, "encode_cpu_s": encode.cpu}
    return numbers | {"start_gib": before, "mined": mined}


def sentence_transformer(data: str, model: str) -> SentenceTransformer:
    """The same encoder as its users load it."""
    encoder = SentenceTransformer(str(PLACE / data / model), device="cpu")
    encoder.max_seq_length = LONGEST
    return encoder


def agreement(data: str, model: str, pairs: int) -> dict[str, float]:
    """How far both admit the same candidates: all that each offers to chance, query by query, in float32."""
    table, encoder = pairs_of(data, pairs), sentence_transformer(data, model)
    dataset = Dataset.from_dict(table.to_dict(as_series=False))
    options = {"sampling_strategy": "top", "output_format": "labeled-list", "batch_size": 128}
    found = mine_hard_negatives(dataset, encoder, num_negatives=LAST - FIRST, **options, **THEIRS)
    row = {text: i for i, text in enumerate(table["text_b"])}
    theirs = {
        query: {row[text] for text in texts[1:]}
        for query, texts in zip(found["text_a"], found["text_b"], strict=True)
    }
    encode = embedder(load_encoder(PLACE / data / model), LONGEST)
    queries, pool = (encode(table[side].to_list()) for side in ("text_a", "text_b"))
    own = [{i} for i in range(pairs)]
    search = Search(queries, pool, np.arange(pairs), own, [[]] * pairs)
    window = Window(FIRST, LAST, LAST - FIRST, counted="accepted")
    mined = positive_aware(search, window)
    shares, equal = [], 0
    for query, rows, origins in zip(table["text_a"], mined.rows, mined.origins, strict=True):
        both = set(rows[origins == "mined"].tolist()), theirs.get(query, set())
        shares.append(len(both[0] & both[1]) / len(both[0] | both[1]) if any(both) else 1.0)
        equal += both[0] == both[1]
    return {
        "jaccard": float(np.mean(shares)),
        "equal": equal / pairs,
        "offered": len(set().union(*theirs.values())),
    }


def cells(data: str, model: str, pairs: int, queries: int) -> dict[str, float]:
    """Searching a pool whole and in cells: seconds of both, and the recall of the second."""
    table, place = pairs_of(data, pairs), PLACE / data / "vectors"
    encode = embedder(load_encoder(PLACE / data / model), LONGEST, "bfloat16")
    stores = [write_vectors(place / side, table[side], encode) for side in ("text_a", "text_b")]
    asked, pool = Rows(stores[0], np.arange(queries)), Rows(stores[1], np.arange(pairs))
    exact, build = Timed(mine), Timed(new_cells)
    exact(asked, pool, 0, LAST)
    cut = build(pool)
    inside = Timed(mine)
    inside(asked, pool, 0, LAST, cut)
    positives = products(asked, pool, np.arange(queries), np.arange(queries)[:, None])
    told = {"exact_s": exact.seconds, "cells_s": inside.seconds, "build_s": build.seconds}
    told["recall"] = recall(asked, pool, FIRST, LAST, cut)
    return told | {"positive_cosine": float(positives.mean())}


WORK = {"prepare": prepare, "ours": ours, "theirs": theirs, "agreement": agreement, "cells": cells}


def measured(what: str, **given) -> dict:
    """One of them, with the most memory that the process has held."""
    told = WORK[what](**given)
    return told | {"peak_gib": peak_gib()}


if __name__ == "__main__":
    print(json.dumps(measured(**json.loads(sys.argv[1]))))
