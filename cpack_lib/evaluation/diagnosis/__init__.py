"""What goes wrong with an encoder or a training run: each failure a number, its limits, and a remedy."""
