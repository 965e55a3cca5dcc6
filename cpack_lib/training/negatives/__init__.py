"""Hard negatives: texts that look like an answer and are none, searched for in each source's own corpus.

`strategies` choose them, by `search` (exact) or `cells` (approximate), `guards` and `draws`; `groups` does it
for labelled rows with `vectors` on the disk; `candidates` and `truth` look at what came out; `refresh` mines
again while the encoder learns.
"""

from cpack_lib.training.negatives.candidates import candidates
from cpack_lib.training.negatives.groups import write_groups
from cpack_lib.training.negatives.guards import Guard, below_margin, below_share
from cpack_lib.training.negatives.search import Search, mine
from cpack_lib.training.negatives.strategies import (
    STRATEGIES,
    Strategy,
    at_random,
    easy_window,
    given,
    guided,
    named_strategy,
    positive_aware,
    positive_margin,
    rank_window,
)
from cpack_lib.training.negatives.truth import false_among, false_negative_share, false_negatives
from cpack_lib.training.negatives.vectors import embedder
from cpack_lib.training.negatives.window import ORIGINS, Negatives, Window

__all__ = [
    "ORIGINS",
    "STRATEGIES",
    "Guard",
    "Negatives",
    "Search",
    "Strategy",
    "Window",
    "at_random",
    "below_margin",
    "below_share",
    "candidates",
    "easy_window",
    "embedder",
    "false_among",
    "false_negative_share",
    "false_negatives",
    "given",
    "guided",
    "mine",
    "named_strategy",
    "positive_aware",
    "positive_margin",
    "rank_window",
    "write_groups",
]
