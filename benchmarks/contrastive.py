"""One contrastive step beside sentence-transformers' cached loss: pairs/s, memory, equal gradients.

`python benchmarks/contrastive.py` writes results/contrastive.json. Pairs are real where ../shared/data is,
otherwise the embedded world's. Every measurement is one step in a process of its own, so that its peak of
memory is its own; the variants take turns, round by round; medians. Both sides train with dropout 0.1, clip,
and step a fused AdamW; texts are tokenised before the clock starts.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss
from torch import nn

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.model.encoder import SIZES, new_encoder, save_encoder
from cpack_lib.model.tokens import train_wordpiece
from cpack_lib.training.contrast import contrastive_loss
from cpack_lib.training.objectives.contrastive import EncoderContrast
from cpack_lib.training.settings import Settings
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.measure import Journal, matmul_peak, peak_gib
from cpack_lib.work.results import write_result

REAL = ROOT.parent / "shared/data/train/pairs_open.parquet"
PLACE = runs_folder() / "benchmarks" / "contrastive"
JOURNAL = Journal(Path(__file__).resolve(), PLACE / "measured.jsonl")  # delete it to measure again
VOCABULARY, LONGEST, TEMPERATURE, DROPOUT = 21_128, 128, 0.05, 0.1
PAIRS = 40_000
CASES = {  # rounds of each size and batch: time per pair hardly depends on the batch, so large ones have one
    ("nano", 1_024): 3,
    ("small", 1_024): 2,
    ("nano", 4_096): 1,
    ("small", 4_096): 1,
}
OURS = {  # settings of this project's engine
    "ours": {"tokens_per_chunk": 4_096, "activations_gib": 0.1},
    "ours, all kept": {"tokens_per_chunk": 4_096, "activations_gib": 12.0},
}
DEFAULT = {"mini_batch_size": 32, "precision": "float32"}
TUNED = [  # what the best of sentence-transformers is sought among
    *({"mini_batch_size": rows, "precision": "bfloat16"} for rows in (8, 32)),
    *({"mini_batch_num_tokens": tokens, "precision": "bfloat16"} for tokens in (1_024, 4_096)),
    {"mini_batch_size": 8, "precision": "float32"},
]
TOO_LONG = {("nano", 4_096): ["st default", "ours, all kept"]}  # five minutes a step and more
TOO_LONG |= {("small", 4_096): ["st default", "ours, all kept", "st best"]}


def prepare() -> None:
    """Pairs, a vocabulary of BERT's size trained on them, and an encoder of each size, once."""
    if (PLACE / "small").exists():
        return
    PLACE.mkdir(parents=True, exist_ok=True)
    source = f"folder:{REAL}" if REAL.exists() else "world:pairs"
    table = pl.read_parquet(REAL) if REAL.exists() else open_table(source, "pairs", rows=4 * PAIRS).read()
    pairs = table.unique(["text_a"], maintain_order=True).unique(["text_b"], maintain_order=True)
    pairs = pairs.sample(PAIRS, shuffle=True, seed=0).select("text_a", "text_b", "source")
    pairs.write_parquet(PLACE / "pairs.parquet")
    tokenizer = train_wordpiece([*pairs["text_a"], *pairs["text_b"]], VOCABULARY)
    for size in ("nano", "small"):
        save_encoder(new_encoder(size, tokenizer), PLACE / size)
        EncoderContrast(settings_of(size, 1), PLACE / f"ours-{size}")  # tokenises


def settings_of(size: str, pairs: int, **changes) -> Settings:
    """Settings of a step of this project's engine."""
    given = {"objective": "contrast", "start": str(PLACE / size), "data": str(PLACE / "pairs.parquet")}
    given |= {"steps": 1, "rows_per_step": pairs, "learning_rate": 1e-4, "longest": LONGEST}
    given |= {"temperature": TEMPERATURE, "dropout": DROPOUT, "precision": "bfloat16"}
    return Settings(**given | changes)


