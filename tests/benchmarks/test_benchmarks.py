"""The methods of the benchmarks: those we wrote against independent derivations, all of them end to end."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import compare
from cases import find_cases, weak_case
from ccp import adjusted, propagate_credibility, propagated, soft_contrastive_loss, strongest
from command_line import shared
from methods import METHODS, Gold, threshold
from synthetic import make_corpus
from tables import Split, draw_gold, split
from ten_classes import one_seed

COMPARE = Path(__file__).parents[2] / "benchmarks" / "compare.py"


def write_table(folder: Path, name: str, classes: tuple[str, ...], n: int = 700, features: bool = True) -> Path:
    """A table as `compare.py` reads them: the annotator is biased, and its scores know more than its labels."""
    corpus = make_corpus(n, classes, seed=1)
    rng = np.random.default_rng(0)
    said = corpus.llm_labels[:, None] == np.array(classes)
    true = corpus.truth[:, None] == np.array(classes)
    logits = rng.normal(size=said.shape) + 2 * true
    logits += said * (logits.max(axis=1, keepdims=True) - logits + 0.1)
    scores = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    columns = {f"llm_score_{each}": scores[:, k] for k, each in enumerate(classes)}
    if features:
        np.save(folder / f"{name}.features.npy", corpus.features.astype(np.float16))
    return corpus.write(folder, f"{name}.csv.gz", **columns)


def compare_in_a_process(arguments: list[str]) -> str:
    """What `compare.py` prints, run as users run it."""
    done = shared()(*arguments, script=COMPARE)
    assert done.code == 0, done.err
    return done.out


def compare_here(arguments: list[str]) -> str:
    """The same in this process, which has imported everything and obeys the fixture `short`."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setattr(sys, "argv", [str(COMPARE), *arguments])
        patch.setattr(compare, "ProcessPoolExecutor", ThreadPoolExecutor)
        compare.main()
    return printed.getvalue()


def run_compare(
    folder: Path, cache: Path, *options: str, by: Callable[[list[str]], str] = compare_here
) -> dict[str, dict[str, float]]:
    """Accuracies by method and case, as `compare.py --quick` prints them."""
    printed = by([str(folder), "--quick", "--jobs", "1", "--cache", str(cache), *options])
    rows = [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith("| ")]
    cases = rows[0]
    return {
        name: {case: float(said.split()[0]) for case, said in zip(cases, cells, strict=True) if "±" in said}
        for name, *cells in rows[2:]
    }


@pytest.mark.slow
def test_every_method_runs(tmp_path: Path, short: None) -> None:
    """With hidden states and two classes; those that treat more classes in a way of their own with TF-IDF and three."""
    some = ["LLM", "threshold", "confusion", "gold only: both", "stack", "robust UU (paper)", "silr"]
    some += ["ceiling: all true labels"]
    write_table(tmp_path, "two", ("negative", "positive"), n=300)
    write_table(tmp_path, "three", ("a", "b", "c"), n=300, features=False)
    (case,) = find_cases(tmp_path, ["weak"], ["two"])
    every = [name for name, method in METHODS.items() if method.applies(case)]
    for table, methods, by in (("two", every, compare_here), ("three", some, compare_in_a_process)):
        options = ["--groups", "weak", "--tables", table, "--methods", *methods]
        printed = run_compare(tmp_path, tmp_path / "cache", *options, by=by)
        accuracy = {name: cases[table] for name, cases in printed.items()}
        assert set(accuracy) == set(methods)
        assert accuracy["ceiling: all true labels"] > 0.85
        assert accuracy["silr"] > accuracy["LLM"] + 0.1
        assert accuracy["gold only: both"] > accuracy["LLM"]
        assert accuracy["stack"] > accuracy["LLM"]


@pytest.mark.slow
def test_ten_classes() -> None:
    accuracy = {name: one_seed(name, 0)["test"]["accuracy"] for name in ("LLM", "gold only: states", "silr")}
    assert accuracy["silr"] > accuracy["gold only: states"] + 0.02 > accuracy["LLM"] + 0.2


def test_labels_too_rare_for_every_fold_train_nothing(tmp_path: Path) -> None:
    """And cleanlab's classes are the table's, though it wants them numbered without gaps."""
    part = split(weak_case(write_table(tmp_path, "table", ("a", "b", "c"))), 0)
    llm = np.where(part.llm[0] == 1, 0, part.llm[0])
    llm[:4] = 1
    (said,) = METHODS["cleanlab"].run(replace(part, llm=(llm, part.llm[1])), Gold(*draw_gold(part, 30)))
    corpus, test = said.labels
    assert set(corpus) | set(test) == {0, 2}
    assert (test[part.truth[1] == 2] == 2).mean() > 0.5


