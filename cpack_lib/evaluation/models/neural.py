"""Any sentence-transformers model for mteb: sorted batches under a token budget, no text embedded twice.

Axes: N texts, B texts of a batch, D width.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device

from cpack_lib.evaluation.models.adapter import DOCUMENT, QUERY, Adapter
from cpack_lib.model.quiet import quietly

BUDGETS = {
    "cpu": 4_096,
    "cuda": 131_072,
    "mps": 16_384,
}  # padded tokens of a batch; a CPU likes them in cache
PROMPTS = {QUERY: ("query",), DOCUMENT: ("document", "passage", "corpus")}  # names in use for the two roles


class Neural(Adapter):
    """An encoder opened when its first vector is asked for; its vectors are kept until `release`."""

    def __init__(self, name: str, fingerprint: str, load: Callable[[], SentenceTransformer]):
        super().__init__(name, fingerprint)
        self.load = load
        self.release()

    def release(self) -> None:
        """Drop the weights and all vectors."""
        self.model: SentenceTransformer | None = None
        self.rows: dict[str, int] = {}  # prompt and text -> row of `kept`
        self.kept = np.empty((0, 0), dtype=np.float32)  # one row per distinct text, room to grow at the end

    def opened(self) -> SentenceTransformer:
        """The model, in evaluation mode, on the accelerator if there is one."""
        if self.model is None:
            with quietly():
                self.model = self.load().eval()
        return self.model

    def prompt(self, role: str) -> str:
        """The model's own prompt for one side of a search; none for other texts."""
        prompts = self.opened().prompts
        return next((prompts[name] or "" for name in PROMPTS.get(role, ()) if name in prompts), "")

    def vectors(self, texts: list[str], role: str) -> np.ndarray:
        """(N, D) float32; only texts that are new under this role's prompt are embedded."""
        prompt = self.prompt(role)
        keys = [prompt + "\0" + text for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.rows}
        if new:
            self.keep(list(new), embed(self.opened(), list(new.values()), prompt))
        return self.kept[[self.rows[key] for key in keys]]

    def keep(self, keys: list[str], vectors: np.ndarray) -> None:
        """Add rows for new keys; the store doubles when it is full."""
        used, needed = len(self.rows), len(self.rows) + len(keys)
        if needed > len(self.kept):
            grown = np.empty((max(needed, 2 * len(self.kept)), vectors.shape[1]), dtype=np.float32)
            if used:
                grown[:used] = self.kept[:used]
            self.kept = grown
        self.kept[used:needed] = vectors
        self.rows.update(zip(keys, range(used, needed), strict=True))

    def scores(self, queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
        """(Q, D), (N, D) -> (Q, N) by the model's own similarity, cosine for this project's encoders."""
        return self.opened().similarity(queries, passages).numpy()

    def similarity_pairwise(self, embeddings1: np.ndarray, embeddings2: np.ndarray) -> np.ndarray:
        """(N, D), (N, D) -> (N,) by the model's own similarity."""
        return self.opened().similarity_pairwise(embeddings1, embeddings2).numpy()


@torch.inference_mode()
def embed(model: SentenceTransformer, texts: Sequence[str], prompt: str) -> np.ndarray:
    """Texts, each behind the prompt -> (N, D) float32, in their order."""
    device = model.device
    found = None
    for batch in batches(
        [len(prompt) + len(text) for text in texts],
        BUDGETS.get(device.type, 8_192),
        model.max_seq_length or 512,
    ):
        features = model.preprocess([texts[row] for row in batch], prompt=prompt or None)
        vectors = (
            model(batch_to_device(features, device))["sentence_embedding"].float().cpu().numpy()
        )  # (B, D)
        if found is None:
            found = np.empty((len(texts), vectors.shape[1]), dtype=np.float32)
        found[batch] = vectors
    return found


def batches(lengths: Sequence[int], budget: int, longest: int) -> Iterator[list[int]]:
    """Rows by falling length, cut so that rows times the longest stays within the budget.

    Lengths are characters: a WordPiece token is at least one, so there are never more tokens than counted.
    """
    tokens = np.minimum(np.asarray(lengths) + 2, longest)
    order = np.argsort(-tokens, kind="stable").tolist()
    start = 0
    while start < len(order):
        size = max(1, budget // int(tokens[order[start]]))
        yield order[start : start + size]
        start += size
