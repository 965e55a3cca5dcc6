"""The card itself: a section each for what was counted, in plain sentences and tables."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl
from huggingface_hub import DatasetCardData

from cpack_lib.corpus.card.markdown import escaped, of, plain, table
from cpack_lib.corpus.card.tally import (
    NOT_STATED,
    QUANTILES,
    SAMPLES,
    SEEN,
    SETS,
    drawn_pairs,
    listed,
    per_set,
    quantiles,
    rows_of,
    steps_of,
    tallied,
    tasks_found,
)
from cpack_lib.corpus.clean.contamination import EXACT, STRETCH
from cpack_lib.corpus.clean.funnel import SUMS
from cpack_lib.corpus.clean.rule import KEPT, TEXTS, Judge
from cpack_lib.corpus.copies.keys import copies
from cpack_lib.corpus.copies.near import near_copies

UPLOADED = ["README.md", "funnel.csv", "pairs/*", "texts/*"]
SAMPLE = 80  # characters of each side
PRESENT = 0.01  # of the rows have a side in a language that the set is said to be in
SIZES = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B"]
LICENCES = [  # as the hub spells what texts come under
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0",
    "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
    "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0", "c-uda", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0",
    "etalab-2.0", "gfdl", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "odc-by",
    "odbl", "pddl", "unlicense",
]  # fmt: skip


def write_card(folder: Path, name: str, about: Mapping[str, str], seed: int = 0) -> Path:
    """Write README.md, a dataset card of the Hugging Face hub, into a folder that `curate` has filled.

    `about` are the parameters that it was made with; `seed` draws the pairs that are shown. A set without
    rows, or one that was taken out of the folder, becomes no configuration.
    """
    files = {kind: sorted((folder / kind).glob("train-*.parquet")) for kind in SETS}
    rows = {kind: rows_of(kind, paths) for kind, paths in files.items()}
    steps, counts = steps_of(folder / "funnel.csv"), tallied(rows)
    size = {kind: counts.filter(set=kind)["rows"].sum() for kind in SETS}
    sections = {
        "What it holds": holdings(rows, size),
        "How it was made": made_with(about),
        "Sources": sources(counts),
        "Licences": licences(counts),
        "Kinds and lengths": lengths(rows),
        "What each rule set aside": funnel_told(steps),
        "Copies": copies_told(steps),
        "Evaluation texts": evaluation_told(steps, files["rejected"]),
        "Samples": samples(drawn_pairs(files["pairs"], seed)),
        "What is not known": unknown(steps, counts, size),
        "To publish it": publishing(),
    }
    parts = [f"---\n{metadata(plain(name), counts, size)}---", f"# {escaped(name)}"]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    aside = folder / ".README.md"
    aside.write_text("\n\n".join(parts) + "\n", "utf-8", newline="\n")
    return aside.replace(folder / "README.md")


def metadata(name: str, counts: pl.DataFrame, size: Mapping[str, int]) -> str:
    """The card's YAML: what the hub searches by, and what `datasets.load_dataset` reads."""
    kept = counts.filter(pl.col("set") != "rejected")
    present = [(code, kept[test].sum()) for code, test in (("zh", "chinese"), ("en", "english"))]
    total = size["pairs"] + size["texts"]
    configs = [
        {"config_name": kind, "data_files": [{"split": "train", "path": f"{kind}/train-*.parquet"}]}
        | ({"default": True} if kind == "pairs" else {})
        for kind in SETS
        if size[kind]
    ]
    data = DatasetCardData(
        pretty_name=name,
        language=[code for code, rows in present if rows and rows >= PRESENT * total] or None,
        task_categories=["sentence-similarity", "feature-extraction"],
        size_categories=[SIZES[sum(total >= 10**power for power in range(3, 10))]],
        **licence_of(sorted(set(kept["licence"]))),
        **({"configs": configs} if configs else {}),
    )
    return data.to_yaml() + "\n"


def licence_of(names: Sequence[str]) -> dict[str, str]:
    """The hub's licence for a set whose rows have these."""
    if not names or names == [NOT_STATED]:
        return {"license": "unknown"}
    if len(names) > 1:
        return {"license": "other", "license_name": "several"}
    known = names[0].lower()
    if known in LICENCES:
        return {"license": known}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", known).strip("-.") or "see-below"}


