"""The warm start: token embeddings trained as a bag, and a BERT that begins as exactly that bag.

A laptop has no public checkpoint to begin with and no days to make one. A bag of tokens learns from a million
texts in minutes, since it only gathers rows of a table; given to a Transformer that starts as this bag, it
saves it from starting as noise. The paper's profiles do without: they begin from a public BERT.

Axes: B texts, N tokens of all texts, V vocabulary, D width.
"""

from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, layer_norm, normalize
from transformers import BertForMaskedLM, PreTrainedTokenizerBase

POSITION_SCALE = 0.1  # of a position's embedding beside a token's: tells places apart, disturbs little
LIGHTEST = 0.05  # weight of a token that stands in every text, beside 1 for one in a text out of e
PARTS = 65_536  # grams whose vectors are added at a time
MILDNESS = 0.6  # length of a state where the language-model head reads it: first guesses are no certainties


class Bag(nn.Module):
    """Sums of token embeddings, each scaled by exp of its own first coordinate, which is left out of the sum.

    The weight lives in the embedding, so that an attention head can read it: softmax over tokens of the first
    coordinate is the same weighted mean. `spelling`, each token's letters, lets tokens that share characters
    begin alike; without it all begin as strangers.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int,
        document_share: np.ndarray,
        seed: int = 0,
        spelling: list[str] | None = None,
    ):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        table = torch.randn(vocab_size, width, generator=generator)  # (V, D)
        weights = rarity(document_share)  # (V,)
        if spelling is not None:
            table, weights = spelled(table, weights, spelling, document_share, generator)
        table[:, 0] = torch.from_numpy(np.log(weights)).float()
        self.table = nn.Parameter(table)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """(N,) ids of all texts, (B,) where each begins -> (B, D), each row of length one."""
        tokens = layer_norm(self.table, self.table.shape[1:])  # (V, D)
        weights = tokens[:, 0].exp()[ids]  # (N,)
        left = torch.ones(self.table.shape[1], device=ids.device).index_fill_(0, ids.new_tensor([0]), 0.0)
        sums = embedding_bag(ids, tokens * left, offsets, mode="sum", per_sample_weights=weights)  # (B, D)
        return normalize(sums - sums.mean(dim=-1, keepdim=True), dim=-1)


def rarity(document_share: np.ndarray) -> np.ndarray:
    """The weight of what stands in these shares of the texts, at least `LIGHTEST`: same shape."""
    return np.maximum(-np.log(np.maximum(document_share, 1e-6)), 0) + LIGHTEST


def spelled(
    own: Tensor, weights: np.ndarray, spelling: list[str], share: np.ndarray, generator: torch.Generator
) -> tuple[Tensor, np.ndarray]:
    """Each token's own vector (V, D), plus one for each character and pair of characters in it, by rarity.

    So 刑事责任 begins near 刑事 and 责任, however a text is cut. A gram's share of texts is that of
    the tokens it stands in, added up. The length of the sum is the token's new weight (V,).
    """
    lists = [grams(token.removeprefix("##")) for token in spelling]
    number = {gram: i for i, gram in enumerate(dict.fromkeys(chain.from_iterable(lists)))}
    rows = np.repeat(np.arange(len(lists)), list(map(len, lists)))
    columns = np.fromiter((number[gram] for each in lists for gram in each), dtype=np.int64, count=len(rows))
    shares = np.minimum(np.bincount(columns, share[rows], minlength=len(number)), 1.0)
    vectors = torch.randn(len(number), own.shape[1], generator=generator)
    found = own * torch.from_numpy(weights).float()[:, None]
    values = torch.from_numpy(rarity(shares)[columns]).float()[:, None]
    for part in np.array_split(np.arange(len(rows)), 1 + len(rows) // PARTS):
        found.index_add_(0, torch.from_numpy(rows[part]), vectors[columns[part]] * values[part])
    lengths = found.norm(dim=1, keepdim=True) / own.shape[1] ** 0.5  # (V, 1)
    return found / lengths, lengths[:, 0].double().numpy()


def grams(token: str) -> list[str]:
    """The characters and pairs of characters of a token; none of a Latin or special token."""
    return [] if token.isascii() else [*token, *map("".join, pairwise(token))]


def flat(rows: list[np.ndarray], tokenizer: PreTrainedTokenizerBase) -> tuple[Tensor, Tensor]:
    """Rows of ids -> all ids (N,) with [CLS] and [SEP] around each row, and where each row begins (B,)."""
    first, last = [tokenizer.cls_token_id], [tokenizer.sep_token_id]
    parts = [part for row in rows for part in (first, row, last)]
    ids = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)
    lengths = np.fromiter((len(row) + 2 for row in rows), dtype=np.int64, count=len(rows))
    return torch.from_numpy(ids), torch.from_numpy(np.cumsum(lengths) - lengths)


@torch.no_grad()
def give_to_bert(table: Tensor, model: BertForMaskedLM, cls_id: int) -> None:
    """Make a BERT compute exactly the bag with this table (V, D), while every weight can still learn.

    Layer 1 attends from everywhere by the tokens' first coordinate alone and adds what it finds; [CLS] takes
    its own embedding out of its sum; all other sub-layers add nothing yet. Dropout off, the state of [CLS] is
    the bag's sum after LayerNorm: the same direction, so the same embedding.
    """
    bert, width = model.bert, model.config.hidden_size
    if table.shape != (model.config.vocab_size, width):
        raise ValueError(f"a table of {tuple(table.shape)} for {model.config.vocab_size} tokens × {width}")
    embeddings = bert.embeddings
    embeddings.word_embeddings.weight.copy_(table)
    embeddings.token_type_embeddings.weight.zero_()
    embeddings.position_embeddings.weight.normal_(std=POSITION_SCALE)
    embeddings.position_embeddings.weight[:, 0] = 0.0
    for layer in bert.encoder.layer:
        for dense in (layer.attention.output.dense, layer.output.dense):
            dense.weight.zero_()
            dense.bias.zero_()
    read_weights(bert.encoder.layer[0].attention, model.config.num_attention_heads)
    first = layer_norm(table[cls_id] + embeddings.position_embeddings.weight[0], (width,))
    bert.encoder.layer[0].attention.output.dense.bias.copy_(-first)
    guess_from_states(model.cls.predictions, table)


def read_weights(attention: nn.Module, heads: int) -> None:
    """Every head: queries that ask for the first coordinate, keys that hold it, values that pass the rest."""
    inner, width = attention.self, attention.output.dense.weight.shape[0]
    asked = torch.arange(heads) * (width // heads)  # the first coordinate of each head
    for dense in (inner.query, inner.key, inner.value):
        dense.bias.zero_()
    inner.query.weight.zero_()
    inner.query.bias[asked] = (width / heads) ** 0.5
    inner.key.weight[asked] = 0.0
    inner.key.weight[asked, 0] = 1.0
    passed = torch.eye(width)
    passed[0, 0] = 0.0
    inner.value.weight.copy_(passed)
    attention.output.dense.weight.copy_(torch.eye(width))


def guess_from_states(head: nn.Module, table: Tensor) -> None:
    """A language-model head that guesses the tokens a state is made of, and frequent ones before rare ones.

    The share of texts that hold a token is read back from its weight in the bag. A head of random weights
    spends the first hundreds of steps on learning just that (LOG.md).
    """
    width = table.shape[1]
    head.transform.dense.weight.copy_(torch.eye(width))
    head.transform.dense.bias.zero_()
    head.transform.LayerNorm.weight.fill_(MILDNESS * width**-0.5)
    head.bias.copy_(-table[:, 0].exp())  # log share - LIGHTEST
