"""C-MTEB's 35 datasets with a few rows each, in the layouts that the hub has at the pinned revisions.

Known from the hub's own pages: C-MTEB/* hold data/<split>-*.parquet behind a README with `configs:`; pair
classification is one row of lists, clustering a row per bag. mteb/*Retrieval and mteb/*Reranking hold the
configs corpus, queries and default (the judgements, in data/), re-ranking top_ranked too. The MASSIVE sets
hold <split>/<language>.json.gz, all languages in the config default; AmazonReviewsClassification holds
<language>/<split>-*. STS22 has thousands of articles in raw/ that no task reads. Inferred: STS22's
<split>/<language>.jsonl.gz, from sister sets that the same hand made load fast, and the columns of mteb/PAWSX
and mteb/STSB, from the originals.
"""

import gzip
import io
import json
from collections.abc import Iterator
from random import Random

import polars as pl
import yaml

from cpack_lib.corpus.read.evaluation_sets import EvaluationSet, evaluation_sets
from tests.hub.server import Repository

SUBJECTS = [
    "薄荷", "番椒", "狮子", "刺猬", "青铜", "氦气", "糖葫芦", "刀削面", "螺丝刀", "吹风机", "加纳", "摩洛哥",
]  # fmt: skip
SAYINGS = ["{}常见于南方的集市", "人们多半在春天谈起{}", "{}的来历写在一本旧书里", "谁都知道{}有什么用处"]
LABELS = {"JDReview": 2, "OnlineShopping": 2, "Waimai": 2, "MultilingualSentiment": 3}  # others: six
TRAIN, FEW = 34, 20  # texts of a label, more than the 32 that are drawn, and of the last label
DTYPES = {pl.String: "string", pl.Int64: "int64", pl.Int32: "int32", pl.Float64: "float64"}


def cmteb_repositories() -> Iterator[Repository]:
    """One repository per set of cmteb-35."""
    for one in evaluation_sets("cmteb-35"):
        yield Repository(one.repo, LAYOUTS[one.kind](one, Random(one.task)), one.revision)


def told(chance: Random) -> list[list[str]]:
    """Twelve subjects in an order of the set's own, four sayings of each."""
    subjects = chance.sample(SUBJECTS, len(SUBJECTS))
    return [[saying.format(subject) for saying in chance.sample(SAYINGS, 4)] for subject in subjects]


def searches(one: EvaluationSet, chance: Random) -> dict[str, bytes]:
    """corpus, queries and judgements of a search; a re-ranking set lists each query's candidates too."""
    (split,), sayings = one.splits, told(chance)
    passages = {f"p{i}-{k}": text for i, texts in enumerate(sayings) for k, text in enumerate(texts)}
    queries = {f"q{i}": f"请问{chance.choice(texts)[:6]}是什么？" for i, texts in enumerate(sayings)}
    right = {f"q{i}": [f"p{i}-{k}" for k in range(chance.randint(1, 3))] for i in range(12)}
    wrong = {qid: chance.sample(sorted({*passages} - {*pids}), 6) for qid, pids in right.items()}
    judged = [(qid, pid, 1) for qid, pids in right.items() for pid in pids]
    if one.kind == "Reranking":
        judged += [(qid, pid, 0) for qid, pids in wrong.items() for pid in pids]
    names = ["query-id", "corpus-id", "score"]
    tables = {
        "corpus": pl.DataFrame({"_id": [*passages], "text": [*passages.values()], "title": [""] * 48}),
        "queries": pl.DataFrame({"_id": [*queries], "text": [*queries.values()]}),
        "default": pl.DataFrame(judged, schema=names, orient="row"),
    }
    if one.kind == "Reranking":
        lists = [right[qid] + wrong[qid] for qid in queries]
        tables["top_ranked"] = pl.DataFrame({"query-id": [*queries], "corpus-ids": lists})
    return in_parquet({name: {split: table} for name, table in tables.items()})


def pairs_of(chance: Random) -> tuple[list[str], list[str]]:
    """24 pairs: the first twelve say something of one subject, the others of two."""
    sayings = told(chance)
    left, others = [texts[0] for texts in sayings], sayings[1:] + sayings[:1]
    return left * 2, [texts[1] for texts in sayings] + [chance.choice(texts) for texts in others]


def similarities(one: EvaluationSet, chance: Random) -> dict[str, bytes]:
    """Scored pairs; for STS22 a gzipped JSON file per language, and articles that are not part of it."""
    left, right = pairs_of(chance)
    alike = [i < 12 if chance.random() < 0.8 else i >= 12 for i in range(24)]  # judges err
    if one.task == "STS22":
        row = {"score": [4.0 if same else 1.0 + chance.random() for same in alike]}
        row |= {"sentence1": left, "sentence2": right}
        rows = {lang: [*as_rows(row | {"lang": [lang] * 24})] for lang in ("zh", "en")}
        files = in_json({"test": rows}, "jsonl.gz")
        return files | {f"raw/test/00/{i}.json": b'{"text": "no task reads this"}' for i in range(3)}
    scores = [5 * same - chance.randint(0, same) if one.task == "STSB" else int(same) for same in alike]
    columns = {"sentence1": left, "sentence2": right, "score": scores}
    table = pl.DataFrame(columns, schema_overrides={"score": pl.Int32})
    return in_parquet({"default": dict.fromkeys(("train", "validation", "test"), table)})


