"""RetroMAE: an encoder reads a masked text, and one layer rebuilds all of it from [CLS] and a few neighbours.

Axes: B texts, L tokens of the longest, T tokens of all texts, M places to be guessed, D width, H heads.
Paper: Xiao et al. 2022, section 3 (arXiv 2205.12035); details as in FlagEmbedding's pre-training code.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM

from cpack_lib.model.dropout import dropped
from cpack_lib.model.masks import IGNORED, choose_share, mask_tokens, sample_context
from cpack_lib.model.states import PLAIN, Layout, Way, embedded, heads, mix, token_states
from cpack_lib.model.vocabulary import bag_of_words, cross_entropies

DECODINGS = ("enhanced", "basic")


class Question(NamedTuple):
    """What the decoder is asked. Only places that are to be guessed ask, and only tokens are looked at."""

    asked: Tensor  # (M, D)
    context: Tensor  # (T, D)
    visible: Tensor  # (B, L, L) bool: which of the context each place sees
    places: Layout  # of the M
    tokens: Layout  # of the T


class Decoder(nn.Module):
    """One post-norm Transformer layer that asks with sentence and position, and answers with tokens."""

    def __init__(self, config: BertConfig):
        super().__init__()
        width, self.heads = config.hidden_size, config.num_attention_heads
        self.to_query, self.to_key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.mix, self.norm_mix = nn.Linear(width, width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm_mlp = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)  # of attention
        self.drop = nn.Dropout(config.hidden_dropout_prob)  # of states
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=config.initializer_range)
                nn.init.zeros_(part.bias)

    def forward(self, question: Question) -> Tensor:
        """The states from which the asked places are guessed: (M, D)."""
        visible = question.visible
        blind = ~visible.any(dim=-1, keepdim=True)  # padding, or a text without words: any one key will do
        mixed = mix(*self.parts(question), (visible | blind)[:, None], self)  # (B, H, L, D/H)
        mixed = question.places.gather(mixed.transpose(1, 2).flatten(2))  # (M, D)
        states = self.norm_mix(question.asked + dropped(self.mix(mixed), self.drop))
        return self.norm_mlp(states + dropped(self.mlp(states), self.drop))

    def parts(self, question: Question) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of every place, (B, H, L, D/H) each; zeros where nothing is."""
        query = question.places.spread(self.to_query(question.asked))
        both = self.to_key_value(question.context).chunk(2, dim=-1)
        key, value = (question.tokens.spread(part) for part in both)
        return heads(query, self.heads), heads(key, self.heads), heads(value, self.heads)


class RetroMAE(nn.Module):
    """A masked-language model and its decoder; the loss is the sum of what both could not guess.

    `decoder_labels` is the share of words the decoder has to rebuild: 1 in the paper. The guesses over the
    whole vocabulary cost most of a step, so a laptop asks for fewer.
    `decoding` *basic* is the paper's ablation: the decoder is shown one masked text and asked for what is
    masked. `bag_of_words` above 0 adds DupMAE's loss, to be weighted by it. `way` is how the
    encoder's forward pass is made.
    """

    def __init__(
        self,
        language_model: BertForMaskedLM,
        mask_id: int,
        encoder_mask: float = 0.3,
        decoder_mask: float = 0.5,
        decoder_labels: float = 1.0,
        decoding: str = "enhanced",
        bag_of_words: float = 0.0,
        way: Way = PLAIN,
    ):
        super().__init__()
        for name, share in (("encoder_mask", encoder_mask), ("decoder_mask", decoder_mask)):
            if not 0 < share < 1:
                raise ValueError(f"{name} is {share}; it is a share of the tokens, between 0 and 1")
        if decoding not in DECODINGS:
            raise ValueError(f"decoding is {decoding!r}; choose one of {', '.join(DECODINGS)}")
        self.language_model, self.decoder = language_model, Decoder(language_model.config)
        self.mask_id, self.encoder_mask, self.decoder_mask = mask_id, encoder_mask, decoder_mask
        self.decoder_labels, self.decoding, self.bag_of_words = decoder_labels, decoding, bag_of_words
        self.way = way

    def forward(
        self, ids: Tensor, is_token: Tensor, is_word: Tensor, words: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Ids, real tokens and words (tokens but [CLS], [SEP]), all (B, L) -> sums and counts of the losses.

        The sums let a caller average over a whole step, however it was cut: `encoder_loss`, `encoder_right`
        and `encoder_count`, and the same three of the decoder; `bag_of_words_loss` and its count, of texts.
        """
        masked, labels = self.masked(ids, is_word, self.encoder_mask, words)
        states = token_states(self.language_model.bert, masked, is_token, self.way)  # (B, L, D)
        guessed = Layout.of(labels != IGNORED)
        found = self.guesses("encoder", guessed.gather(states), labels.flatten()[guessed.places])
        question, wanted = self.ask(states[:, 0], ids, is_token, is_word, words)
        found |= self.guesses("decoder", self.decoder(question), wanted)
        if self.bag_of_words:
            loss, count = bag_of_words(self.language_model.cls, states, ids, is_token, is_word)
            found |= {"bag_of_words_loss": loss, "bag_of_words_count": count}
        return found

    def masked(
        self, ids: Tensor, is_word: Tensor, share: float, words: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """A masked text and its labels, (B, L) each."""
        vocab_size = self.language_model.config.vocab_size
        return mask_tokens(ids, is_word, share, self.mask_id, vocab_size, words)

    def ask(
        self, sentence: Tensor, ids: Tensor, is_token: Tensor, is_word: Tensor, words: Tensor | None = None
    ) -> tuple[Question, Tensor]:
        """From the sentence (B, D) and the unmasked ids (B, L): the question and the words wanted (M,)."""
        shown, guessable, visible = self.puzzle(ids, is_token, is_word, words)
        share, tokens = self.decoder_labels, Layout.of(is_token)
        places = Layout.of(choose_share(guessable, share) if share < 1 else guessable)
        context = embedded(self.language_model.bert, shown, tokens)  # (T, D)
        context = context.index_copy(0, tokens.starts[:-1].long(), sentence.to(context.dtype))
        basic = self.decoding == "basic"
        asked = places.gather(tokens.spread(context)) if basic else self.at_places(sentence, places)
        return Question(asked, context, visible, places, tokens), ids.flatten()[places.places]

    def puzzle(
        self, ids: Tensor, is_token: Tensor, is_word: Tensor, words: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder is shown (B, L), may be asked for (B, L), and sees from each place (B, L, L)."""
        if self.decoding == "enhanced":
            return ids, is_word, sample_context(is_token, is_word, self.decoder_mask, words)
        shown, labels = self.masked(ids, is_word, self.decoder_mask, words)
        return shown, labels != IGNORED, is_token[:, None].expand(-1, ids.shape[1], -1)

    def at_places(self, sentence: Tensor, places: Layout) -> Tensor:
        """The sentence (B, D) at some places, as BERT embeds a word there: (M, D). So does FlagEmbedding."""
        parts, L = self.language_model.bert.embeddings, places.is_token.shape[1]
        positions = parts.position_embeddings.weight[:L] + parts.token_type_embeddings.weight[0]
        asked = places.gather(sentence[:, None] + positions)  # (M, D)
        return dropped(parts.LayerNorm(asked), parts.dropout)

    def guesses(self, name: str, states: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """Summed cross-entropy, right guesses and count of some places: their states (M, D), words (M,)."""
        loss, right = cross_entropies(self.language_model.cls, states, wanted)
        return {f"{name}_loss": loss, f"{name}_right": right, f"{name}_count": torch.tensor(len(wanted))}