def our_step(size: str, pairs: int, warm: bool, **changes) -> dict[str, float]:
    """One step of this project's engine."""
    objective = EncoderContrast(settings_of(size, pairs, **changes), PLACE / f"ours-{size}")
    objective.model.train()
    optimizer = torch.optim.AdamW(objective.model.parameters(), lr=1e-4, fused=True)

    def step(rows: np.ndarray) -> dict[str, float]:
        prepared = objective.prepare(rows)
        started = time.perf_counter()
        facts = objective.backward(prepared)
        nn.utils.clip_grad_norm_(objective.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        twice = facts["embedded_twice"] / facts["places"]
        told = {"seconds": time.perf_counter() - started, "tokens": facts["tokens"], "twice": twice}
        return told | {"padding": 1 - facts["tokens"] / facts["places"]} | objective.clock.read()

    if warm:
        step(np.arange(64))
    return step(np.arange(pairs))


def their_step(size: str, pairs: int, warm: bool, precision: str, **options) -> dict[str, float]:
    """One step of sentence-transformers; autocast also covers its way back, which its trainer leaves out."""
    model = SentenceTransformer(str(PLACE / size), device="cpu")
    model.max_seq_length = LONGEST
    set_dropout(model.train(), DROPOUT)
    loss = CachedMultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE, **options)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    table = pl.read_parquet(PLACE / "pairs.parquet").head(pairs)

    def step(rows: int) -> float:
        features = [model.preprocess(table[side].head(rows).to_list()) for side in ("text_a", "text_b")]
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss(features, torch.zeros(rows)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - started

    if warm:
        step(64)
    return {"seconds": step(pairs)}


def set_dropout(model: nn.Module, share: float) -> None:
    """Every dropout of a model at one share."""
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = share


def large_loss(way: str, rows: int, width: int) -> dict[str, float]:
    """The loss of `rows` pairs alone and its gradient: in chunks, or over the whole matrix by autograd."""
    torch.manual_seed(0)
    both = [nn.functional.normalize(torch.randn(rows, width), dim=1).requires_grad_() for _ in range(2)]
    before = peak_gib()
    started = time.perf_counter()
    if way == "chunks":
        loss = contrastive_loss(*both, TEMPERATURE)
    else:
        loss = nn.functional.cross_entropy(both[0] @ both[1].T / TEMPERATURE, torch.arange(rows))
    loss.backward()
    told = {"seconds": time.perf_counter() - started, "loss": loss.item(), "peak_gib": peak_gib() - before}
    return told | {"gradient": float(both[0].grad.double().norm())}


def gradient_errors(pairs: int = 256) -> dict[str, float]:
    """How far our gradient is from theirs, both in float32 and without dropout, and ours in bfloat16."""
    table = pl.read_parquet(PLACE / "pairs.parquet").head(pairs)
    model = SentenceTransformer(str(PLACE / "small"), device="cpu")
    model.max_seq_length = LONGEST
    set_dropout(model, 0.0)
    loss = CachedMultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE, mini_batch_size=32)
    features = [model.preprocess(table[side].to_list()) for side in ("text_a", "text_b")]
    loss(features, torch.zeros(pairs)).backward()
    theirs = flat_gradient(model)
    found = {}
    for precision in ("float32", "bfloat16"):
        settings = settings_of("small", pairs, dropout=0.0, precision=precision, activations_gib=1e-9)
        objective = EncoderContrast(settings, PLACE / "ours-small")
        objective.model.train()
        objective.backward(objective.prepare(np.arange(pairs)))
        ours = flat_gradient(objective.model)
        found[precision] = float((ours - theirs).norm() / theirs.norm())
    return found


def flat_gradient(model: nn.Module) -> torch.Tensor:
    """All gradients in one row, float64; weights that nothing reaches (the pooler's) have none."""
    named = sorted(
        (name.split("embeddings.", 1)[-1] if "word_embeddings" in name else name.split("bert.")[-1], weight)
        for name, weight in model.named_parameters()
    )
    return torch.cat([weight.grad.flatten().double() for _, weight in named if weight.grad is not None])


def collectives() -> int:
    """Calls of a step on 4 processes, as the benchmark beside this one counts them."""
    subprocess.run([sys.executable, str(Path(__file__).with_name("gradient_scale.py"))], check=True)
    return json.loads((ROOT / "results/gradient_scale.json").read_text())["figures"]["collectives_per_step"]


def matmul() -> dict[str, float]:
    """What large products reach on this machine."""
    return {"gflop_per_s": matmul_peak(torch.bfloat16, tries=20)}


def useful_gflop(size: str, tokens: int, texts: int) -> float:
    """Products that the gradient of [CLS] needs, once forward and twice back; attention's own left out."""
    layers, width, _, inner = SIZES[size]
    a_token = (layers - 1) * (4 * width**2 + 2 * width * inner) + 2 * width**2
    a_text = 2 * width**2 + 2 * width * inner
    return 3 * 2 * (a_token * tokens + a_text * texts) / 1e9


def measured(what: str, turn: int = 0, **options) -> dict[str, float]:
    """One measurement in a process of its own, with its peak memory."""
    return JOURNAL.measured({"what": what} | options, turn)


def child(what: str, **options) -> None:
    """Do one measurement and print it."""
    work = {"ours": our_step, "theirs": their_step, "loss": large_loss, "matmul": matmul}
    told = work[what](**options)
    print(json.dumps({"peak_gib": peak_gib()} | told))


