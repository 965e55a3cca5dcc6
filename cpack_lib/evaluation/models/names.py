"""Names of models, and what they stand for.

"demo/03_contrast_pairs"  the encoder that a finished run made      "bm25", "tfidf"  lexical baselines
"/path/to/a/folder"       a sentence-transformers folder            "random:nano"    random weights, this size
"BAAI/bge-small-zh-v1.5"  a model of the Hugging Face hub
"""

import hashlib
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from sentence_transformers import SentenceTransformer

from cpack_lib.evaluation.models.adapter import Adapter
from cpack_lib.evaluation.models.lexical import BM25, TfIdf
from cpack_lib.evaluation.models.neural import Neural
from cpack_lib.model.encoder import SIZES, new_encoder, save_encoder
from cpack_lib.model.tokens import load_tokenizer
from cpack_lib.work.files import runs_folder
from cpack_lib.work.runs import finished_run

LEXICAL = {"bm25": BM25, "tfidf": TfIdf}
WEIGHT_FILES = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model")  # what a hub model is loaded from


def open_models(names: Sequence[str]) -> list[Adapter]:
    """A model per name, its weights not read yet.

    `random:SIZE` borrows the tokenizer of the first encoder in the list.
    """
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{min(repeated)} is listed twice; name each model once")
    places = {name: place(name) for name in names if name not in LEXICAL and not name.startswith("random:")}
    return [
        LEXICAL[name]()
        if name in LEXICAL
        else open_folder(name, places[name])
        if name in places
        else open_random(name, next(iter(places.values()), None))
        for name in names
    ]


def is_run(name: str) -> bool:
    """Whether a name is that of a run, finished or not."""
    return name.count("/") == 1 and not Path(name).is_dir() and (runs_folder() / name).is_dir()


def place(name: str) -> Path:
    """The sentence-transformers folder behind a name."""
    if Path(name).is_dir():
        return Path(name)
    if is_run(name):
        return finished_run(name) / "encoder"
    try:
        return Path(snapshot_download(name, allow_patterns=list(WEIGHT_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{name!r} is no run in {runs_folder()}, no folder, none of {', '.join(LEXICAL)}, and "
            f"the hub has none ({type(error).__name__}): check the name"
        ) from None


def open_folder(name: str, folder: Path) -> Neural:
    """A model from its folder, known by the hash of its files."""
    if not (folder / "modules.json").is_file():
        raise ValueError(
            f"{folder} holds no modules.json, so it is no sentence-transformers folder and its "
            "pooling would be a guess: save it with cpack_lib.model.encoder.save_encoder"
        )
    return Neural(name, weights(folder), partial(SentenceTransformer, str(folder)))


def open_random(name: str, tokenizer: Path | None, seed: int = 0) -> Neural:
    """`random:SIZE`: an untrained encoder with a tokenizer taken from another model's folder."""
    size = name.removeprefix("random:")
    if tokenizer is None:
        raise ValueError(f"{name} needs a tokenizer: list a trained encoder beside it")
    if size not in SIZES:
        raise ValueError(f"{name!r} names no size: write random: and one of {', '.join(SIZES)}")
    mark = hashlib.sha256(repr((size, SIZES[size], seed, weights(tokenizer))).encode()).hexdigest()[:16]
    return Neural(name, mark, partial(random_encoder, size, tokenizer, seed))


def random_encoder(size: str, tokenizer: Path, seed: int) -> SentenceTransformer:
    """Random weights of a size, as sentence-transformers runs them."""
    with tempfile.TemporaryDirectory() as made:
        save_encoder(new_encoder(size, load_tokenizer(tokenizer), seed), Path(made) / "encoder")
        return SentenceTransformer(str(Path(made) / "encoder"))


def weights(folder: Path) -> str:
    """SHA-256 over the files of a model (weights, settings, prompts, tokenizer), 16 hex digits."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"):
        digest.update(file.relative_to(folder).as_posix().encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
