"""Transfer, measured on real text: other domains, what adapting to them forgets, Chinese and English.

`python benchmarks/transfer.py` finishes notebooks 12 and 13 of the profile `real`, which needs ../shared/data
and the finished notebooks 01 to 04 of that profile, in some 25 minutes on two quiet cores. It writes
results/transfer.json: nDCG@10 × 100 of the searches, forgetting in points, recall from 0 to 1, and one
bilingual encoder beside two monolingual ones.
"""

import polars as pl

from cpack_lib.work.files import ROOT
from cpack_lib.work.launch import run_profile
from cpack_lib.work.results import write_result
from cpack_lib.work.runs import finished_run, read_manifest

NOTEBOOK, BESIDE = "12_transfer", "13_english_recipe"
DATA = ROOT.parent / "shared" / "data"


def main() -> None:
    """Finish the run, write what it found; a word where the data are not there."""
    if not DATA.is_dir():
        print(f"{DATA} is not there, so nothing was measured; results/transfer.json stays as it is")
        return
    for notebook in (NOTEBOOK, BESIDE):
        run_profile("real", only=notebook)
    folder = finished_run(f"real/{NOTEBOOK}")
    manifest = read_manifest(folder)
    tables = {name: pl.read_csv(folder / f"{name}.csv") for name in ("scores", "general", "crossing")}
    beside = finished_run(f"real/{BESIDE}")
    tables["languages"] = pl.read_csv(beside / "languages.csv")
    found = read_manifest(beside)["figures"]
    found = manifest["figures"] | {name: found[name] for name in found if name.startswith("recall_at_1")}
    write_result(
        "transfer",
        what="Domains outside C-MTEB before and after adapting with text alone, forgetting, Chinese-English.",
        command="python benchmarks/transfer.py",
        figures={name: round(value, 4) for name, value in found.items()}
        | {"minutes": manifest["minutes"], "peak_gib": manifest["peak_gib"]},
        spread={},
        rows=[{"table": name} | row for name, table in tables.items() for row in table.to_dicts()],
    )


if __name__ == "__main__":
    main()
