"""Copies, exact and near: found by keys and sketches of 64 bits, never by holding the texts."""
