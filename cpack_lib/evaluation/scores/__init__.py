"""What is told: scores, their averages and how sure they are, beside published rows."""
