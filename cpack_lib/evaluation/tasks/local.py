"""Local folders as mteb tasks: the six task types of C-MTEB, scored by mteb's own classes and evaluators.

Protocol (docs/paper.md 1.3): 32 examples per label, ten draws, logistic regression; MiniBatchKMeans by 500;
pair classification by the average precision of the cosine, as the paper has it (mteb's own is max accuracy).
"""

from pathlib import Path

import polars as pl
from datasets import Dataset, DatasetDict
from mteb.abstasks import (
    AbsTaskClassification,
    AbsTaskClusteringLegacy,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.abstask import AbsTask
from mteb.abstasks.task_metadata import TaskMetadata

from cpack_lib.corpus.languages import language, main_language
from cpack_lib.evaluation.tasks.layout import fingerprint, first_texts, read_table, task_folders

SEED = 42  # mteb's own, for draws of rows as well
DEPTH = (1, 3, 5, 10, 20, 100)  # cut-offs of local retrieval; mteb's go on to 1,000


class LocalTask(AbsTask):
    """A task whose tables lie in one folder; `rows` draws a labelled sample of it (its name says so)."""

    kind: str  # mteb's name of the task type
    score: str  # C-MTEB's main score, as mteb's result names it

    def __init__(self, path: Path, rows: int | None = None):
        self.path, self.rows = path, rows
        sample = f".sample{rows}" if rows else ""
        self.metadata = TaskMetadata(
            name=path.name + sample,
            type=self.kind,
            main_score=self.score,
            description=f"local folder {path.name}",
            dataset={"path": str(path), "revision": fingerprint(path) + sample},
            category="t2t",
            eval_splits=["test"],
            eval_langs=[language(main_language(first_texts(path))).mteb],
        )
        super().__init__(seed=SEED)

    def load_data(self, num_proc: int | None = None, *, timer: object = None, **kwargs: object) -> None:
        """Read the tables once; mteb's signature."""
        if not self.data_loaded:
            self.dataset, self.data_loaded = self.read(), True

    def unload_data(self) -> None:
        """Forget the tables; mteb's own would forget the metadata as well, which here is the instance's."""
        self.dataset, self.data_loaded = None, False

    def read(self) -> dict:
        """The tables in the form that mteb's class of this type expects."""
        raise NotImplementedError

    def draw(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame, or `rows` of it in their order, the same ones each time."""
        if self.rows is None or len(frame) <= self.rows:
            return frame
        return frame.with_row_index("row").sample(self.rows, seed=SEED).sort("row").drop("row")


class LocalRetrieval(LocalTask, AbsTaskRetrieval):
    """Rank the corpus for each query; nDCG@10. A sample keeps the answers, and two passages per query."""

    kind, score, k_values = "Retrieval", "ndcg_at_10", DEPTH

    def read(self) -> dict:
        """Corpus, queries and {qid: {pid: score}}; ids that occur nowhere are an error."""
        tables = [read_table(self.path, name) for name in ("corpus", "queries", "qrels")]
        corpus, queries = (table.with_columns(pl.col("id").cast(str)) for table in tables[:2])
        qrels = tables[2].with_columns(pl.col("qid", "pid").cast(str), pl.col("score").cast(pl.Int64))
        self.check_ids(corpus, queries, qrels)
        queries = self.draw(queries.filter(pl.col("id").is_in(qrels["qid"].implode())))
        qrels = qrels.filter(pl.col("qid").is_in(queries["id"].implode()))
        if self.rows:
            is_answer = corpus["id"].is_in(qrels["pid"].implode())
            others = corpus.filter(~is_answer)
            kept = others.sample(min(len(others), 2 * self.rows), seed=SEED)
            corpus = pl.concat([corpus.filter(is_answer), kept]).sort("id")
        relevant: dict[str, dict[str, int]] = {}
        for qid, pid, score in qrels.iter_rows():
            relevant.setdefault(qid, {})[pid] = score
        return {
            "default": {
                "test": {
                    "corpus": as_dataset(corpus),
                    "queries": as_dataset(queries),
                    "relevant_docs": relevant,
                    "top_ranked": None,
                }
            }
        }

    def check_ids(self, corpus: pl.DataFrame, queries: pl.DataFrame, qrels: pl.DataFrame) -> None:
        """ValueError for an id twice, or for a judgement on an id that is not there."""
        for name, frame, column in (("corpus", corpus, "pid"), ("queries", queries, "qid")):
            if (twice := frame["id"].is_duplicated()).any():
                wrong = frame["id"][twice.arg_max()]
                raise ValueError(
                    f"{self.path}/{name}.parquet has the id {wrong!r} twice: drop one of its rows"
                )
            if (lost := ~qrels[column].is_in(frame["id"].implode())).any():
                wrong = qrels[column][lost.arg_max()]
                raise ValueError(
                    f"{self.path}/qrels.parquet judges the {column} {wrong!r}, which {name}.parquet "
                    "lacks: add it there or drop the judgement"
                )


class LocalReranking(LocalTask, AbsTaskRetrieval):
    """Order each query's own candidates; MAP over them. Rows without a positive or a negative are dropped."""

    kind, score = "Reranking", "map_at_1000"

    def read(self) -> dict:
        """mteb's form of a re-ranking set: one corpus of candidates and each query's list of them."""
        rows = read_table(self.path, "test").filter(
            (pl.col("positive").list.len() > 0) & (pl.col("negative").list.len() > 0)
        )
        if rows.is_empty():
            raise ValueError(f"{self.path}/test.parquet has no row with a positive and a negative: add some")
        queries, corpus, relevant, candidates = [], [], {}, {}
        for number, (query, positives, negatives) in enumerate(self.draw(rows).iter_rows()):
            qid = f"query{number:05}"
            queries.append({"id": qid, "text": query})
            texts = [(f"positive_{qid}_{i:05}", text, 1) for i, text in enumerate(positives)]
            texts += [(f"negative_{qid}_{i:05}", text, 0) for i, text in enumerate(negatives)]
            corpus += [{"id": pid, "text": text} for pid, text, _ in texts]
            relevant[qid] = {pid: label for pid, _, label in texts}
            candidates[qid] = list(relevant[qid])
        return {
            "default": {
                "test": {
                    "corpus": Dataset.from_list(corpus),
                    "queries": Dataset.from_list(queries),
                    "relevant_docs": relevant,
                    "top_ranked": candidates,
                }
            }
        }


class LocalSTS(LocalTask, AbsTaskSTS):
    """Spearman correlation of the cosine with the judged similarity."""

    kind, score = "STS", "cosine_spearman"

    def read(self) -> dict:
        """The pairs with their scores."""
        return DatasetDict(test=as_dataset(self.draw(read_table(self.path, "test"))))


class LocalPairs(LocalTask, AbsTaskPairClassification):
    """Average precision of the cosine for the label 1."""

    kind, score = "PairClassification", "cosine_ap"

    def read(self) -> dict:
        """The pairs with labels 0 and 1; another label is an error."""
        pairs = read_table(self.path, "test")
        if (wrong := ~pairs["label"].is_in([0, 1])).any():
            row = wrong.arg_max()
            raise ValueError(
                f"{self.path}/test.parquet: the label {pairs['label'][row]} in row {row} is neither "
                "0 nor 1: say 1 for pairs that belong together, 0 for others"
            )
        return DatasetDict(test=as_dataset(self.draw(pairs).rename({"label": "labels"})))


class Columns:
    """A split as plain lists: mteb reads labels one at a time, for which a Hugging Face column is slow."""

    def __init__(self, columns: dict[str, list]):
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> list:
        return self.columns[name]

    def select(self, rows: list[int]) -> "Columns":
        """These rows, in this order."""
        return Columns({name: [values[row] for row in rows] for name, values in self.columns.items()})


class LocalClassification(LocalTask, AbsTaskClassification):
    """Accuracy of a logistic regression on 32 embedded examples per label, mean of ten draws."""

    kind, score = "Classification", "accuracy"
    samples_per_label = 32
    n_experiments = 10

    def read(self) -> dict:
        """Train and test, labels as numbers; a sample keeps train whole, few rows of it are used anyway."""
        train, test = read_table(self.path, "train"), read_table(self.path, "test")
        names = sorted(set(train["label"].cast(str)) | set(test["label"].cast(str)))
        numbers = pl.col("label").cast(pl.String).replace_strict(names, list(range(len(names))))
        return {
            "train": Columns(train.with_columns(numbers).to_dict(as_series=False)),
            "test": Columns(self.draw(test).with_columns(numbers).to_dict(as_series=False)),
        }


class LocalClustering(LocalTask, AbsTaskClusteringLegacy):
    """V-measure of MiniBatchKMeans with as many clusters as labels, mean over the bags."""

    kind, score = "Clustering", "v_measure"

    def read(self) -> dict:
        """The bags; a sample keeps the first `rows` texts of each of the first three bags."""
        bags = read_table(self.path, "test")
        if (uneven := bags["sentences"].list.len() != bags["labels"].list.len()).any():
            raise ValueError(
                f"{self.path}/test.parquet: row {uneven.arg_max()} has not as many labels as "
                "sentences: give each sentence its label"
            )
        if self.rows:
            bags = bags.head(3).select(pl.all().list.head(self.rows))
        return DatasetDict(test=as_dataset(bags))


CLASSES: dict[str, type[LocalTask]] = {
    "retrieval": LocalRetrieval,
    "reranking": LocalReranking,
    "sts": LocalSTS,
    "pairclass": LocalPairs,
    "classification": LocalClassification,
    "clustering": LocalClustering,
}


def local_tasks(folder: Path | str, rows: int | None = None) -> list[LocalTask]:
    """Every task of an evaluation folder; with `rows`, a sample of each, named `<task>.sample<rows>`."""
    paths = task_folders(Path(folder))
    names = [path.name for path in paths]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{folder} has two tasks named {min(twice)}: rename one of the folders")
    return [CLASSES[path.parent.name](path, rows) for path in paths]


def as_dataset(frame: pl.DataFrame) -> Dataset:
    """A polars frame as a Hugging Face dataset."""
    return Dataset.from_dict(frame.to_dict(as_series=False))
