"""Names of models, and what they stand for.

"demo/03_contrast_pairs"  the encoder that a finished run made      "bm25", "tfidf"  lexical baselines,
"bm25:en", "tfidf:en"     the same for English (corpus.languages)
"/path/to/a/folder"       a sentence-transformers folder            "random:nano"    random weights, this size
"BAAI/bge-small-zh-v1.5"  a model of the Hugging Face hub, or "…@REVISION" for a branch, tag or commit of it
"""

import hashlib
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

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
RANDOM = "random:"
LOADED = ("*.safetensors", "*.json", "*.txt", "*.model")  # what a hub model is loaded from
OLDER = "*.bin"  # the weights of one that has no safetensors
OTHER_ENGINES = ("onnx/*", "openvino/*")  # the same weights once more


def open_models(
    names: Sequence[str],
    *,
    precision: str = "float32",
    workers: int | str = 1,
    vectors: Path | None = None,
) -> list[Adapter]:
    """A model per name, its weights not read yet. `random:SIZE` borrows the tokenizer of the first encoder.

    What encoders compute in ("float32" or "bfloat16"), how many processes embed (a number, or "auto" for one
    per GPU), and the folder that keeps vectors for later runs (kept.kept_vectors(); None: until `release`).
    """
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{min(repeated)} is listed twice; name each model once")
    places = {name: place(name) for name in names if not is_lexical(name) and not name.startswith(RANDOM)}
    tokenizer = next(iter(places.values()), None)
    ways = {"precision": precision, "workers": workers, "vectors": vectors}
    found: list[Adapter] = []
    for name in names:
        if is_lexical(name):
            model, _, code = name.partition(":")
            found.append(LEXICAL[model](code or "zh"))
        elif name in places:
            found.append(open_folder(name, places[name], ways))
        else:
            found.append(open_random(name, tokenizer, ways))
    return found


def is_lexical(name: str) -> bool:
    """Whether a name is that of a lexical baseline, in any language."""
    return name.partition(":")[0] in LEXICAL


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
        return downloaded(name)
    except (HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{name!r} is no run in {runs_folder()}, no folder, none of {', '.join(LEXICAL)}, and "
            f"the hub has none ({type(error).__name__}): check the name"
        ) from None


def downloaded(name: str) -> Path:
    """A model of the hub in the local cache, without its weights for other engines."""
    repository, _, revision = name.partition("@")
    take = partial(
        snapshot_download, repository, revision=revision or None, ignore_patterns=list(OTHER_ENGINES)
    )
    folder = Path(take(allow_patterns=list(LOADED)))
    if any(folder.rglob("*.safetensors")):
        return folder
    return Path(take(allow_patterns=[*LOADED, OLDER]))


def open_folder(name: str, folder: Path, ways: dict[str, Any]) -> Neural:
    """A model from its folder, known by the hash of its files."""
    if not (folder / "modules.json").is_file():
        raise ValueError(
            f"{folder} holds no modules.json, so it is no sentence-transformers folder and its "
            "pooling would be a guess: save it with cpack_lib.model.encoder.save_encoder"
        )
    commit = folder.name if folder.parent.name == "snapshots" else None
    return Neural(name, weights(folder), partial(SentenceTransformer, str(folder)), revision=commit, **ways)


def open_random(name: str, tokenizer: Path | None, ways: dict[str, Any], seed: int = 0) -> Neural:
    """`random:SIZE`: an untrained encoder with a tokenizer taken from another model's folder."""
    size = name.removeprefix(RANDOM)
    if tokenizer is None:
        raise ValueError(f"{name} needs a tokenizer: list a trained encoder beside it")
    if size not in SIZES:
        raise ValueError(f"{name!r} names no size: write random: and one of {', '.join(SIZES)}")
    mark = hashlib.sha256(repr((size, SIZES[size], seed, weights(tokenizer))).encode()).hexdigest()[:16]
    return Neural(name, mark, partial(random_encoder, size, tokenizer, seed), **ways)


def random_encoder(size: str, tokenizer: Path, seed: int, device: str | None = None) -> SentenceTransformer:
    """Random weights of a size, as sentence-transformers runs them."""
    with tempfile.TemporaryDirectory() as made:
        save_encoder(new_encoder(size, load_tokenizer(tokenizer), seed), Path(made) / "encoder")
        return SentenceTransformer(str(Path(made) / "encoder"), device=device)


def weights(folder: Path) -> str:
    """SHA-256 over the files of a model (weights, settings, prompts, tokenizer), 16 hex digits.

    Cards and weights for other engines leave it as it is.
    """
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"):
        name = file.relative_to(folder).as_posix()
        if any(fnmatch(name, pattern) for pattern in OTHER_ENGINES):
            continue
        digest.update(name.encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
