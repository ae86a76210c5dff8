"""silr: turn the cheap, biased labels of an LLM into better labels and a better classifier."""

__version__ = "0.1.0"
