"""From text to token ids: a tokenizer, a store of ids on disk, and chunks of similar length.

Axes: B texts, L tokens.  `[CLS]` and `[SEP]` are added when a batch is padded; the store holds neither.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
MOST_CHARACTERS = 9_000  # in a trained alphabet: GB 2312 has 6,763
TRAINED_ON = 2_000  # characters at most of each text that a tokenizer is trained on


def train_wordpiece(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerBase:
    """A WordPiece tokenizer with BERT's Chinese conventions: every Chinese character is a word of its own.

    The trainer would number continuations such as ##a in another order each time, and break ties by number;
    it gets them in a fixed order, as if they were special tokens, and only the vocabulary is taken from it.
    """
    texts = [text[:TRAINED_ON] for text in texts]
    draft = new_wordpiece({})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL.values(), *continuations(draft, texts)],
        limit_alphabet=MOST_CHARACTERS,
        show_progress=False,
    )
    draft.train_from_iterator(texts, trainer=trainer)
    return with_ends(new_wordpiece(draft.get_vocab()))


def new_wordpiece(vocabulary: dict[str, int]) -> Tokenizer:
    """BERT's tokenizer over a vocabulary."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def continuations(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """##x for every character x of the texts that stays in one word with a letter before it, sorted."""
    clean, split = tokenizer.normalizer.normalize_str, tokenizer.pre_tokenizer.pre_tokenize_str
    words = (split(clean("a" + character))[0][0] for character in set().union(*texts))
    return sorted({"##" + letter for word in words for letter in word[1:]})


def train_pieces(texts: Iterable[str], vocab_size: int, longest: int = 7) -> PreTrainedTokenizerBase:
    """A BPE tokenizer whose pieces may span several Chinese characters, at most `longest` (2 or more).

    A small encoder that starts as a bag of tokens needs them: 土豆 as one piece has a meaning, 土 and 豆 in a
    bag have another (LOG.md has the comparison). The paper's profiles keep BERT's vocabulary.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=3,
        special_tokens=list(SPECIAL.values()),
        limit_alphabet=MOST_CHARACTERS,
        max_token_length=longest + 1,  # tokenizers 0.23 stops one short of it
        show_progress=False,
    )
    tokenizer.train_from_iterator((text[:TRAINED_ON] for text in texts), trainer=trainer)
    return with_ends(tokenizer)


def with_ends(tokenizer: Tokenizer) -> PreTrainedTokenizerBase:
    """The tokenizer with [CLS] and [SEP] around each text, as BERT has them."""
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **SPECIAL)


def load_tokenizer(place: str | Path) -> PreTrainedTokenizerBase:
    """A tokenizer from a local folder or a hub id."""
    tokenizer = AutoTokenizer.from_pretrained(str(place))
    if missing := [name for name in SPECIAL if getattr(tokenizer, name) is None]:
        raise ValueError(f"the tokenizer of {place} has no {', '.join(missing)}; a BERT-like one is needed")
    return tokenizer


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int) -> list[np.ndarray]:
    """Each text's ids without [CLS] and [SEP], cut so that with them it has at most `longest` tokens."""
    if longest < 3:
        raise ValueError(f"texts of {longest} tokens cannot hold [CLS], a token and [SEP]; 3 is the least")
    if not len(texts):
        return []
    found = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    return [
        np.asarray(ids[: longest - 2], dtype=np.int32) for ids in found
    ]  # a cut of its own would be saved


class TokenStore:
    """Token ids of many texts in two mapped files: `ids.npy`, one text after the other, and `offsets.npy`."""

    def __init__(self, folder: Path):
        self.ids = np.load(folder / "ids.npy", mmap_mode="r")
        self.offsets = np.load(folder / "offsets.npy", mmap_mode="r")
        if self.offsets[-1] != len(self.ids):
            raise ValueError(f"{folder} is torn: {len(self.ids)} ids, not {self.offsets[-1]}; write it again")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        """The ids of one text, a view of the file."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per text, without [CLS] and [SEP]."""
        return np.diff(self.offsets)


def write_store(
    folder: Path, tokenizer: PreTrainedTokenizerBase, batches: Iterable[Sequence[str]], longest: int
) -> TokenStore:
    """Tokenise batches of texts into a store: 2 bytes a token while the vocabulary allows."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32
    lengths: list[int] = []
    with (folder / "ids.raw").open("wb") as raw:
        for texts in batches:
            found = token_ids(tokenizer, texts, longest)
            lengths.extend(map(len, found))
            raw.writelines(ids.astype(kind).tobytes() for ids in found)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    ids = np.lib.format.open_memmap(folder / "ids.npy", mode="w+", dtype=kind, shape=(int(offsets[-1]),))
    if len(ids):
        ids[:] = np.memmap(folder / "ids.raw", dtype=kind, mode="r")
        ids.flush()
    np.save(folder / "offsets.npy", offsets)
    (folder / "ids.raw").unlink()
    return TokenStore(folder)


def chunks(lengths: Sequence[int], budget: int) -> list[np.ndarray]:
    """Indices of texts in chunks of similar length, longest first: rows × longest row ≤ `budget` tokens.

    A text longer than the budget has a chunk of its own. Padding is what is left of rows × longest row, and
    sorting keeps it small; an in-batch loss does not depend on the order of its texts.
    """
    if budget < 1:
        raise ValueError(f"a chunk of {budget} tokens holds nothing")
    lengths = np.asarray(lengths)
    order = np.argsort(-lengths, kind="stable")
    found, start = [], 0
    while start < len(order):
        rows = max(1, budget // max(1, int(lengths[order[start]])))
        found.append(order[start : start + rows])
        start += rows
    return found


def pad(rows: Sequence[np.ndarray], tokenizer: PreTrainedTokenizerBase) -> tuple[Tensor, Tensor]:
    """Rows of ids -> ids (B, L) with [CLS] and [SEP] around each row, and which are tokens (B, L) bool."""
    L = max((len(row) for row in rows), default=0) + 2
    ids = np.full((len(rows), L), tokenizer.pad_token_id, dtype=np.int64)
    ids[:, 0] = tokenizer.cls_token_id
    for i, row in enumerate(rows):
        ids[i, 1 : len(row) + 1] = row
        ids[i, len(row) + 1] = tokenizer.sep_token_id
    ends = np.fromiter((len(row) + 2 for row in rows), dtype=np.int64, count=len(rows))
    is_token = np.arange(L) < ends[:, None]
    return torch.from_numpy(ids), torch.from_numpy(is_token)
