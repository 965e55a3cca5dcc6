"""C-Pack rebuilt from raw Chinese text to a C-MTEB table: work, corpus, model, training, evaluation."""
