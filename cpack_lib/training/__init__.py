"""How the encoder learns: batches, the contrast between texts, negatives, and the loop of steps."""
