"""Losses over the whole vocabulary, a few rows at a time: the scores of all rows never exist at once.

For a vocabulary of 21,128 the scores of 4,096 tokens are a third of a gigabyte, kept twice by autograd. The
gradient of these losses is known with their value, so both are made chunk by chunk in the forward pass.

Axes: B texts, L tokens, M rows that are scored, C rows of a chunk, D width, V vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

ROWS_PER_CHUNK = 512  # fewer cost time: the gradient of the table is added up once per chunk
Judge = Callable[[slice, Tensor], Tensor]  # which rows, their scores (C, V) -> loss and right guesses, (2,)


class Judged(torch.autograd.Function):
    """Two sums over the rows of `states · table + bias`: a loss, and what is counted beside it.

    The judge turns a chunk's scores, in place, into the gradient of its loss.
    """

    @staticmethod
    def forward(ctx, states, table, bias, judge, rows_per_chunk, kind, learns):
        """(M, D), (V, D), (V,), and whether gradients are wanted -> loss (), count (); products in `kind`."""
        words, shift = table.to(kind), bias.to(kind)
        wide = torch.promote_types(kind, torch.float32)
        shape = (min(len(states), rows_per_chunk), len(table))
        scores, narrow = (states.new_empty(shape, dtype=dtype) for dtype in (wide, kind))  # for every chunk
        slopes = [torch.zeros_like(part) for part in (states, table, bias)] if learns else []
        product = torch.empty_like(table) if learns else None
        sums = states.new_zeros(2, dtype=wide)
        for rows in chunk_slices(len(states), rows_per_chunk):
            x = states[rows].to(kind)  # (C, D)
            some, half = scores[: len(x)], narrow[: len(x)]  # (C, V)
            some.copy_(torch.addmm(shift, x, words.T, out=half))
            sums += judge(rows, some)
            if learns:
                to_states, to_table, to_bias = slopes
                half.copy_(some)
                to_states[rows] = half @ words
                to_table += product.copy_(half.T @ x)  # faster than to add another type
                to_bias += some.sum(dim=0)
        ctx.save_for_backward(*slopes)
        ctx.mark_non_differentiable(count := sums[1].clone())
        return sums[0].clone(), count

    @staticmethod
    def backward(ctx, upstream, _):
        slopes = [slope.mul_(upstream) for slope in ctx.saved_tensors]  # PyTorch refuses to go back twice
        return *slopes, None, None, None, None


def chunk_slices(M: int, rows_per_chunk: int) -> list[slice]:
    """0 to M in parts."""
    return [slice(start, min(M, start + rows_per_chunk)) for start in range(0, M, rows_per_chunk)]


def judged(
    head: nn.Module, states: Tensor, judge: Judge, rows_per_chunk: int = ROWS_PER_CHUNK
) -> tuple[Tensor, Tensor]:
    """Loss and count over rows (M, D), through the masked-language head of BERT; autocast is obeyed."""
    predictions, device = head.predictions, states.device.type
    states, output = predictions.transform(states), predictions.decoder
    kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
    learns = torch.is_grad_enabled()
    with torch.autocast(device, enabled=False):
        return Judged.apply(states, output.weight, output.bias, judge, rows_per_chunk, kind, learns)


def cross_entropies(head: nn.Module, states: Tensor, wanted: Tensor, **chunk: int) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy of guesses (M, D) whose words are known (M,), and how many are right."""

    def judge(rows: slice, scores: Tensor) -> Tensor:
        place = wanted[rows, None]  # (C, 1)
        own = scores.gather(1, place)
        others = scores.scatter_(1, place, -torch.inf).amax(dim=1, keepdim=True)
        best = torch.maximum(own, others)
        rest = scores.sub_(best).exp_().sum(dim=1, keepdim=True)  # the softmax but for its total
        total = rest + (own - best).exp()
        scores.scatter_(1, place, -rest).div_(total)
        return torch.stack([(total.log() - (own - best)).sum(), (own > others).sum()])

    return judged(head, states, judge, **chunk)


def bag_of_words(
    head: nn.Module, states: Tensor, ids: Tensor, is_token: Tensor, is_word: Tensor, texts_per_chunk: int = 0
) -> tuple[Tensor, Tensor]:
    """DupMAE's loss summed over texts, and how many have a word: (B, L, D), (B, L) three times -> (), ().

    The guesses of a text's tokens but [CLS] are pooled by their maximum; the loss is the mean of -log softmax
    over the words of the text, each counted once (arXiv 2305.02564, section 3.3).
    """
    L, V = ids.shape[1], head.predictions.decoder.out_features
    texts = texts_per_chunk or max(1, ROWS_PER_CHUNK // L)
    hidden = ~is_token.index_fill(1, ids.new_zeros(1), False)  # (B, L)

    def judge(rows: slice, scores: Tensor) -> Tensor:
        some = slice(rows.start // L, rows.stop // L)
        scores = scores.view(-1, L, V)  # (b, L, V)
        pooled, place = scores.masked_fill_(hidden[some, :, None], -1000.0).max(dim=1)  # (b, V)
        present = scores.new_zeros(len(pooled), V + 1).scatter_(1, ids[some].where(is_word[some], V), 1.0)
        count = present[:, :V].sum(dim=1, keepdim=True)
        share, has_word = present[:, :V] / count.clamp(min=1), count > 0
        logarithm = pooled.log_softmax(dim=1)
        slope = logarithm.exp() * has_word - share
        scores.zero_().scatter_(1, place[:, None], slope[:, None])
        return torch.stack([-(logarithm * share).sum(), has_word.sum()])

    return judged(head, states.flatten(0, 1), judge, rows_per_chunk=texts * L)
