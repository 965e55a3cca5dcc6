"""The data card: what a curated folder holds, where it came from and what is not known of it, as README.md.

Its numbers are counted from the folder's own files, and its texts shown so that none can break a table, load
a picture or set a link.
"""

from cpack_lib.corpus.card.sections import write_card

__all__ = ["write_card"]
