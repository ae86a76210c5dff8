"""Static embeddings out of MiniLM: one vector a token of its vocabulary, saved as model2vec reads it.

The recipe is that of model2vec's `distill`, which wants older versions of transformers: the encoder reads each token
alone, the mean of its states is reduced to 256 principal components, and frequent tokens weigh less. The vocabulary is
in the order of frequency, so that Zipf's law gives the frequencies.

References
----------
Arora, Liang, Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR 2017: the weights a / (a + p).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

COMPONENTS = 256
SMOOTHING = 1e-4  # a of the weights
UNUSED = "[unused"
BATCH = 512


def distil(encoder: Path, folder: Path, tokens: int | None = None) -> None:
    """Write the static embeddings of an encoder with WordPiece tokens into a folder; of its first tokens alone, if so
    many are named, which is quick.
    """
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    vocabulary = tokenizer.get_vocab()
    special = {"[CLS]", "[SEP]", "[MASK]"}
    names = [
        name
        for name in sorted(vocabulary, key=vocabulary.__getitem__)
        if not name.startswith(UNUSED) and name not in special
    ][:tokens]
    vectors = token_vectors(encoder, [vocabulary[name] for name in names], vocabulary["[CLS]"], vocabulary["[SEP]"])
    chance = 1 / np.arange(2, len(names) + 2)
    weights = SMOOTHING / (SMOOTHING + chance / chance.sum())
    table = principal(vectors, COMPONENTS) * weights[:, None]
    tokenizer.model = models.WordPiece({name: number for number, name in enumerate(names)}, unk_token="[UNK]")
    tokenizer.post_processor = None
    StaticModel(table.astype(np.float16), without_added(tokenizer), normalize=True).save_pretrained(folder)


def without_added(tokenizer: Any) -> Any:
    """The tokenizer without added tokens, whose numbers are those of the old vocabulary."""
    import json

    from tokenizers import Tokenizer

    record = json.loads(tokenizer.to_str())
    return Tokenizer.from_str(json.dumps({**record, "added_tokens": [], "padding": None, "truncation": None}))


def token_vectors(encoder: Path, tokens: list[int], first: int, last: int) -> Any:
    """Mean of an encoder's last states over a token and the two marks around it, shape (n, d)."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(encoder).eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(tokens), BATCH):
            rows = torch.tensor([[first, token, last] for token in tokens[start : start + BATCH]])
            found.append(model(rows).last_hidden_state.mean(dim=1).float().numpy())
    return np.concatenate(found)


def principal(vectors: Any, count: int) -> Any:
    """The first principal components' scores, shape (n, count)."""
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return centred @ axes[:, ::-1][:, :count]
