"""The encoder: a BERT whose [CLS] state, scaled to length one, is the embedding of a text.

Axes: B texts, L tokens, D width.  Sizes: C-Pack, table 1 of the released models; `nano`,
`mini` and `wide` are ours, for laptops.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedTokenizerBase

from cpack_lib.model.instructions import saved_prompts
from cpack_lib.model.quiet import quietly
from cpack_lib.model.states import PLAIN, Way, sentence_states
from cpack_lib.model.tokens import chunks, load_tokenizer, pad, token_ids

LONGEST = 512  # positions of every BERT here
SIZES = {  # layers, width, heads, width of the feed-forward part
    "nano": (2, 512, 8, 1024),
    "mini": (3, 512, 8, 1536),  # between nano and small, as wide as both
    "wide": (1, 1024, 16, 2048),  # as wide as large: a search by characters needs it (LOG.md)
    "small": (4, 512, 8, 2048),
    "base": (12, 768, 12, 3072),
    "large": (24, 1024, 16, 4096),
}


def size_config(size: str, vocab_size: int) -> BertConfig:
    """The shape of an encoder of this size."""
    if size not in SIZES:
        raise ValueError(f"no encoder has the size {size!r}; choose one of {', '.join(SIZES)}")
    layers, width, heads, inner = SIZES[size]
    return BertConfig(
        vocab_size=vocab_size,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=LONGEST,
    )


def new_language_model(size: str, vocab_size: int, seed: int = 0) -> BertForMaskedLM:
    """A BERT with its masked-language head, from random weights that depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForMaskedLM(size_config(size, vocab_size))


class Encoder(nn.Module):
    """A BERT with its tokenizer. Calling it embeds a padded batch; `encode` embeds texts."""

    def __init__(self, backbone: BertModel, tokenizer: PreTrainedTokenizerBase):
        super().__init__()
        self.backbone, self.tokenizer = backbone, tokenizer

    def forward(self, ids: Tensor, is_token: Tensor, way: Way = PLAIN) -> Tensor:
        """(B, L), (B, L) bool -> (B, D), each row of length one, in float32 or, of such weights, float64."""
        states = sentence_states(self.backbone, ids, is_token, way)
        return normalize(states.to(torch.promote_types(states.dtype, torch.float32)), dim=-1)

    @property
    def width(self) -> int:
        """D, the size of an embedding."""
        return self.backbone.config.hidden_size

    @torch.inference_mode()
    def encode(
        self, texts: Sequence[str], prompt: str = "", longest: int = LONGEST, budget: int = 16_384
    ) -> np.ndarray:
        """Texts, each after `prompt` -> (N, D) float32; chunks of at most `budget` padded tokens."""
        training = self.training
        self.eval()
        device = next(self.backbone.parameters()).device
        rows = token_ids(self.tokenizer, [prompt + text for text in texts], longest)
        found = np.empty((len(rows), self.width), dtype=np.float32)
        for chunk in chunks([len(row) + 2 for row in rows], budget):
            ids, is_token = pad([rows[i] for i in chunk], self.tokenizer)
            found[chunk] = self(ids.to(device), is_token.to(device)).cpu().numpy()
        self.train(training)
        return found


def new_encoder(size: str, tokenizer: PreTrainedTokenizerBase, seed: int = 0) -> Encoder:
    """An encoder of random weights: the start of training, and the baseline `random:SIZE`."""
    return Encoder(new_language_model(size, len(tokenizer), seed).bert, tokenizer)


def load_encoder(place: str | Path) -> Encoder:
    """An encoder from a sentence-transformers folder, a plain BERT folder or a hub id.

    A folder that makes something else of the states is refused: loaded here it would mean something else.
    """
    if (Path(place) / "modules.json").exists():
        refuse_other_parts(Path(place))
    with quietly():
        backbone = BertModel.from_pretrained(str(place), add_pooling_layer=False, dtype=torch.float32)
    return Encoder(backbone, load_tokenizer(place)).eval()


def refuse_other_parts(folder: Path) -> None:
    """ValueError unless the folder is a Transformer, pooling by [CLS] and perhaps Normalize."""
    parts = json.loads((folder / "modules.json").read_text("utf-8"))
    kinds = [part["type"].rpartition(".")[2] for part in parts]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ValueError(
            f"{folder} is made of {', '.join(kinds)}; an encoder is Transformer, Pooling, Normalize"
        )
    pooling = Pooling.load(str(folder), subfolder=parts[1]["path"]).pooling_mode
    if pooling not in ("cls", ("cls",)):
        raise ValueError(f"{folder} pools by {pooling}; this project's encoders pool by cls")


def save_encoder(
    encoder: Encoder,
    folder: Path,
    instruction: str = "",
    longest: int = LONGEST,
    prompts: Mapping[str, str] | None = None,
) -> None:
    """Write a sentence-transformers folder: [CLS], length one, and the prompts it was trained with.

    These are `instruction` before queries and nothing before passages, or else `prompts`, by name. Written
    aside and renamed, so that the folder is whole or absent; an older one is replaced. Equal encoders make
    equal files: BERT's pooler, which nothing reads, would be saved with random weights and is left out.
    """
    prompts = {"query": instruction, "document": ""} if prompts is None else dict(prompts)
    with quietly():
        write_parts(encoder, folder, folder.with_name(f".{folder.name}.new"), prompts, longest)


def write_parts(encoder: Encoder, folder: Path, aside: Path, prompts: dict[str, str], longest: int) -> None:
    """Make the folder under the name `aside`, then put it in the place of `folder`."""
    shutil.rmtree(aside, ignore_errors=True)
    encoder.backbone.save_pretrained(aside / "bert")
    encoder.tokenizer.save_pretrained(aside / "bert")
    without = {"model_kwargs": {"add_pooling_layer": False}}
    transformer = Transformer(str(aside / "bert"), max_seq_length=longest, **without)
    released = SentenceTransformer(
        modules=[transformer, Pooling(encoder.width, pooling_mode="cls"), Normalize()],
        prompts=prompts,
        device="cpu",
    )
    released.save_pretrained(str(aside / "whole"), create_model_card=False)
    settings = aside / "whole" / "sentence_bert_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text("utf-8")) | without, indent=4), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    (aside / "whole").rename(folder)
    shutil.rmtree(aside)


def saved_instruction(folder: Path) -> str:
    """The instruction that a saved encoder puts before its queries."""
    return saved_prompts(folder).get("query", "")
