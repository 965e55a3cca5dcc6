"""A RetroMAE step beside a masked-language step of transformers: time, memory, share of the matmul peak.

`python benchmarks/retromae.py` writes results/retromae.json. Texts are real where ../shared/data is, else
the embedded world's. A step is masks, forward and backward over the same chunks, dropout 0.1; variants take
turns, round by round, in one process; ratios are medians of the ratios within a round. Peak memory is that of
a process that makes one step.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.model.encoder import new_language_model
from cpack_lib.model.masks import IGNORED, mask_tokens, words_of
from cpack_lib.model.retromae import RetroMAE
from cpack_lib.model.states import token_states
from cpack_lib.model.tokens import load_tokenizer, pad, token_ids, train_wordpiece
from cpack_lib.training.objectives.chunked import autocast, cut
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.measure import Journal, matmul_peak, peak_gib
from cpack_lib.work.results import write_result

REAL = ROOT.parent / "shared/data/train/pairs_open.parquet"
PLACE = runs_folder() / "benchmarks" / "retromae"
JOURNAL = Journal(Path(__file__).resolve(), PLACE / "measured.jsonl")  # peaks of memory
VOCABULARY, LONGEST, TOKENS_PER_CHUNK, ROUNDS = 21_128, 128, 4_096, 5
PEER, ALONE = "transformers' MLM", "our MLM"
VARIANTS = {  # what differs from the paper's RetroMAE
    "RetroMAE": {},
    "RetroMAE, basic decoding": {"decoding": "basic"},
    "RetroMAE, decoder_labels 0.3": {"decoder_labels": 0.3},
    "RetroMAE, bag of words": {"bag_of_words": 0.1},
}
CASES = [  # size, precision, texts of a step, variants
    ("small", "bfloat16", 64, [PEER, ALONE, *VARIANTS]),
    ("nano", "bfloat16", 64, [PEER, ALONE, *VARIANTS]),
    ("small", "float32", 16, [PEER, ALONE, "RetroMAE"]),
]
NAMED = {"RetroMAE": "", "RetroMAE, basic decoding": "_basic", "RetroMAE, decoder_labels 0.3": "_labels_0.3"}
NAMED |= {"RetroMAE, bag of words": "_bag_of_words", ALONE: "_our_mlm", PEER: "_peer"}
ENDS = {
    "cost_vs_mlm": "cost_spread",
    "tokens_per_s": "tokens_per_s_spread",
    "share_of_matmul_peak": "share_spread",
}  # what is a figure, and where its least and most stand
Chunk = tuple[Tensor, Tensor]  # ids and real tokens, (B, L) each


def prepare() -> None:
    """Texts and a vocabulary of BERT's size trained on them, once."""
    if (PLACE / "tokenizer").exists():
        return
    PLACE.mkdir(parents=True, exist_ok=True)
    table = pl.read_parquet(REAL) if REAL.exists() else open_table("world:pairs", "pairs", rows=60_000).read()
    texts = table["text_b"].unique(maintain_order=True)
    texts = texts.sample(min(40_000, len(texts)), shuffle=True, seed=0)
    texts.to_frame("text").write_parquet(PLACE / "texts.parquet")
    train_wordpiece(texts.to_list(), VOCABULARY).save_pretrained(PLACE / "tokenizer")


def chunks_of(texts: int, tokenizer: PreTrainedTokenizerBase) -> list[Chunk]:
    """The first texts, in chunks of a token budget."""
    rows = token_ids(tokenizer, pl.read_parquet(PLACE / "texts.parquet")["text"].head(texts), LONGEST)
    parts = cut(np.asarray([len(row) + 2 for row in rows]), TOKENS_PER_CHUNK)
    return [pad([rows[i] for i in part], tokenizer) for part in parts]


def losses_of(variant: str, size: str, tokenizer: PreTrainedTokenizerBase) -> tuple[RetroMAE, Callable]:
    """A model, and what makes a chunk's loss with it."""
    language_model = new_language_model(size, len(tokenizer))
    model = RetroMAE(language_model, tokenizer.mask_token_id, **VARIANTS.get(variant, {})).train()

    def masked(ids: Tensor, is_token: Tensor) -> tuple[Tensor, Tensor]:
        return mask_tokens(ids, words_of(is_token), 0.3, tokenizer.mask_token_id, len(tokenizer))

    def peer(ids: Tensor, is_token: Tensor) -> Tensor:
        shown, labels = masked(ids, is_token)
        return language_model(input_ids=shown, attention_mask=is_token.long(), labels=labels).loss

    def alone(ids: Tensor, is_token: Tensor) -> Tensor:
        shown, labels = masked(ids, is_token)
        states, asked = token_states(language_model.bert, shown, is_token), labels != IGNORED
        found = model.guesses("encoder", states[asked], labels[asked])
        return found["encoder_loss"] / found["encoder_count"]

    def both(ids: Tensor, is_token: Tensor) -> Tensor:
        found = model(ids, is_token, words_of(is_token))
        names = ("encoder", "decoder", *(["bag_of_words"] if model.bag_of_words else []))
        return sum(found[f"{name}_loss"] / found[f"{name}_count"] for name in names)

    return model, {PEER: peer, ALONE: alone}.get(variant, both)


