"""From names to what they stand for: a folder, a model that turns texts into vectors, texts to look with."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from sentence_transformers import SentenceTransformer

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.evaluation.diagnosis.trainings import is_training, read_settings
from cpack_lib.model.quiet import quietly
from cpack_lib.work.files import runs_folder

BATCH = 32
WORLD = "world"
COLUMNS = ("text", "text_b", "passage", "passages", "text_a", "query")  # the first that a table has
READ = 1_500  # rows of the world that are read for a sample
Sided = Callable[..., np.ndarray]  # texts, and the side they stand on -> (N, D), each row of length one


def place(name: str) -> Path:
    """The folder behind a name: a path, a run, finished or not, or a model of the hub; ValueError if none."""
    for folder in (Path(name), runs_folder() / name):
        if folder.is_dir():
            return folder
    from cpack_lib.evaluation.models import names  # takes seconds, and only the hub needs it

    if name in names.LEXICAL:
        raise ValueError(f"{name} ranks by words and makes no vectors; name an encoder or a run")
    return names.place(name)


def encoder_of(folder: Path) -> Path | None:
    """The encoder in a folder: itself, or what a run or a training has made."""
    if is_training(folder):
        places = [folder / "encoder", folder.parent / "encoder"]
    else:
        files = ("modules.json", "config.json")
        places = [
            path for path in (folder, folder / "encoder") if any((path / name).is_file() for name in files)
        ]
    return next((path for path in places if path.is_dir()), None)


def opened(folder: Path) -> SentenceTransformer:
    """The model of a folder; ValueError where it cannot be loaded."""
    try:
        with quietly():
            return SentenceTransformer(str(folder)).eval()
    except Exception as error:  # whatever transformers, torch, safetensors or json make of a damaged folder
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{folder} cannot be loaded ({type(error).__name__}: {reason}); save it again"
        ) from None


def prompt_of(model: SentenceTransformer, side: str) -> str:
    """What a model puts before texts of a side, `query` or `document`."""
    return (model.prompts or {}).get(side) or ""


def encoding(model: SentenceTransformer, prompts: bool = False) -> Sided:
    """Texts -> their vectors, (N, D) float32; with `prompts` behind what the model puts before their side."""

    def encode(texts: list[str], side: str = "") -> np.ndarray:
        prompt = prompt_of(model, side) if prompts else ""
        options = {"batch_size": BATCH, "show_progress_bar": False, "normalize_embeddings": True}
        return model.encode(texts, prompt=prompt, **options)

    return encode


def beginning_of(folder: Path) -> SentenceTransformer | None:
    """The encoder that a contrast began with, if it is still there."""
    settings = read_settings(folder)
    start = Path(settings["start"])
    is_encoder = settings["objective"] == "contrast" and (start / "modules.json").is_file()
    return opened(start) if is_encoder else None


def sample_texts(name: str = WORLD, count: int = 400, seed: int = 0) -> list[str]:
    """`count` different texts: Chinese ones of the embedded world, or of a file, one per line or per row.

    A file ends in .txt (a text per line) or .parquet, .jsonl, .csv (a column of COLUMNS).
    """
    if name == WORLD:
        pairs = open_table("world:pairs", "pairs", READ, seed).read()
        texts = pairs.filter(pl.col("language") == "zh")["text_b"]
    else:
        texts = file_texts(Path(name))
    texts = texts.cast(pl.String).drop_nulls().str.strip_chars()
    texts = texts.filter(texts != "").unique(maintain_order=True)
    if len(texts) < 2:
        raise ValueError(f"{name} holds {len(texts)} different texts; give a file with hundreds")
    return texts.sample(min(count, len(texts)), seed=seed, shuffle=True).to_list()


def file_texts(path: Path) -> pl.Series:
    """The texts of a file; ValueError names what is wrong with it."""
    if not path.is_file():
        raise ValueError(f"{path} is no file: give one that ends in .txt, .parquet, .jsonl or .csv, or world")
    readers = {".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson, ".csv": pl.read_csv}
    if path.suffix == ".txt":
        return pl.Series(path.read_text("utf-8").splitlines(), dtype=pl.String)
    if path.suffix not in readers:
        raise ValueError(f"{path} ends in {path.suffix!r}: give .txt, .parquet, .jsonl or .csv")
    frame = readers[path.suffix](path)
    column = next((name for name in COLUMNS if name in frame.columns), None)
    if column is None:
        raise ValueError(
            f"{path} has the columns {', '.join(frame.columns)}: name one of {', '.join(COLUMNS)}"
        )
    return frame[column].explode() if frame[column].dtype == pl.List else frame[column]