def inferences(one: EvaluationSet, chance: Random) -> dict[str, bytes]:
    """All pairs in one row of lists."""
    left, right = pairs_of(chance)
    labels = [int(i < 12 if chance.random() < 0.8 else i >= 12) for i in range(24)]
    table = pl.DataFrame({"sent1": [left], "sent2": [right], "labels": [labels]})
    return in_parquet({"default": dict.fromkeys(one.splits, table)})


def classes(one: EvaluationSet, chance: Random) -> dict[str, bytes]:
    """Texts with labels, some wrong; for the MASSIVE sets labels are words, and each language has a file."""
    sayings, labels = told(chance), LABELS.get(one.task, 6)
    counts = {"train": [TRAIN] * (labels - 1) + [FEW], "validation": [5] * labels, "test": [4] * labels}
    columns = {split: {"text": [], "label": []} for split in counts}
    for split, of_label in counts.items():
        for label in (label for label, count in enumerate(of_label) for _ in range(count)):
            subject = label if chance.random() < 0.8 else chance.randrange(labels)
            columns[split]["text"].append(f"{chance.choice(sayings[subject])}，第{chance.randint(1, 99)}条")
            columns[split]["label"].append(label)
    if "Massive" in one.task:
        return in_json({split: in_languages(rows) for split, rows in columns.items()}, "json.gz")
    tables = {split: pl.DataFrame(rows) for split, rows in columns.items()}
    return in_parquet({config: tables for config in (("en", "zh") if one.subset else ("default",))})


def in_languages(columns: dict[str, list]) -> dict[str, list[dict]]:
    """Rows as the MASSIVE sets have them, here the same in three languages."""
    return {
        lang: [
            {"id": str(number), "label": f"l{label}", "label_text": f"l{label}", "text": text, "lang": lang}
            for number, (text, label) in enumerate(zip(columns["text"], columns["label"], strict=True))
        ]
        for lang in ("en", "zh-CN", "zh-TW")
    }


def bags(one: EvaluationSet, chance: Random) -> dict[str, bytes]:
    """A row per bag of texts; a label has one subject and words of its own."""
    sayings = told(chance)
    rows = {"sentences": [], "labels": []}
    for first in range(0, 12, 4):
        texts = [(f"{text}{text[:3] * 3}", str(i)) for i in range(4) for text in sayings[first + i]]
        chance.shuffle(texts)
        rows["sentences"].append([text for text, _ in texts])
        rows["labels"].append([label for _, label in texts])
    return in_parquet({"default": dict.fromkeys(one.splits, pl.DataFrame(rows))})


LAYOUTS = {
    "Retrieval": searches,
    "Reranking": searches,
    "STS": similarities,
    "PairClassification": inferences,
    "Classification": classes,
    "Clustering": bags,
}


def in_parquet(configs: dict[str, dict[str, pl.DataFrame]]) -> dict[str, bytes]:
    """{config: {split: table}} as `push_to_hub` lays it out: a folder per config, data/ for the default."""
    files, names, infos = {".gitattributes": b"*.parquet filter=lfs\n"}, [], []
    for config, tables in configs.items():
        folder = "data" if config == "default" else config
        for split, table in tables.items():
            file = io.BytesIO()
            table.write_parquet(file)
            files[f"{folder}/{split}-00000-of-00001.parquet"] = file.getvalue()
        paths = [{"split": split, "path": f"{folder}/{split}-*"} for split in tables]
        names.append({"config_name": config, "data_files": paths})
        infos.append(info_of(config, tables))
    return files | {"README.md": card({"configs": names, "dataset_info": infos})}


def info_of(config: str, tables: dict[str, pl.DataFrame]) -> dict:
    """Features and sizes, as a README tells them."""
    schema = next(iter(tables.values())).schema
    features = [
        {"name": name, "sequence": DTYPES[dtype.inner.base_type()]}
        if isinstance(dtype, pl.List)
        else {"name": name, "dtype": DTYPES[dtype.base_type()]}
        for name, dtype in schema.items()
    ]
    splits = [
        {"name": split, "num_bytes": table.estimated_size(), "num_examples": len(table)}
        for split, table in tables.items()
    ]
    return {"config_name": config, "features": features, "splits": splits}


def in_json(splits: dict[str, dict[str, list[dict]]], ending: str) -> dict[str, bytes]:
    """{split: {language: rows}} as <split>/<language>.<ending>; a config per language, all in the default."""
    files = {
        f"{split}/{lang}.{ending}": gzip.compress(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(), mtime=0
        )
        for split, languages in splits.items()
        for lang, rows in languages.items()
    }
    names = [("default", "*"), *((lang, lang) for lang in next(iter(splits.values())))]
    configs = [
        {
            "config_name": config,
            "data_files": [{"split": split, "path": f"{split}/{name}.{ending}"} for split in splits],
        }
        for config, name in names
    ]
    return files | {"README.md": card({"configs": configs})}


def as_rows(columns: dict[str, list]) -> Iterator[dict]:
    """Columns -> rows."""
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def card(head: dict) -> bytes:
    """A README with a YAML head."""
    return f"---\n{yaml.safe_dump(head, allow_unicode=True, sort_keys=False)}---\n# Dataset\n".encode()