def test_a_split_is_the_seeds_and_gold_is_the_corpus_truth(tmp_path: Path) -> None:
    case = weak_case(write_table(tmp_path, "two", ("negative", "positive"), n=200))
    one, again, other = split(case, 0), split(case, 0), split(case, 1)
    assert one.texts == again.texts and one.texts != other.texts
    assert len(one.texts[0]) == 160 and len(one.texts[1]) == 40
    everything = np.load(tmp_path / "two.features.npy").astype(np.float32)
    assert sorted(map(tuple, np.concatenate(one.features))) == sorted(map(tuple, everything))
    gold, weight = draw_gold(one, 20)
    assert (gold >= 0).sum() == 20 and np.isfinite(weight[gold >= 0]).all()
    assert (gold == one.truth[0])[gold >= 0].all()


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans(), st.integers(1, 3)), min_size=1, max_size=12))
def test_no_threshold_is_right_on_more_gold_labels(rows: list[tuple[int, bool, int]]) -> None:
    """Against every cut that there is."""
    margin, truth, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    scores = np.column_stack([np.zeros_like(margin), margin])
    nothing: Any = None
    part = Split(["a", "b"], nothing, nothing, (scores, scores), nothing, nothing, 0)
    found = threshold(part, Gold(truth.astype(int), weight))[0].labels[0]
    cuts = [-9.0, 9.0, *(np.unique(margin) + 0.5)]
    best = max(float(weight[(margin > cut) == truth].sum()) for cut in cuts)
    assert float(weight[found == truth].sum()) == best


# --- CCP (Kutt et al., 2024) ------------------------------------------------------------------------------------------


def test_credibility_is_what_a_class_has_more_than_the_next() -> None:
    q = torch.tensor([[0.9, 0.2, 0.5], [0.4, 0.4, 0.1]])
    wanted = torch.tensor([[0.4, -0.7, -0.4], [0.0, 0.0, -0.3]])
    torch.testing.assert_close(adjusted(q), wanted)


def test_with_full_labels_the_loss_is_the_supervised_contrastive_one() -> None:
    """Khosla et al., 2020, equation 2, by loops; the similarity is that of the angle's cosine from 0 to 1."""
    torch.manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    labels = [0, 1, 0, 1, 1, 0]
    total = 0.0
    for i in range(6):
        weights = {j: float(torch.exp((1 + z[i] @ z[j]) / 2 / 0.1)) for j in range(6) if j != i}
        same = [j for j in weights if labels[j] == labels[i]]
        total -= sum(np.log(weights[j] / sum(weights.values())) for j in same) / len(same)
    found = soft_contrastive_loss(z, torch.nn.functional.one_hot(torch.tensor(labels)).float())
    assert float(found) == pytest.approx(total / 6, rel=1e-4)


def test_texts_without_credibility_do_not_count() -> None:
    torch.manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    q = torch.nn.functional.one_hot(torch.tensor([0, 1, 0, 1, 1, 0])).float()
    q[4:] = 0
    assert float(soft_contrastive_loss(z, q)) * 6 == pytest.approx(
        float(soft_contrastive_loss(z[:4], q[:4])) * 4, rel=1e-4
    )


def test_propagation_is_the_mean_similarity_to_each_class() -> None:
    """Each text's own vector is left out."""
    z = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), dim=1)
    q = torch.tensor([[1.0, 0.0], [0.0, 0.5], [0.0, 0.0]])
    near = (1 + float(z[0] @ z[2])) / 2
    said = [[0.0, 0.5], [0.5, 0.0], [near, near]]
    torch.testing.assert_close(propagated(z, q), adjusted(torch.tensor(said)), atol=1e-5, rtol=0)


def test_weak_vectors_are_reset_as_long_as_the_class_shares_stay() -> None:
    strength = torch.linspace(0.01, 1, 100)
    q = torch.zeros(100, 2)
    q[torch.arange(100), torch.arange(100) % 2] = strength
    kept = strongest(q, q, torch.zeros(100, dtype=torch.bool)).max(dim=1).values > 0
    assert 1 <= kept.sum() < 20 and kept[-int(kept.sum()) :].all()  # two strong ones have the shares of all
    q[50:, 0], q[50:, 1] = strength[50:], 0  # the strong half is all of one class
    kept = strongest(q, q, torch.zeros(100, dtype=torch.bool)).max(dim=1).values > 0
    assert kept.sum() > 50


@pytest.mark.slow
def test_ccp_learns_where_clusters_are_clear() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=400)
    X = rng.normal(size=(400, 10)).astype(np.float32)
    X[:, :3] += 3 * truth[:, None] - 1.5
    said = np.where(rng.random(400) < 0.25, 1 - truth, truth)
    gold = np.where(np.arange(400) < 20, truth, -1)
    corpus, test = propagate_credibility(X[:300], X[300:], said[:300], gold[:300], 2, 0)
    assert (test == truth[300:]).mean() > 0.93 and (corpus[:20] == truth[:20]).all()
