"""Pages to read without Jupyter: a report of a run, a gallery of its executed notebooks."""
