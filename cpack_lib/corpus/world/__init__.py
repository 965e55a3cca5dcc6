"""The embedded world: plain facts with many names and many wordings, and every kind of table made from them.

`tables(kind, rows, seed)` streams documents, pairs, labelled rows or articles.  Row i depends on (seed, i)
alone, so shards can be made in any order.  `write_evaluation(folder, seed)` writes sets of all six types.
"""

from cpack_lib.corpus.world.evaluation import write_evaluation
from cpack_lib.corpus.world.tables import tables

__all__ = ["tables", "write_evaluation"]
