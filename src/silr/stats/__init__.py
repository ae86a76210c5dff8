"""The formulas: arrays in, arrays out. No files, no printing."""
