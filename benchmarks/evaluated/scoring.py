"""Scores of one encoder by this project's adapter or by mteb's own wrapper: `benchmarks/cmteb.py` starts it.

The argument is a JSON object, and so is the last line that is printed.
"""

import json
import math
import sys
import time
import warnings

import mteb
from mteb.models import SentenceTransformerEncoderWrapper
from sentence_transformers import SentenceTransformer

from cpack_lib.corpus.labelled.instructions import INSTRUCTION
from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores.protocols import MAIN
from cpack_lib.evaluation.tasks.layout import evaluation_folder
from cpack_lib.evaluation.tasks.local import local_tasks
from cpack_lib.evaluation.tasks.texts import background_texts
from cpack_lib.model.encoder import new_encoder, save_encoder
from cpack_lib.model.tokens import train_wordpiece
from cpack_lib.work.files import runs_folder
from cpack_lib.work.measure import peak_gib

PLACE = runs_folder() / "benchmarks" / "cmteb"
VOCABULARY = 21_128  # BERT's for Chinese


def chosen(evaluation: str, rows: int | None, tasks: list[str]) -> list:
    """The tasks of a folder that are asked for, all where none is."""
    found = local_tasks(evaluation_folder(evaluation, PLACE / "evaluation"), rows)
    return [task for task in found if not tasks or task.path.name in tasks]


def prepare(evaluation: str, size: str) -> dict:
    """An encoder of random weights with the released instruction, its vocabulary from the evaluated texts."""
    texts = [text for task in chosen(evaluation, None, []) for text in background_texts(task)]
    encoder = new_encoder(size, train_wordpiece(texts, VOCABULARY))
    save_encoder(encoder, PLACE / size, INSTRUCTION["zh"])
    return {"encoder": str(PLACE / size), "texts": len(texts)}


def scored(
    who: str, encoder: str, evaluation: str, rows: int | None, tasks: list[str], precision: str
) -> dict:
    """Seconds and scores of each task, by mteb's evaluation; the model is opened before the clock starts."""
    if who == "ours":
        (model,) = open_models([encoder], precision=precision)
        model.opened()
    else:
        model = SentenceTransformerEncoderWrapper(SentenceTransformer(encoder))
    found, began = [], time.perf_counter()
    for task in chosen(evaluation, rows, tasks):
        task.load_data()
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
        scores = result.task_results[0].scores["test"][0]
        kind = task.metadata.type
        row = {"task": task.metadata.name, "type": kind, "metric": MAIN[kind], "score": scores[MAIN[kind]]}
        numbers = {name: value for name, value in scores.items() if isinstance(value, int | float)}
        finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
        found.append(row | {"seconds": time.perf_counter() - started, "numbers": finite})
        task.unload_data()
    return {"seconds": time.perf_counter() - began, "peak_gib": peak_gib(), "tasks": found}


MEASURES = {measure.__name__: measure for measure in (prepare, scored)}

if __name__ == "__main__":
    PLACE.mkdir(parents=True, exist_ok=True)
    given = json.loads(sys.argv[1])
    print(json.dumps(MEASURES[given.pop("what")](**given)))
