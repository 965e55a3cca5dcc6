"""Who answers: any encoder and the lexical baselines, as mteb asks them."""
