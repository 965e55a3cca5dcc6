"""The second room: raw pages and other people's tables become the pairs that everything else learns from."""
