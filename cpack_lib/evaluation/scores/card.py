"""A model card with the results filled in: the README.md of an encoder's folder, as the hub reads it.

Its head holds `model-index`, one entry per dataset, scores times 100 with their intervals under `args`. Every
number is read: of the model from its folder, of the evaluation from the table of scores.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from safetensors import safe_open

from cpack_lib.corpus.read.evaluation_sets import evaluation_sets
from cpack_lib.evaluation.scores.averages import dataset_name, mean, named_averages
from cpack_lib.evaluation.scores.protocols import PAPER, TODAY, published_name, under

HUB_TYPES = {  # the hub's name of a type, as mteb has it
    "Retrieval": "text-retrieval",
    "Reranking": "text-ranking",
    "STS": "sentence-similarity",
    "PairClassification": "text-classification",
    "Classification": "text-classification",
    "Clustering": "text-classification",
    "Summarization": "summarization",
}
PROTOCOL_SENTENCES = {
    PAPER: "The scores follow C-Pack (arXiv 2309.07597): nDCG@10, MAP, Spearman and average precision of the "
    "cosine, accuracy, V-measure. The best accuracy of mteb's board today is another number.",
    TODAY: "The scores are mteb's main scores and splits as on its board today. For pairs that is the best "
    "accuracy, which does not compare with the average precision of C-Pack's tables.",
}


def write_card(
    folder: Path,
    scores: pl.DataFrame,
    *,
    name: str,
    facts: Mapping[str, Any],
    protocol: str = PAPER,
    level: float = 0.95,
) -> ModelCard:
    """Write README.md into a sentence-transformers folder, from one model's scores.

    `scores` are `evaluate`'s or `Resampled.intervals`'. `name` is what the hub will know it by. `facts` goes
    to the head as it is: language, license, base_model, datasets; and `limits`, sentences for the text.
    `level` is that of the intervals.
    """
    models = scores["model"].unique().to_list()
    if len(models) != 1:
        raise ValueError(f"a card is about one model, and these scores are of {', '.join(sorted(models))}")
    main = under(scores, protocol)
    head = ModelCardData(
        model_name=name,
        library_name="sentence-transformers",
        pipeline_tag="feature-extraction",
        tags=["sentence-transformers", "sentence-similarity", "mteb", "C-MTEB"],
        eval_results=[entry(row) for row in scores.iter_rows(named=True) if row["protocol"]],
        **{key: value for key, value in facts.items() if key != "limits"},
    )
    parts = [
        f"# {name}",
        told_of_model(folder),
        told_of_use(name, prompts_of(folder)),
        told_of_scores(main, protocol, level),
        told_of_limits(main, facts.get("limits", ())),
    ]
    card = ModelCard(f"---\n{head.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n")
    card.save(folder / "README.md")
    return card


def entry(row: Mapping[str, Any]) -> EvalResult:
    """One score as the hub keeps it."""
    name = published_name(row["task"])
    known = [
        one
        for suite in ("mteb-en-56", "cmteb-35")
        for one in evaluation_sets(suite)
        if one.task == name and one.revision == row["revision"]
    ]
    interval = {key: round(row[key], 2) for key in ("low", "high") if row.get(key) is not None}
    return EvalResult(
        task_type=HUB_TYPES[row["type"]],
        task_name=row["type"],
        dataset_type=known[0].repo if known else f"local/{name}",
        dataset_name=f"{row['task']} ({row['subset']})",
        dataset_config=row["subset"],
        dataset_split=row["split"],
        dataset_revision=row["revision"],
        metric_type=row["metric"],
        metric_name=f"{row['metric']} ({row['protocol'].replace('+', ', ')})",
        metric_value=round(row["score"], 3),
        metric_args=interval or None,
    )


def told_of_model(folder: Path) -> str:
    """What its folder says of a model: size, width, length, pooling."""
    backbone = read_settings(folder, "config.json")
    longest = read_settings(folder, "sentence_bert_config.json").get("max_seq_length")
    longest = longest or read_settings(folder, "tokenizer_config.json").get("model_max_length")
    modules = read_settings(folder, "modules.json")
    names = [module["type"].rpartition(".")[2] for module in modules]
    pooling = dict(zip(names, modules, strict=True)).get("Pooling", {})
    facts = {
        "parameters": f"{parameters(folder):,}",
        "layers": backbone.get("num_hidden_layers"),
        "width": backbone.get("hidden_size"),
        "vocabulary": backbone.get("vocab_size"),
        "longest text": f"{longest} tokens" if longest else None,
        "pooling": pooling and read_settings(folder / pooling["path"], "config.json").get("pooling_mode"),
        "parts": " → ".join(names),
    }
    rows = [f"| {name} | {value} |" for name, value in facts.items() if value]
    return "\n".join(["A sentence encoder: one vector per text.", "", "| | |", "|---|---|", *rows])


def parameters(folder: Path) -> int:
    """How many numbers the weights of a folder hold, from the heads of its safetensors files."""
    total = 0
    for path in sorted(folder.rglob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            shapes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118
        for shape in shapes:
            size = 1
            for side in shape:
                size *= side
            total += size
    if not total:
        raise ValueError(f"{folder} holds no weights as safetensors: save the encoder with save_encoder")
    return total


def read_settings(folder: Path, name: str) -> Any:
    """A JSON file of a sentence-transformers folder."""
    path = folder / name
    if not path.is_file():
        raise ValueError(f"{path} is missing: {folder} is no sentence-transformers folder of an encoder")
    return json.loads(path.read_text("utf-8"))


def prompts_of(folder: Path) -> dict[str, str]:
    """What the model puts before texts, by role; those that are empty left out."""
    prompts = read_settings(folder, "config_sentence_transformers.json").get("prompts") or {}
    return {role: prompt for role, prompt in prompts.items() if prompt}


def told_of_use(name: str, prompts: Mapping[str, str]) -> str:
    """How to load it, and what it puts before a text."""
    rows = [f"- `{role}`: `{prompt}`" for role, prompt in prompts.items()]
    before = ["Before a text it puts, by role:", "", *rows] if rows else ["It puts nothing before a text."]
    code = [
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        f'model = SentenceTransformer("{name}")',
        'queries = model.encode_query(["..."])  # of a search',
        'passages = model.encode_document(["..."])',
        'texts = model.encode(["..."])  # of anything else',
        "print(model.similarity(queries, passages))",
        "```",
    ]
    return "\n".join(["## Use", "", *code, "", *before])


def told_of_scores(main: pl.DataFrame, protocol: str, level: float) -> str:
    """Averages by name, then every score, as tables."""
    means = [
        f"| {key.replace('_', ' ')} | {rows['dataset'].n_unique()} | {mean(rows):.2f} |"
        for key, rows in named_averages(main).items()
    ]
    has_intervals = {"low", "high"} <= set(main.columns)
    rows = []
    for row in main.iter_rows(named=True):
        known = has_intervals and row["low"] is not None
        bounds = f"{row['low']:.2f} to {row['high']:.2f}" if known else ""
        cells = (
            row["type"],
            row["task"],
            row["subset"],
            row["split"],
            row["metric"],
            f"{row['score']:.2f}",
            bounds,
        )
        rows.append(f"| {' | '.join(cells)} |")
    lines = [
        "## Scores",
        "",
        f"{PROTOCOL_SENTENCES[protocol]} Scores are times 100, made by mteb's own evaluators.",
        *(
            [f"Intervals hold {level:.0%} of bootstrap draws of the evaluated items."]
            if has_intervals
            else []
        ),
        "",
        "| average | datasets | score |",
        "|---|---:|---:|",
        *means,
        "",
        "| type | task | subset | split | metric | score | interval |",
        "|---|---|---|---|---|---:|---|",
        *rows,
    ]
    return "\n".join(lines)


def told_of_limits(main: pl.DataFrame, limits: Sequence[str]) -> str:
    """What the scores do not say, as far as the table shows it, and the sentences given."""
    told, known = list(limits), set()
    names = {dataset_name(published_name(task), of) for task, of in main.select("task", "subset").rows()}
    for suite in ("cmteb-35", "mteb-en-56"):
        whole = {dataset_name(one.task, one.subset) for one in evaluation_sets(suite)}
        known |= whole
        if 0 < len(names & whole) < len(whole):
            told.append(
                f"{len(names & whole)} of the {len(whole)} tasks of {suite} were run: no average over it."
            )
    if samples := sum(".sample" in task for task in main["task"]):
        told.append(f"{samples} of the tasks are samples, and easier: they compare with no published score.")
    if own := len(names - known):
        told.append(f"{own} of the sets are not public benchmarks.")
    told.append("An interval does not hold what another seed of the training would change.")
    return "\n".join(["## Limits", "", *(f"- {sentence}" for sentence in told)])
