"""What a run will cost before it is submitted: memory by part, seconds, hours, money, on cards of others."""
