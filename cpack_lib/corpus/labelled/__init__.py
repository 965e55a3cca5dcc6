"""The labelled part of C-MTP: the eight public sets of the paper as query, pos, neg, source and task."""
