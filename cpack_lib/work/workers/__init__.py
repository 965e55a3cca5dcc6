"""Functions over named tasks: in this process, in several, or on Ray."""
