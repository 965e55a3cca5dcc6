"""What a model makes of texts: instructions that are missing or doubled, ends and characters never read.

Axes: N texts or queries.
"""

import math
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from cpack_lib.evaluation.diagnosis.findings import Finding, judged
from cpack_lib.evaluation.diagnosis.measures import surely

LEAST = 8  # characters: shorter beginnings, such as a polite phrase, are shared by chance
COMMON = 0.1  # of the queries share a beginning that is an instruction
SPACES = re.compile(r"\s+")


def doubled_instruction(queries: Sequence[str], prompt: str) -> Finding:
    """Queries, as they are handed to a model that puts its own prompt before them, that have it already."""
    begin = plain(prompt)
    begun = np.array([bool(begin) and plain(query).startswith(begin) for query in queries])
    twice = bool(begin) and begin == begin[: len(begin) // 2] * 2
    return judged(
        "doubled instruction",
        1.0 if twice else float(begun.mean()),
        f"the model's prompt is an instruction twice: {prompt[:60]!r}"
        if twice
        else f"{begun.sum():,} of {len(queries):,} queries begin with the prompt that the model adds again "
        f"({prompt[:30]!r})",
        "take it out of the texts, or encode them with prompt='': one of the two places, not both",
    )


def missing_instruction(trained: Sequence[str], prompt: str) -> Finding:
    """Queries as a model was trained on them, many of which begin alike, and the prompt it is used with."""
    begin = beginning(trained)
    one, other = plain(begin), plain(prompt)  # many questions go on alike behind an instruction
    agree = other.startswith(one) or (len(other) >= LEAST and one.startswith(other))
    lost = bool(begin) and not agree
    share = float(np.mean([query.startswith(begin) for query in trained])) if lost else 0.0
    return judged(
        "missing instruction",
        share,
        f"{share:.0%} of {len(trained):,} training queries begin with {begin[:30]!r}, but the model's prompt "
        f"for queries is {prompt[:30]!r}"
        if lost
        else f"training queries and the prompt {prompt[:30]!r} agree",
        "save the encoder with its instruction, save_encoder(encoder, folder, instruction=...), or pass it: "
        "encode(queries, prompt=...)",
    )


def unused_instruction(plainly: np.ndarray, instructed: np.ndarray, instruction: str) -> Finding:
    """Reciprocal ranks of the answers (N,) without an instruction, as a model is used, and with one."""
    gain = surely(instructed - plainly)
    return judged(
        "unused instruction",
        gain,
        f"mean reciprocal rank {plainly.mean():.3f} as it is, {instructed.mean():.3f} behind "
        f"{instruction[:20]!r}",
        "give the model this prompt for queries: config_sentence_transformers.json, or encode(prompt=...)",
    )


def beginning(queries: Sequence[str]) -> str:
    """The longest text that COMMON of the queries begin with, or nothing where it is shorter than LEAST."""
    rows = sorted(queries)
    wanted = max(2, math.ceil(COMMON * len(rows)))
    windows = zip(rows, rows[wanted - 1 :], strict=False)  # in order, equal beginnings stand together
    best = max((common(first, last) for first, last in windows), key=len, default="")
    return best if len(best) >= LEAST else ""


def common(first: str, second: str) -> str:
    """What two texts begin with alike."""
    same = (a == b for a, b in zip(first, second, strict=False))
    length = next((i for i, equal in enumerate(same) if not equal), min(len(first), len(second)))
    return first[:length]


def plain(text: str) -> str:
    """The text without white space, widths and capitals."""
    return SPACES.sub("", unicodedata.normalize("NFKC", text)).casefold()


def truncated_texts(lengths: Sequence[int], longest: int) -> Finding:
    """Tokens of each text with [CLS] and [SEP] (N,), and how many the model reads."""
    lengths = np.asarray(lengths)
    cut, lost = lengths > longest, np.maximum(lengths - longest, 0).sum() / max(1, lengths.sum())
    return judged(
        "truncated texts",
        float(lost),
        f"{cut.mean():.0%} of {len(lengths):,} texts have more than {longest} tokens, {lost:.0%} of all "
        f"tokens are never read; the longest text has {lengths.max(initial=0):,}",
        "raise longest (max_seq_length), up to the positions of the model; or cut documents into passages",
    )


def too_long_for_the_model(longest: int, positions: int) -> Finding:
    """Tokens that a model is told to read, and the positions it has embeddings for."""
    return judged(
        "no such positions",
        longest / positions,
        f"texts of up to {longest:,} tokens are read, the model has {positions:,} positions",
        "lower max_seq_length: a longer text would stop the program with `index out of range`",
    )


def unknown_tokens(ids: Sequence[Sequence[int]], unknown: int) -> Finding:
    """Token ids of each text without [CLS] and [SEP], and the id of [UNK]."""
    everything = np.concatenate([np.asarray(row, dtype=np.int64) for row in ids])
    if not len(everything):
        raise ValueError(f"{len(ids)} texts without a token tell nothing of [UNK]; give texts with words")
    share = float((everything == unknown).mean())
    return judged(
        "unknown tokens",
        share,
        f"{share:.1%} of {len(everything):,} tokens are [UNK]",
        "use the tokenizer that the model was trained with, or one whose alphabet has the texts' characters",
    )


def ids_without_a_row(vocabulary: int, rows: int) -> Finding:
    """Ids that the tokenizer can give, and rows of the table of token embeddings."""
    lost = max(0, vocabulary - rows) / vocabulary
    return judged(
        "ids without a row",
        lost,
        f"the tokenizer has {vocabulary:,} ids, the table {rows:,} rows",
        "these two do not belong together: load the tokenizer from the model's folder, or resize the table "
        "(model.resize_token_embeddings) and train",
    )


def rows_without_an_id(vocabulary: int, rows: int) -> Finding:
    """Rows of the table of token embeddings that no token has; a few make its size a round number."""
    idle = max(0, rows - vocabulary) / rows
    return judged(
        "rows without an id",
        idle,
        f"{idle:.1%} of the table's {rows:,} rows have no token of {vocabulary:,}",
        "the tokenizer is probably another model's: load the one from the model's folder",
    )
