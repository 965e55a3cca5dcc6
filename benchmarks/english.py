"""The English recipe's own result: scores of every stage beside baselines that count words, minutes, memory.

`python benchmarks/english.py` runs what is not finished of the profile `english` (about half an hour on two
quiet cores) and writes results/english.json.
"""

import polars as pl

from cpack_lib.evaluation.models.names import is_lexical
from cpack_lib.work.launch import run_profile
from cpack_lib.work.results import write_result
from cpack_lib.work.runs import finished_run, read_manifest, runs_folder

PROFILE, MEAN = "english", "mean_over_task_types"
STAGES = {
    "mean_after_pretrain": "02_pretrain_retromae",
    "mean_after_contrast": "03_contrast_pairs",
    "mean_after_instruct": "04_instruct_finetune",
}


def figures_of(table: pl.DataFrame) -> dict[str, float]:
    """The flat figures; the better of the lexical baselines stands for both, in every column."""
    rows = {row["model"]: row for row in table.iter_rows(named=True)}
    shown = {
        "trained": rows[f"{PROFILE}/{STAGES['mean_after_instruct']}"],
        "lexical": max((row for name, row in rows.items() if is_lexical(name)), key=lambda row: row[MEAN]),
        "random": next(row for name, row in rows.items() if name.startswith("random:")),
    }
    columns = [name for name in table.columns if name not in ("model", "mean_over_datasets")]
    found = {
        f"{'mean_task_types' if column == MEAN else column.lower()}_{label}": round(row[column], 2)
        for column in columns
        for label, row in shown.items()
    }
    return found | {name: round(rows[f"{PROFILE}/{stage}"][MEAN], 2) for name, stage in STAGES.items()}


def main() -> None:
    """Finish the profile, write the result."""
    run_profile(PROFILE)
    table = pl.read_csv(finished_run(f"{PROFILE}/05_evaluate_cmteb") / "averages.csv")
    folders = sorted(path.parent for path in (runs_folder() / PROFILE).glob("*/manifest.json"))
    manifests = [read_manifest(folder) for folder in folders]
    figures = figures_of(table)
    figures["minutes"] = round(sum(manifest["minutes"] for manifest in manifests), 1)
    figures["peak_gib"] = max(manifest["peak_gib"] for manifest in manifests)
    write_result(
        "english",
        what="The profile english, raw text to evaluation in the English world: main scores × 100, by type.",
        command="python benchmarks/english.py",
        figures=figures,
        spread={},
        rows=table.to_dicts(),
    )


if __name__ == "__main__":
    main()