def holdings(rows: Mapping[str, pl.LazyFrame], size: Mapping[str, int]) -> str:
    """What the folder is, and its sets with their columns."""
    columns = [(name, size[name], ", ".join(frame.collect_schema().names())) for name, frame in rows.items()]
    return (
        "Pairs of texts that belong together, for training text embeddings, and texts for pre-training "
        "before that: made as C-Pack made C-MTP (arXiv 2309.07597, section 3). The paper publishes no rules; "
        "those named below are of the program that wrote this card. The rows that they set aside are in "
        "`rejected`, each with the stage and the rule.\n\n"
        + table(["set", "rows", "columns"], columns)
        + "\n\n```python\nfrom datasets import load_dataset\n\n"
        'pairs = load_dataset("OWNER/NAME", "pairs", split="train")  # or a folder\n```'
    )


def made_with(about: Mapping[str, str]) -> str:
    """The parameters."""
    lines = [(key, str(value)) for key, value in about.items()]
    return table(["parameter", "value"], lines) if lines else "The parameters were not given to this card."


def licences(counts: pl.DataFrame) -> str:
    """The licences of pairs and texts, most rows first."""
    return (
        "A row has the licence of the document that it was read from, as its source tells it; whether it was "
        "theirs to give is not checked here. Rows set aside have no column for it.\n\n"
        + table(["licence", "pairs", "texts"], per_set(counts, "licence").iter_rows())
    )


def lengths(rows: Mapping[str, pl.LazyFrame]) -> str:
    """How many pairs there are of each kind, and how long both sides and the texts are."""
    pairs = quantiles(rows["pairs"], "text_a").hstack(
        quantiles(rows["pairs"], "text_b").drop("kind", "count")
    )
    texts = quantiles(rows["texts"], "text").tail(1).drop("kind")
    return (
        f"Characters of a side that {', '.join(map(str, QUANTILES))} % of the rows do not exceed.\n\n"
        + table(["kind", "pairs", *pairs.columns[2:]], pairs.fill_null(0).iter_rows())
        + "\n\n"
        + table(["texts", *texts.columns[1:]], texts.fill_null(0).iter_rows())
    )


def funnel_told(steps: pl.DataFrame) -> str:
    """The funnel, all sources together."""
    head = ["stage", "rule", "rows in", "rows out", "set aside, %", "characters in", "characters out"]
    lost = 100 - 100 * pl.col("rows_out") / pl.col("rows_in")
    lines = steps.select("stage", "rule", *SUMS[:2], lost.fill_nan(0).alias("lost"), *SUMS[2:])
    return (
        "The stages `pages` and `documents` count documents, `lines` their lines, `sides` to `kept` pairs, "
        "`texts` passages. At `pages` and `sides` nothing is set aside: texts are repaired. `funnel.csv` has "
        "the same by source.\n\n" + table(head, lines.iter_rows(), most=len(lines))
    )


def sources(counts: pl.DataFrame) -> str:
    """The sources of pairs and texts, with the kinds and the licences of each."""
    kept, pairs = counts.filter(pl.col("set") != "rejected"), counts.filter(set="pairs")
    share = (100 * pl.col("pairs") / pl.col("pairs").sum()).fill_nan(0)
    lines = per_set(counts, "source").with_columns(share=share)
    for found in (listed(pairs, "kind"), listed(kept, "licence")):
        lines = lines.join(found, on="source", how="left", maintain_order="left")
    order = ["source", "pairs", "share", "texts", "kind", "licence"]
    head = ["source", "pairs", "of all pairs, %", "texts", "kinds of pairs", "licence"]
    return table(head, lines.select(order).fill_null("").iter_rows())


def set_aside(steps: pl.DataFrame, rules: Iterable[Judge]) -> str:
    """What these rules took out of what met them, in words."""
    told = []
    for rule in rules:
        for came, left in steps.filter(stage=rule.stage, rule=rule.name).select(SUMS[:2]).iter_rows():
            told.append(of(came - left, came, "texts" if rule.stage == TEXTS else "pairs"))
    return " and ".join(told) or "not looked for, or nothing came to the rule"


