"""The recipe's own result: scores of every stage beside lexical and random baselines, minutes, memory.

`python benchmarks/recipe.py demo` runs what is not finished of the profile `demo`, notebooks 01 to 05, and
writes results/demo.json and results/demo_scores.csv. `real` needs the folders that params/real/ names.
"""

import sys

import polars as pl

from cpack_lib.work.files import ROOT
from cpack_lib.work.launch import run_profile
from cpack_lib.work.results import write_result
from cpack_lib.work.runs import finished_run, read_manifest

STAGES = {
    "mean_after_pretrain": "02_pretrain_retromae",
    "mean_after_contrast": "03_contrast_pairs",
    "mean_after_instruct": "04_instruct_finetune",
}
RECIPE = ("01_curate_pairs", *STAGES.values(), "05_evaluate_cmteb")
MEAN = "mean_over_task_types"
LEXICAL = ("bm25", "tfidf")


def figures_of(profile: str) -> dict[str, float]:
    """The flat figures of a finished profile; the better of the lexical baselines stands for both."""
    table = pl.read_csv(finished_run(f"{profile}/05_evaluate_cmteb") / "averages.csv")
    rows = {row["model"]: row for row in table.iter_rows(named=True)}
    lexical = max((rows[name] for name in LEXICAL), key=lambda row: row[MEAN])
    random = next(row for name, row in rows.items() if name.startswith("random:"))
    trained = rows[f"{profile}/04_instruct_finetune"]
    found = {}
    for column in table.columns:
        if column in ("model", "mean_over_datasets"):
            continue
        name = "mean_task_types" if column == MEAN else column.lower()
        for label, row in (("trained", trained), ("lexical", lexical), ("random", random)):
            found[f"{name}_{label}"] = round(row[column], 2)
    return found | {name: round(rows[f"{profile}/{stage}"][MEAN], 2) for name, stage in STAGES.items()}


def main(profile: str) -> None:
    for notebook in RECIPE:
        run_profile(profile, only=notebook)
    manifests = [read_manifest(finished_run(f"{profile}/{notebook}")) for notebook in RECIPE]
    figures = figures_of(profile)
    figures["minutes"] = round(sum(manifest["minutes"] for manifest in manifests), 1)
    figures["peak_gib"] = max(manifest["peak_gib"] for manifest in manifests)
    scores = pl.read_csv(finished_run(f"{profile}/05_evaluate_cmteb") / "scores.csv")
    scores.write_csv(ROOT / "results" / f"{profile}_scores.csv", float_precision=2)
    write_result(
        profile,
        what=f"The profile {profile}, raw text to evaluation: C-MTEB's main metrics × 100, by task type.",
        command=f"python benchmarks/recipe.py {profile}",
        figures=figures,
        spread={},
        rows=pl.read_csv(finished_run(f"{profile}/05_evaluate_cmteb") / "averages.csv").to_dicts(),
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "demo")
