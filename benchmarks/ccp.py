"""Contrastive credibility propagation on ready features.

Kutt et al., "Contrastive Credibility Propagation for Reliable Semi-Supervised Learning", AAAI 2024 (arXiv 2211.09929):
equations 1 and 2, algorithms 1 to 3. Where the paper trains an encoder on raw inputs with augmentation, here a small
encoder reads the features that all methods get, and two draws of dropout are the two views of a text.

A text's credibility vector has a value in [-1, 1] for each class; the LLM's label starts at 1 for its class. An
iteration trains the encoder under the soft contrastive loss, meanwhile takes from each epoch what similar texts say
about a text, averages that over the epochs, scales and adjusts it. The last vectors train a classifier.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ITERATIONS, STEPS, CLASSIFIER_STEPS = 5, 60, 200  # at least so many steps, and five epochs
BATCH, WIDTH, PROJECTION = 256, 128, 64
TEMPERATURE, DROPOUT, RATE = 0.1, 0.2, 1e-3
LARGEST_DIVERGENCE = 0.01  # between the class shares of the kept vectors and of all (algorithm 3)


def propagate_credibility(
    corpus: Any, test: Any, llm: Any, gold: Any, n_classes: int, seed: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Labels of the corpus and of the test part; gold labels (-1: none) stay as they are."""
    torch.manual_seed(seed)
    X, X_test = (torch.from_numpy(np.asarray(part, np.float32)) for part in (corpus, test))
    clamped = torch.from_numpy(np.asarray(gold)) >= 0
    start = np.where(np.asarray(gold) >= 0, gold, llm)
    q = nn.functional.one_hot(torch.from_numpy(np.maximum(start, 0).astype(np.int64)), n_classes).float()
    q[torch.from_numpy(start < 0)] = 0  # no label, no credibility
    fixed = q.clone()
    for _ in range(ITERATIONS):
        raw = contrast(X, q, clamped)
        raw = raw / raw[~clamped].max().clamp(min=1e-6)
        raw[clamped] = fixed[clamped]
        q = adjusted(raw).clamp(0, 1)
        q[clamped] = fixed[clamped]
        q = strongest(q, raw, clamped)
    classifier = train_classifier(X, q, n_classes)
    with torch.inference_mode():
        found = [classifier(part)[1].argmax(dim=1).numpy() for part in (X, X_test)]
    labels = found[0].copy()
    labels[clamped.numpy()] = np.asarray(gold)[clamped.numpy()]
    return labels, found[1]


class Network(nn.Module):
    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(width, WIDTH), nn.ReLU(), nn.Dropout(DROPOUT))
        self.project = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, PROJECTION))
        self.classify = nn.Linear(WIDTH, n_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors to compare, and class scores."""
        body = self.body(x)
        return nn.functional.normalize(self.project(body), dim=1), self.classify(body)


def epochs_of(n: int, steps: int) -> int:
    return max(5, -(-steps // -(-n // BATCH)))


def contrast(X: Tensor, q: Tensor, clamped: Tensor) -> Tensor:
    """One iteration from a fresh network: the mean over epochs of the propagated vectors."""
    network = Network(X.shape[1], q.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    total = torch.zeros_like(q)
    epochs = epochs_of(len(X), STEPS)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(BATCH):
            views, vectors = torch.cat([X[rows], X[rows]]), torch.cat([q[rows], q[rows]])
            z, _ = network(views)
            loss = soft_contrastive_loss(z, vectors)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                said = propagated(z, vectors)
                total[rows] += (said[: len(rows)] + said[len(rows) :]) / 2
    return total / epochs


def soft_contrastive_loss(z: Tensor, q: Tensor) -> Tensor:
    """Equation 1: pairs count by the product of their vectors, texts and denominators by their largest value."""
    q = q.clamp(0, 1)
    others = 1 - torch.eye(len(z))
    match, strength = (q @ q.T) * others, q.max(dim=1).values
    similar = torch.exp((1 + z @ z.T) / 2 / TEMPERATURE) * others
    share = torch.log(similar / ((similar * strength).sum(dim=1, keepdim=True) + 1e-6) + 1e-6)
    return (strength * -(share * match).sum(dim=1) / (match.sum(dim=1) + 1e-6)).mean()


def propagated(z: Tensor, q: Tensor) -> Tensor:
    """Algorithm 2: for each class the mean similarity to the texts that speak for it, without itself, adjusted."""
    similar = (1 + z @ z.T) / 2 * (1 - torch.eye(len(z)))
    q = q.clamp(0, 1)
    weight = (q.sum(dim=0) - q).clamp(min=1e-6)
    return adjusted(similar @ q / weight)


def adjusted(q: Tensor) -> Tensor:
    """Credibility: each value less the largest of the other classes."""
    top = q.topk(2, dim=1).values
    first = q == top[:, :1]
    return q - torch.where(first, top[:, 1:], top[:, :1])


def strongest(q: Tensor, raw: Tensor, clamped: Tensor) -> Tensor:
    """Algorithm 3: reset the weakest vectors, as many as leave the class shares as they are."""
    free = torch.nonzero(~clamped)[:, 0]
    order = free[raw[free].max(dim=1).values.argsort(descending=True)]
    everything = (q[free].sum(dim=0) + 1e-9) / (q[free].sum() + 1e-9)
    for keep in range(1, 101):
        kept = q[order[: max(len(order) * keep // 100, 1)]]
        share = (kept.sum(dim=0) + 1e-9) / (kept.sum() + 1e-9)
        if float((share * torch.log2(share / everything)).sum()) <= LARGEST_DIVERGENCE:
            break
    q = q.clone()
    q[order[len(order) * keep // 100 :]] = 0
    return q


def train_classifier(X: Tensor, q: Tensor, n_classes: int) -> Network:
    """Equation 2: soft cross-entropy and the contrastive loss together, on texts that have a vector."""
    network = Network(X.shape[1], n_classes)
    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    known = torch.nonzero(q.max(dim=1).values > 0)[:, 0]
    for _ in range(epochs_of(len(known), CLASSIFIER_STEPS)):
        for rows in known[torch.randperm(len(known))].split(BATCH):
            z, scores = network(X[rows])
            loss = -(q[rows] * scores.log_softmax(dim=1)).sum(dim=1).mean() + soft_contrastive_loss(z, q[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()
