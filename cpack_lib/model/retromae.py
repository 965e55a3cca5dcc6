"""RetroMAE: an encoder reads a masked text, and one layer rebuilds all of it from [CLS] and a few neighbours.

Axes: B texts, L tokens, K masks drawn per text, D width, H heads, V vocabulary, M predicted tokens.
Paper: Xiao et al. 2022, section 3 (arXiv 2205.12035); details as in FlagEmbedding's pre-training code.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention
from transformers import BertConfig, BertForMaskedLM

MASKS_PER_TEXT = 128  # K; each position draws one of them
IGNORED = -100  # the label of a token that is not predicted


def choose_share(is_word: Tensor, share: float, words: Tensor | None = None) -> Tensor:
    """A random `share` of each row's True places, one at least: (..., L) bool -> (..., L) bool.

    Places with one number in `words` (..., L) int64, each below L, belong together: they are chosen in a row,
    so only the last chosen word may be cut. Rows without a True place stay empty.
    """
    chance = torch.rand(is_word.shape, device=is_word.device)
    if words is not None:
        chance = chance.gather(-1, words)
    chance = chance.masked_fill(~is_word, 2.0)
    rank = chance.argsort(dim=-1, stable=True).argsort(dim=-1)  # (..., L), 0 for the smallest chance
    total = is_word.sum(dim=-1, keepdim=True)
    wanted = (total * share).round().clamp(min=1).minimum(total)
    return is_word & (rank < wanted)


def mask_tokens(
    ids: Tensor, is_word: Tensor, share: float, mask_id: int, vocab_size: int, words: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The encoder's input and its labels, both (B, L): 80 % of the chosen are [MASK], 10 % another token."""
    chosen = choose_share(is_word, share, words)
    fate = torch.rand(ids.shape, device=ids.device)
    masked = ids.masked_fill(chosen & (fate < 0.8), mask_id)
    swapped = torch.randint(vocab_size, ids.shape, device=ids.device)
    masked = torch.where(chosen & (fate >= 0.8) & (fate < 0.9), swapped, masked)
    return masked, ids.masked_fill(~chosen, IGNORED)


def sample_context(is_token: Tensor, is_word: Tensor, share: float) -> Tensor:
    """What each position may look at when it is rebuilt: (B, L), (B, L) -> (B, L, L) bool, row i for i.

    Each row hides one of K random `share`s of the words, its own place and all padding. The sentence, at
    place 0, is seen by every row but its own; that row sees what is left.
    """
    B, L = is_token.shape
    K = min(L, MASKS_PER_TEXT)
    hidden = choose_share(is_word[:, None].expand(B, K, L), share)  # (B, K, L)
    drawn = torch.randint(K, (B, L), device=is_token.device)
    rows = hidden.gather(1, drawn[:, :, None].expand(B, L, L))  # (B, L, L)
    itself = torch.eye(L, dtype=torch.bool, device=is_token.device)
    return is_token[:, None] & ~rows & ~itself


class Decoder(nn.Module):
    """One post-norm Transformer layer that asks with sentence and position, and answers with tokens."""

    def __init__(self, config: BertConfig):
        super().__init__()
        width, self.heads, self.dropout = (
            config.hidden_size,
            config.num_attention_heads,
            config.attention_probs_dropout_prob,
        )
        self.to_query, self.to_key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.mix, self.norm_mix = nn.Linear(width, width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm_mlp = nn.LayerNorm(width)
        self.drop = nn.Dropout(config.hidden_dropout_prob)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=config.initializer_range)
                nn.init.zeros_(part.bias)

    def forward(self, asked: Tensor, context: Tensor, visible: Tensor) -> Tensor:
        """Queries (B, L, D), what may be looked at (B, L, D), which of it (B, L, L) -> (B, L, D)."""
        blind = ~visible.any(dim=-1, keepdim=True)  # padding, or a text without words: any one key will do
        query = self.split_heads(self.to_query(asked))  # (B, H, L, D/H)
        key, value = map(self.split_heads, self.to_key_value(context).chunk(2, dim=-1))
        dropped = self.dropout if self.training else 0.0
        mixed = scaled_dot_product_attention(
            query, key, value, attn_mask=(visible | blind)[:, None], dropout_p=dropped
        )
        states = self.norm_mix(asked + self.drop(self.mix(mixed.transpose(1, 2).flatten(2))))  # (B, L, D)
        return self.norm_mlp(states + self.drop(self.mlp(states)))

    def split_heads(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, H, L, D/H)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class RetroMAE(nn.Module):
    """A masked-language model and its decoder; the loss is the sum of what both could not guess.

    `decoder_labels` is the share of words the decoder has to rebuild: 1 in the paper. The guesses over the
    whole vocabulary cost most of a step, so a laptop asks for fewer.
    """

    def __init__(
        self,
        language_model: BertForMaskedLM,
        mask_id: int,
        encoder_mask: float = 0.3,
        decoder_mask: float = 0.5,
        decoder_labels: float = 1.0,
    ):
        super().__init__()
        for name, share in (("encoder_mask", encoder_mask), ("decoder_mask", decoder_mask)):
            if not 0 < share < 1:
                raise ValueError(f"{name} is {share}; it is a share of the tokens, between 0 and 1")
        self.language_model, self.decoder = language_model, Decoder(language_model.config)
        self.mask_id, self.encoder_mask, self.decoder_mask = mask_id, encoder_mask, decoder_mask
        self.decoder_labels = decoder_labels

    def forward(
        self, ids: Tensor, is_token: Tensor, is_word: Tensor, words: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Ids, real tokens and words (tokens but [CLS], [SEP]), all (B, L) -> sums and counts of both losses.

        The sums let a caller average over a whole step, however it was cut: `encoder_loss`, `encoder_right`
        and `encoder_count`, and the same three of the decoder.
        """
        bert, vocab_size = self.language_model.bert, self.language_model.config.vocab_size
        masked, labels = mask_tokens(ids, is_word, self.encoder_mask, self.mask_id, vocab_size, words)
        states = bert(input_ids=masked, attention_mask=is_token.long()).last_hidden_state  # (B, L, D)
        rebuilt = self.rebuild(states[:, :1], ids, is_token, is_word)
        asked = choose_share(is_word, self.decoder_labels) if self.decoder_labels < 1 else is_word
        return self.guesses("encoder", states, labels) | self.guesses(
            "decoder", rebuilt, ids.masked_fill(~asked, IGNORED)
        )

    def rebuild(self, sentence: Tensor, ids: Tensor, is_token: Tensor, is_word: Tensor) -> Tensor:
        """The decoder's states (B, L, D), from the sentence (B, 1, D) and the unmasked ids (B, L)."""
        embeddings, L = self.language_model.bert.embeddings, ids.shape[1]
        context = torch.cat([sentence, embeddings(input_ids=ids)[:, 1:]], dim=1)  # (B, L, D)
        asked = embeddings(inputs_embeds=sentence.expand(-1, L, -1))  # adds positions, as FlagEmbedding does
        return self.decoder(asked, context, sample_context(is_token, is_word, self.decoder_mask))

    def guesses(self, name: str, states: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Summed cross-entropy, right guesses and count of labelled places; logits for these alone (M, V)."""
        asked = labels != IGNORED
        logits = self.language_model.cls(states[asked]).float()  # (M, V)
        wanted = labels[asked]
        return {
            f"{name}_loss": cross_entropy(logits, wanted, reduction="sum"),
            f"{name}_right": (logits.argmax(dim=-1) == wanted).sum(),
            f"{name}_count": asked.sum(),
        }
