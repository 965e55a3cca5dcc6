"""Results as mteb's board wants them: what is known of the model, and the files of its repository of results.

The repository (github.com/embeddings-benchmark/results) holds results/<owner>__<model>/<commit>/, with mteb's
JSON of every task, model_meta.json and run_settings.jsonl.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mteb
import polars as pl
from mteb.models import ModelMeta
from mteb.models.model_meta import ScoringFunction
from mteb.results import TaskResult
from sentence_transformers.base.modules import Transformer

from cpack_lib.corpus.read.evaluation_sets import evaluation_sets
from cpack_lib.evaluation.models.adapter import Adapter
from cpack_lib.evaluation.models.neural import Neural

ASKED = (  # of a model on the board, beside its name and revision
    "n_parameters",
    "embed_dim",
    "max_tokens",
    "languages",
    "license",
    "open_weights",
    "training_datasets",
)


def identity(model: Adapter) -> ModelMeta:
    """The name and revision under which mteb keeps results of a model; half precision is its experiment."""
    half = isinstance(model, Neural) and model.precision != "float32"
    change = {"experiment_kwargs": {"precision": model.precision}} if half else {}
    return model.mteb_model_meta.model_copy(update=change)


def described(model: Adapter) -> ModelMeta:
    """mteb's description of a model, with all that its folder tells; opens the model."""
    if not isinstance(model, Neural):
        return identity(model)
    opened = model.opened().model
    weights = list(opened.parameters())
    words = opened[0].model.get_input_embeddings() if isinstance(opened[0], Transformer) else None
    facts = {
        "n_parameters": sum(weight.numel() for weight in weights),
        "n_embedding_parameters": words.weight.numel() if words else None,
        "memory_usage_mb": sum(weight.numel() * weight.element_size() for weight in weights) / 2**20,
        "embed_dim": opened.get_embedding_dimension(),
        "max_tokens": opened.max_seq_length,
        "similarity_fn_name": ScoringFunction.from_str(opened.similarity_fn_name),
        "framework": ["Sentence Transformers", "PyTorch"],
        "use_instructions": any(opened.prompts.values()),
    }
    return identity(model).model_copy(update=facts)


def submission(folder: Path, model: Adapter, place: Path, facts: Mapping[str, Any]) -> pl.DataFrame:
    """Lay out a model's kept results below `place`, ready to be added to the board's repository.

    `folder` is that of `evaluate`. `facts` says what no folder can: `name` (owner/model) and `revision` (the
    commit) on the hub, `languages` (["cmn-Hans"]), `license`, `open_weights` and `training_datasets` (mteb's
    names of the sets whose training part was used; an empty set for none). What is missing is an error.
    -> (task, taken, why_not): only public sets at their pinned revision are taken, whole.
    """
    source = mteb.ResultCache(folder.parent).get_task_result_path("any", identity(model)).parent
    meta = complete(source, model, facts)
    target = mteb.ResultCache(place).get_task_result_path("any", meta).parent
    target.mkdir(parents=True, exist_ok=True)
    results = {path: TaskResult.from_disk(path) for path in sorted(source.glob("*.json")) if is_result(path)}
    rows = [(result.task_name, (why := refusal(result)) is None, why) for result in results.values()]
    taken = {task for task, is_taken, _ in rows if is_taken}
    for path, result in results.items():
        if result.task_name in taken:
            shutil.copyfile(path, target / path.name)
    for whole in joined_results([result for result in results.values() if result.task_name in taken]):
        whole.to_disk(target / f"{whole.task_name}.json")
    lines = (source / "run_settings.jsonl").read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["task"] in taken]
    (target / "run_settings.jsonl").write_text("".join(kept), "utf-8")
    text = json.dumps(meta.to_dict(), default=str, indent=4, ensure_ascii=False)
    (target / "model_meta.json").write_text(text, "utf-8")
    return pl.DataFrame(
        rows, schema={"task": pl.String, "taken": pl.Boolean, "why_not": pl.String}, orient="row"
    )


def is_result(path: Path) -> bool:
    """Whether a JSON file beside a result is one, and was finished."""
    return path.name != "model_meta.json" and path.with_suffix(".fingerprint").is_file()


def complete(source: Path, model: Adapter, facts: Mapping[str, Any]) -> ModelMeta:
    """The description kept beside the results, with the facts; ValueError where the board would miss one."""
    path = source / "model_meta.json"
    if not path.is_file():
        raise ValueError(f"{source} holds no results of {model.name}: evaluate it first")
    known = json.loads(path.read_text("utf-8")) | {"loader": None}
    known.pop("is_cross_encoder")  # mteb writes it, but wants it no more
    if strangers := sorted(set(facts) - set(known)):
        raise ValueError(f"{strangers[0]!r} is no fact of a model: mteb knows {', '.join(sorted(known))}")
    meta = ModelMeta.model_validate(known | dict(facts))
    local = ["name"] if meta.name.startswith("local/") else []
    if missing := local + [name for name in ASKED if getattr(meta, name) is None]:
        raise ValueError(f"the board asks for {', '.join(missing)} of {meta.name}: say it in `facts`")
    return meta


def refusal(result: TaskResult) -> str | None:
    """Why a result is not for the board; None if it is."""
    task = result.task_name
    if ".sample" in task:
        return "a sample of a set"
    sets = [one for suite in ("mteb-en-56", "cmteb-35") for one in evaluation_sets(suite) if one.task == task]
    if not sets:
        return "a set of one's own"
    if result.dataset_revision not in {one.revision for one in sets}:
        return f"its data are {result.dataset_revision}, not the board's {sets[0].revision}"
    wanted = {split for one in evaluation_sets("cmteb-31") if one.task == task for split in one.splits}
    if lacking := sorted(wanted - set(result.scores)):
        return f"the board scores the split {lacking[0]} too: evaluate cmteb-31"
    return None


def joined_results(results: list[TaskResult]) -> list[TaskResult]:
    """mteb's result of each set that was scored in parts, if all its parts are there."""
    parts: dict[str, set[str]] = {}
    for one in evaluation_sets("mteb-en-56"):
        if one.part_of:
            parts.setdefault(one.part_of, set()).add(one.task)
    by_name = {result.task_name: result for result in results}
    return [
        mteb.get_task(whole).combine_task_results([by_name[name] for name in sorted(names)])
        for whole, names in parts.items()
        if names <= by_name.keys()
    ]
