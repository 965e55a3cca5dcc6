"""What reads text: tokens, the encoder, its warm start as a bag of tokens, and RetroMAE's decoder."""
