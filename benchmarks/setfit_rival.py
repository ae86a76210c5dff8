"""SetFit (Tunstall et al., "Efficient few-shot learning without prompts", 2022, arXiv 2209.11055), by its package.

MiniLM is fine-tuned on pairs of gold texts of the same class or not, by the paper's recipe: each text in 20 pairs of
either kind, one epoch in batches of 16, learning rate 2e-5; then a logistic regression on its embeddings.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from typing import Any

import numpy as np

from answers import Answer, answer
from feature_cache import minilm_folder
from tables import Gold, Split

PAIRS = 20  # of either kind for each text
BATCH = 16


def is_installed() -> bool:
    return importlib.util.find_spec("setfit") is not None


def setfit(part: Split, gold: Gold, pairs: int = PAIRS) -> list[Answer]:
    """SetFit on the gold labels. It has no weights: each gold label counts as one."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # it would look for a model card of the folder
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar
    from setfit import SetFitModel, Trainer, TrainingArguments

    disable_progress_bar()
    rows, n_classes = gold.rows, len(part.classes)
    labels = gold.labels[rows].astype(int)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        only = [np.eye(n_classes)[np.full(len(texts), classes[0])] for texts in part.texts]
        return [answer((only[0], only[1]))]
    model = SetFitModel.from_pretrained(str(minilm_folder()), device="cpu")
    data = Dataset.from_dict({"text": [part.texts[0][row] for row in rows], "label": codes.tolist()})
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            batch_size=BATCH,
            num_epochs=1,
            num_iterations=pairs,
            save_strategy="no",
            report_to="none",
            show_progress_bar=False,
            seed=part.seed,
        )
        Trainer(model=model, args=arguments, train_dataset=data).train()
    found: list[Any] = []
    for texts in part.texts:
        probabilities = np.zeros((len(texts), n_classes))
        if len(texts):
            probabilities[:, classes] = model.predict_proba(list(texts), as_numpy=True, show_progress_bar=False)
        found.append(probabilities)
    return [answer((found[0], found[1]))]