def new_step(variant: str, size: str, precision: str, texts: int) -> Callable[[], float]:
    """What takes one step, forward and backward, and returns its seconds."""
    tokenizer = load_tokenizer(PLACE / "tokenizer")
    chunks, (model, loss) = chunks_of(texts, tokenizer), losses_of(variant, size, tokenizer)

    def step() -> float:
        started = time.perf_counter()
        model.zero_grad(set_to_none=True)
        for ids, is_token in chunks:
            with autocast(precision, ids.device):
                found = loss(ids, is_token)
            found.backward()
        return time.perf_counter() - started

    return step


def needed_flops(variant: str, size: str, texts: int) -> tuple[int, float]:
    """Tokens of a step, and the FLOP of its matrix products that nobody can avoid: no padding, no repeats."""
    tokenizer = load_tokenizer(PLACE / "tokenizer")
    config = new_language_model(size, len(tokenizer)).config
    lengths = np.concatenate([is_token.sum(dim=1).numpy() for _, is_token in chunks_of(texts, tokenizer)])
    T, D, inner = int(lengths.sum()), config.hidden_size, config.intermediate_size
    words, pairs = T - 2 * len(lengths), int((lengths**2).sum())
    encoder = config.num_hidden_layers * (T * (4 * D * D + 2 * D * inner) + 2 * pairs * D)
    options = VARIANTS.get(variant)
    asked = words * (options or {}).get("decoder_labels", 0.5 if "basic" in variant else 1.0)
    pooled = T if "bag" in variant else 0
    decoder = asked * (2 * D * D + 8 * D * D) + T * 2 * D * D + 2 * pairs * D * asked / max(1, words)
    guessed = 0.3 * words + pooled + (0 if options is None else asked)
    head = guessed * (D * D + D * len(tokenizer))
    return T, 3 * 2 * (encoder + (0 if options is None else decoder) + head)


def measured(size: str, precision: str, texts: int, variants: list[str]) -> list[dict]:
    """Rows of the table of one case: seconds, ratio to the peer, memory."""
    steps = {variant: new_step(variant, size, precision, texts) for variant in variants}
    rounds = []
    for _ in range(ROUNDS + 1):
        seconds = {variant: step() for variant, step in steps.items()}
        rounds.append(seconds | {"peak": matmul_peak(getattr(torch, precision), tries=3)})
    return [row_of(size, precision, texts, variant, rounds[1:]) for variant in variants]  # the first warms up


def row_of(size: str, precision: str, texts: int, variant: str, rounds: list[dict[str, float]]) -> dict:
    """A row of the table: medians and extremes over the rounds, and memory."""
    tokens, flops = needed_flops(variant, size, texts)
    told = {
        ("seconds", "seconds_spread"): [each[variant] for each in rounds],
        ("cost_vs_mlm", "cost_spread"): [each[variant] / each[PEER] for each in rounds],
        ("tokens_per_s", "tokens_per_s_spread"): [tokens / each[variant] for each in rounds],
        ("share_of_matmul_peak", "share_spread"): [
            flops / each[variant] / each["peak"] / 1e9 for each in rounds
        ],
        ("matmul_gflop_per_s", "matmul_spread"): [each["peak"] for each in rounds],
    }
    row = {"size": size, "precision": precision, "texts": texts, "tokens": tokens, "variant": variant}
    row["threads"] = torch.get_num_threads()
    for (name, ends), numbers in told.items():
        digits = 3 if statistics.median(numbers) < 10 else None
        row[name] = round(statistics.median(numbers), digits)
        row[ends] = [round(min(numbers), digits), round(max(numbers), digits)]
    if (size, precision) == CASES[0][:2]:
        given = {"variant": variant, "size": size, "precision": precision, "texts": texts}
        row["peak_gib"] = JOURNAL.measured(given)["peak_gib"]
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    """Measure every case, write results/retromae.json."""
    prepare()
    rows = [row for case in CASES for row in measured(*case)]
    figures, spread = {}, {}
    for row in rows:
        short = "_float32" if row["precision"] == "float32" else ""
        place = f"_{row['size']}{short}{NAMED[row['variant']]}"
        for column, ends in ENDS.items():
            figures[column + place], spread[column + place] = row[column], row[ends]
        if "peak_gib" in row:
            figures["peak_gib" + place] = round(row["peak_gib"], 2)
    for column in ENDS:  # the headline
        figures[column], spread[column] = figures[f"{column}_small"], spread[f"{column}_small"]
    kind = "real text" if REAL.exists() else "text of the embedded world"
    what = f"A RetroMAE step beside transformers' masked-language step on the same chunks of {kind}."
    write_result("retromae", what, "python benchmarks/retromae.py", figures, spread, rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        new_step(**json.loads(sys.argv[1]))()
        print(json.dumps({"peak_gib": peak_gib()}))
    else:
        main()