def best_of_theirs(size: str, pairs: int = 256) -> dict:
    """The fastest of the tuned settings."""
    seconds = []
    for tried in TUNED:
        seconds.append(measured("theirs", size=size, pairs=pairs, warm=True, **tried)["seconds"])
        print(f"  sentence-transformers {size} {tried}: {seconds[-1]:.2f} s", flush=True)
    return TUNED[int(np.argmin(seconds))]


def rows_of_case(size: str, pairs: int, rounds: int, best: dict, peak: float) -> list[dict]:
    """Medians of all variants at one size and batch."""
    variants = {name: ("ours", changes) for name, changes in OURS.items()}
    variants |= {"st default": ("theirs", DEFAULT), "st best": ("theirs", best)}
    for name in TOO_LONG.get((size, pairs), ()):
        del variants[name]
    told: dict[str, list[dict]] = {name: [] for name in variants}
    for turn in range(rounds):
        for name, (what, options) in variants.items():
            told[name].append(measured(what, turn, size=size, pairs=pairs, warm=True, **options))
            print(f"  {size} {pairs} {name}: {told[name][-1]['seconds']:.1f} s", flush=True)
    useful = useful_gflop(size, told["ours"][0]["tokens"], 2 * pairs)
    found = []
    for name, runs in told.items():
        seconds = [run["seconds"] for run in runs]
        middle = statistics.median(seconds)
        row = {"size": size, "pairs": pairs, "variant": name, "options": str(variants[name][1])}
        row |= {"seconds": middle, "least_s": min(seconds), "most_s": max(seconds)}
        row |= {"pairs_per_s": pairs / middle, "useful_gflop_per_s": useful / middle}
        row |= {"share_of_matmul_peak": useful / middle / peak}
        row["peak_gib"] = statistics.median(run["peak_gib"] for run in runs)
        row["parts"] = {key: value for key, value in runs[-1].items() if key.endswith("_s")}
        found.append(row | {key: runs[-1].get(key) for key in ("padding", "twice")})
    return found


def main() -> None:
    """Measure everything and write the result."""
    prepare()
    peak = max(measured("matmul", turn)["gflop_per_s"] for turn in range(3))
    rows, best = [], {size: best_of_theirs(size) for size in ("nano", "small")}
    for (size, pairs), rounds in CASES.items():
        rows += rows_of_case(size, pairs, rounds, best[size], peak)
    case = {"rows": 19_200, "width": 512}
    losses = {way: [measured("loss", n, way=way, **case) for n in range(3)] for way in ("chunks", "full")}
    errors = gradient_errors()
    large = measured(
        "ours", size="nano", pairs=19_200, warm=False, tokens_per_chunk=4_096, activations_gib=1.0
    )
    write(rows, losses, errors, large, peak)


def write(rows: list[dict], losses: dict, errors: dict, large: dict, peak: float) -> None:
    """results/contrastive.json, and its figures on the screen."""
    by = {(row["size"], row["pairs"], row["variant"]): row for row in rows}
    ratios = {
        name: [by[*case, other][column] / by[*case, "ours"][column] for case in CASES if (*case, other) in by]
        for name, other, column in (
            ("speedup_vs_st_default", "st default", "seconds"),
            ("speedup_vs_st_best", "st best", "seconds"),
            ("memory_vs_st_best", "st best", "peak_gib"),
        )
    }
    ratios["memory_vs_st_best"] = [1 / value for value in ratios["memory_vs_st_best"]]
    figures = {name: round(statistics.median(values), 3) for name, values in ratios.items()}
    chunks, full = losses["chunks"], losses["full"]
    figures |= {
        "share_of_matmul_peak_small": round(by["small", 4_096, "ours"]["share_of_matmul_peak"], 3),
        "matmul_peak_gflop_per_s": round(peak, 1),
        "gradient_relative_error": errors["float32"],
        "gradient_relative_error_bfloat16": round(errors["bfloat16"], 5),
        "peak_gib_batch_19200": round(large["peak_gib"], 3),
        "seconds_batch_19200": round(large["seconds"], 1),
        "collectives_per_step": collectives(),
        "loss_19200_seconds": round(statistics.median(run["seconds"] for run in chunks), 2),
        "loss_19200_seconds_full_matrix": round(statistics.median(run["seconds"] for run in full), 2),
        "loss_19200_peak_gib": round(statistics.median(run["peak_gib"] for run in chunks), 3),
        "loss_19200_peak_gib_full_matrix": round(statistics.median(run["peak_gib"] for run in full), 3),
    }
    write_result(
        "contrastive",
        what="One contrastive step beside sentence-transformers' CachedMultipleNegativesRankingLoss.",
        command="python benchmarks/contrastive.py",
        figures=figures,
        spread={name: [round(min(values), 3), round(max(values), 3)] for name, values in ratios.items()},
        rows=rows,
    )


if __name__ == "__main__":
    child(**json.loads(sys.argv[1])) if len(sys.argv) > 1 else main()
