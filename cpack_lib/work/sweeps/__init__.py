"""Sweeps: an ablation as a list of small differences, run here or by Slurm, read back as one table."""
