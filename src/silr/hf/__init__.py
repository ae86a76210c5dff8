"""Language models of transformers: loading, devices, tokens, checkpoints, several processes."""
