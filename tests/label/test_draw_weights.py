"""That the weights of adaptive draws make them speak for the corpus: against brute force and by simulation."""

import numpy as np
import pytest

from silr.label.adaptive_draw import AdaptiveDraw, draw_adaptively
from silr.label.draw import Draw, Strata, gold_weights, make_strata
from silr.label.draw_weights import DrawHistory, combined_weights, sequential_weights


def all_sequences(n, n_draws, chances):
    """Every sequence of so many of n texts: its probability, the rows and the probability of each draw."""

    def extend(rows, q, probability):
        if len(rows) == n_draws:
            yield probability, rows, q
            return
        free = [row for row in range(n) if row not in rows]
        p = chances(rows, free)
        for row, share in zip(free, p, strict=True):
            yield from extend([*rows, row], [*q, share], probability * share)

    return extend([], [], 1.0)


@pytest.mark.parametrize("n_draws", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("skipped", [(), (2,), (0, 3)])
def test_a_sum_over_the_corpus_is_estimated_without_bias(n_draws, skipped):
    """Exactly, over all sequences of draws; each draw depends on the values that were found by then."""
    y = np.array([3.0, -1.0, 2.0, 0.5, 7.0])
    inside = np.array([row not in skipped for row in range(5)])

    def chances(rows, free):
        liking = np.array([1 + row + (y[rows].sum() if rows else 0) ** 2 * (row % 2) for row in free])
        return 0.7 * liking / liking.sum() + 0.3 / len(free)

    mean, mass = 0.0, 0.0
    for probability, rows, q in all_sequences(5, n_draws, chances):
        kept = [m for m, row in enumerate(rows) if inside[row]]
        w = sequential_weights([AdaptiveDraw(m + 1, q[m]) for m in kept], n_draws, 5)
        mean += probability * (w @ y[[rows[m] for m in kept]])
        mass += probability * w.sum()
    assert mean == pytest.approx(y[inside].sum()) and mass == pytest.approx(inside.sum())


def test_the_weights_are_those_of_the_papers_formula():
    N, q = 50, [0.01, 0.2, 0.03, 0.02]
    M = len(q)
    v = [1 + (N - M) / (N - m) * (1 / ((N - m + 1) * q[m - 1]) - 1) for m in range(1, M + 1)]
    w = sequential_weights([AdaptiveDraw(m + 1, p) for m, p in enumerate(q)], M, N)
    assert w == pytest.approx(N / M * np.array(v))


@pytest.mark.parametrize("n_draws", [1, 7, 30])
def test_even_draws_have_even_weights(n_draws):
    draws = [AdaptiveDraw(m, 1 / (30 - m + 1)) for m in range(1, n_draws + 1)]
    assert sequential_weights(draws, n_draws, 30) == pytest.approx(np.full(n_draws, 30 / n_draws))
    assert sequential_weights([], 0, 30).tolist() == []


def session(rng, strata, posterior, y, n_first, n_draws, seed, skips=()):
    """Labels by strata and then adaptively, where the posterior learns from what was found."""
    by_strata, first, skipped = Draw(strata, seed), [], []
    while len(first) < n_first:
        row = by_strata.next(set(first), set(skipped))
        (skipped if row in skips else first).append(row)
    history, found, number = DrawHistory(rounds=True), list(first), 0
    while number < n_draws:
        number += 1
        free = np.setdiff1d(np.arange(len(y)), found + skipped)
        belief = np.clip(posterior + 0.3 * (np.mean(y[found]) - 0.5), 0.02, 0.98)
        row, history.adaptive[row] = draw_adaptively(np.stack([belief, 1 - belief], 1), free, number, seed)
        (skipped if row in skips else found).append(row)
    return found, skipped, history


@pytest.mark.parametrize("skips", [(), tuple(range(0, 120, 11))])
def test_both_phases_together_are_unbiased(skips):
    """Share of right labels among 120 texts, 10 of which the LLM gave no label; by simulation."""
    rng = np.random.default_rng(3)
    labels = np.where(np.arange(120) < 10, -1, rng.random(120) < 0.3).astype(int)
    strata = make_strata(labels, 2)
    posterior = rng.beta(1, 1, 120)
    y = (rng.random(120) < np.maximum(posterior, 1 - posterior)).astype(float)
    y[:10] = 1
    kept = ~np.isin(np.arange(120), skips)
    sums, totals = [], []
    for seed in range(600):
        found, skipped, history = session(rng, strata, posterior, y, 12, 12, seed, skips)
        weight = history.weights(strata, found, skipped)
        sums.append(sum(weight[row] * y[row] for row in found))
        totals.append(sum(weight.values()))
    for values, truth in ((sums, y[kept].sum()), (totals, kept.sum())):
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / np.sqrt(len(values))


def test_without_adaptive_draws_they_are_those_by_strata():
    labels = np.random.default_rng(0).integers(0, 3, 200)
    strata = make_strata(labels, 3)
    rows = [5, 17, 40, 41, 99, 120, 150]
    assert combined_weights(strata, rows, {}).tolist() == gold_weights(strata, rows).tolist()
    weight = DrawHistory(rounds=True).weights(strata, rows, {1, 2})
    assert list(weight) == rows and list(weight.values()) == gold_weights(strata, rows).tolist()


def test_a_label_that_no_draw_by_strata_reached_is_spoken_for_by_the_adaptive_draws():
    strata = Strata(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 0, 4, 4, 8]), 2)
    adaptive = {3: AdaptiveDraw(1, 0.5), 5: AdaptiveDraw(2, 0.25), 1: AdaptiveDraw(3, 0.4)}
    w = combined_weights(strata, [0], adaptive)
    second = sequential_weights(adaptive.values(), 3, 5)
    assert w == pytest.approx([0.25 * 3 + 0.75, second[0], second[1], 0.75 * second[2]])


def test_gold_from_elsewhere_trains_and_does_not_judge():
    labels = np.repeat([0, 1], 50)
    strata = make_strata(labels, 2)
    drawn = [*range(0, 6), *range(50, 56)]
    elsewhere = [10, 11, 60]
    history = DrawHistory(undrawn=set(elsewhere), rounds=True)
    few = history.weights(strata, [0, 50, *elsewhere])  # so few drawn here: as if all were drawn by strata
    assert list(few.values()) == gold_weights(strata, [0, 10, 11, 50, 60]).tolist()
    weight = history.weights(strata, drawn + elsewhere)
    assert [weight[row] for row in elsewhere] == [0, 0, 0] and history.only_trains(drawn + elsewhere) == {10, 11, 60}
    assert [weight[row] for row in drawn] == [48 / 6] * 6 + [49 / 6] * 6  # and they are not spoken for
    assert DrawHistory(undrawn=set(elsewhere)).weights(strata, drawn + elsewhere)[10] == 50 / 8  # all by strata
    weightless = DrawHistory(unjudging={10, 0})
    assert weightless.weights(strata, [0, 10]) == {0: 0, 10: 0}
    assert weightless.weights(strata, [0, 1, 50])[1] == 99 - 50