def copies_told(steps: pl.DataFrame) -> str:
    """The rates of exact and near copies."""
    exact, crowded = ([rule for rule in copies(2) if rule.limit == limit] for limit in (1, 2))
    return (
        "Rows that were set aside because of others that stayed:\n\n"
        f"- exact copies, width, case and white space aside: {set_aside(steps, exact)};\n"
        f"- near copies, by the likeness of their character n-grams: {set_aside(steps, near_copies(1))};\n"
        f"- a `text_a`, then a `text_b`, that enough pairs have already: {set_aside(steps, crowded)}.\n\n"
        "MinHash, which finds near copies, misses some: there are fewer of them left, not none."
    )


def evaluation_told(steps: pl.DataFrame, rejected: Sequence[Path]) -> str:
    """The rates of texts of evaluation sets, and the tasks in which they were found."""
    met = steps.filter(SEEN).group_by("stage", maintain_order=True)
    rates = met.agg(pl.col("rows_in").first(), pl.col("rows_out").last()).iter_rows()
    told = [of(came - left, came, "texts" if stage == TEXTS else "pairs") for stage, came, left in rates]
    if not told:
        return (
            "Texts of evaluation sets were not looked for, or no row came to the rule: a model trained on "
            "this set may know the answers of a public benchmark by heart."
        )
    said = (
        f"Set aside because a side is a text of an evaluation set (`{EXACT}`), or shares so many long runs "
        f"of characters with one that it quotes it (`{STRETCH}`): {' and '.join(told)}."
    )
    if not rejected:
        return f"{said} The tasks stand in `rejected/`, which is not in this folder."
    tasks = table(["task", "rule", "rows"], tasks_found(rejected).iter_rows())
    return f"{said} A row that was found in several tasks counts in each.\n\n{tasks}"


def samples(pairs: pl.DataFrame) -> str:
    """Some pairs of each kind."""
    lines = [
        (kind, plain(one, SAMPLE), plain(other, SAMPLE), source)
        for kind, one, other, source in pairs.iter_rows()
    ]
    return (
        f"Up to {SAMPLES} pairs of each kind, drawn by lot. A side is cut at {SAMPLE} characters; a slash "
        "between spaces stands for the end of a line.\n\n" + table(pairs.columns, lines, most=len(lines))
    )


def unknown(steps: pl.DataFrame, counts: pl.DataFrame, size: Mapping[str, int]) -> str:
    """What a reader could want to know of the rows, and nobody has told or found out."""
    kept, total = counts.filter(pl.col("set") != "rejected"), size["pairs"] + size["texts"]
    bare, english = kept.filter(licence=NOT_STATED)["rows"].sum(), kept["english"].sum()
    given = counts.filter(set="pairs")["no_document"].sum()
    gone = counts.filter(pl.col("set") == "rejected", ~pl.col("source").is_in(kept["source"].implode()))
    masked = "by patterns, which miss some" if "masked" in steps["rule"] else "by no step above"
    judged = "A model judged" if KEPT in steps["stage"] else "No model judged"
    return "\n".join(
        [
            f"- The licence of {of(bare, total, 'pairs and texts')} is {NOT_STATED}.",
            f"- No document is named for {of(given, size['pairs'], 'pairs')}.",
            f"- {of(gone['rows'].sum(), size['rejected'], 'rows set aside')} are of sources without a row "
            "that stayed, whose licences are therefore not in this card.",
            f"- Telephone numbers, mail addresses and the like were masked {masked}. Other personal data was "
            "not looked for.",
            f"- {judged} whether the two sides of a pair belong together. That a person has read them is not "
            "known to this card.",
            "- As English counts a side with three words in Latin letters and no Chinese character: "
            f"{of(english, total, 'pairs and texts')} have one. Other languages were not counted.",
        ]
    )


def publishing() -> str:
    """How to upload the folder, and what to leave out."""
    patterns = " ".join(f'--include "{pattern}"' for pattern in UPLOADED)
    return (
        "The folder is ready for the hub, but for `rejected/`: that holds adverts, personal data and texts "
        "of evaluation sets, and should stay at home like whatever else a run has written here. Take "
        "`rejected` out of `configs` at the top of this file, then:\n\n"
        f"```bash\nhf upload OWNER/NAME FOLDER . --repo-type dataset {patterns}\n```\n\n"
        "In Python it is `HfApi().upload_folder` of `huggingface_hub`, with these patterns as "
        "`allow_patterns`."
    )
