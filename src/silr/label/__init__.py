"""A person labels a few texts, on a local page or in the terminal: columns `gold` and `gold_weight`."""
