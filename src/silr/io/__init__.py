"""Files, folders, locks and the cache; knows nothing of labels."""
