"""How good an encoder is: C-MTEB's six task types through mteb, lexical baselines, geometry, intervals."""
