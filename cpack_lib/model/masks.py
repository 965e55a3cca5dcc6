"""What RetroMAE hides: words of the encoder's input, and for each place of the decoder others.

Axes: B texts, L tokens, K masks drawn per text.  Paper: Xiao et al. 2022, section 3 (arXiv 2205.12035).
Everything is drawn on the device of the ids, for all places at once.
"""

import torch
from torch import Tensor

MASKS_PER_TEXT = 128  # K; each position draws one of them
IGNORED = -100  # the label of a token that is not predicted


def words_of(is_token: Tensor) -> Tensor:
    """Tokens but the first and the last of each text, [CLS] and [SEP]: (B, L) bool -> (B, L) bool."""
    is_word = torch.zeros_like(is_token)
    is_word[:, 1:-1] = is_token[:, 2:]
    return is_word


def word_numbers(ids: Tensor, continues: Tensor) -> Tensor:
    """The number of each token's word in its text, for `choose_share`: (B, L), (V,) bool -> (B, L) int64.

    `continues` says of every token of the vocabulary whether it goes on with the word before it, as ##x does.
    """
    return (~continues[ids]).cumsum(dim=1).sub_(1).clamp_(min=0)


def choose_share(is_word: Tensor, share: float, words: Tensor | None = None) -> Tensor:
    """A random `share` of each row's True places, one at least: (..., L) bool -> (..., L) bool.

    Places with one number in `words` (..., L) int64, each below L, belong together: they are chosen in a row,
    so only the last chosen word may be cut. Rows without a True place stay empty.
    """
    chance = torch.rand(is_word.shape, device=is_word.device)
    if words is not None:
        chance = chance.gather(-1, words)
    order = chance.masked_fill_(~is_word, 2.0).argsort(dim=-1, stable=True)  # (..., L), words before others
    total = is_word.sum(dim=-1, keepdim=True)
    wanted = (total * share).round().clamp(min=1).minimum(total)  # (..., 1)
    first = torch.arange(is_word.shape[-1], device=is_word.device) < wanted
    return torch.zeros(is_word.shape, dtype=torch.bool, device=is_word.device).scatter_(-1, order, first)


def mask_tokens(
    ids: Tensor, is_word: Tensor, share: float, mask_id: int, vocab_size: int, words: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A masked input and its labels, both (B, L): 80 % of the chosen are [MASK], 10 % another token."""
    chosen = choose_share(is_word, share, words)
    fate = torch.rand(ids.shape, device=ids.device)
    masked = ids.masked_fill(chosen & (fate < 0.8), mask_id)
    swapped = torch.randint(vocab_size, ids.shape, device=ids.device)
    masked = torch.where(chosen & (fate >= 0.8) & (fate < 0.9), swapped, masked)
    return masked, ids.masked_fill(~chosen, IGNORED)


def sample_context(is_token: Tensor, is_word: Tensor, share: float, words: Tensor | None = None) -> Tensor:
    """What each position may look at when it is rebuilt: (B, L), (B, L) -> (B, L, L) bool, row i for i.

    Each row hides one of K random `share`s of the words, its own place and all padding. The sentence, at
    place 0, is seen by every row but its own; that row sees what is left.
    """
    B, L = is_token.shape
    K = min(L, MASKS_PER_TEXT)
    several = None if words is None else words[:, None].expand(B, K, L)
    hidden = choose_share(is_word[:, None].expand(B, K, L), share, several)  # (B, K, L)
    drawn = torch.randint(K, (B, L), device=is_token.device)
    rows = hidden[torch.arange(B, device=is_token.device)[:, None], drawn]  # (B, L, L)
    itself = torch.eye(L, dtype=torch.bool, device=is_token.device)
    return is_token[:, None] & ~rows & ~itself
