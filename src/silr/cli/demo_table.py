"""The demo's reviews as a table to try things on: with ratings by people, and recorded labels of a small LLM."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from silr.cli.demo_data import demo_texts

if TYPE_CHECKING:
    import pandas as pd

FIRST_REVIEW = {"DVD player": 1, "camera": 99, "phone": 176, "MP3 player": 216}  # by product; the texts say so
RECORDED = "demo_labels.txt"  # a letter a text, in the order of `demo_texts`
CLASSES = {"n": "negative", "p": "positive"}


def demo_table(cache: str | Path | None = None) -> pd.DataFrame:
    """Return the 3,610 Amazon review snippets of `silr demo`, with labels by people and by an LLM.

    The LLM's labels were recorded once: those that SmolLM2-135M-Instruct gave in `silr demo` (bfloat16). The texts are
    downloaded.

    Parameters
    ----------
    cache : str or Path, default None
        Where the download is kept, as in `silr.cli.demo_data.demo_texts`, with its errors.

    Returns
    -------
    DataFrame
        Columns `id`, `product`, `text`, `truth` (the sign of the mean human rating) and `llm_label`.
    """
    table = demo_texts(cache)
    reviews = table["id"].str.partition("_")[0].astype(int)
    place = np.searchsorted(list(FIRST_REVIEW.values()), reviews, side="right") - 1
    table.insert(1, "product", np.array(list(FIRST_REVIEW), dtype=object)[place])
    letters = files("silr.cli").joinpath(RECORDED).read_text(encoding="ascii")
    return table.assign(llm_label=[CLASSES[letter] for letter in "".join(letters.split())])
