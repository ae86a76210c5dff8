"""What is said where a classifier is no better than the LLM: of the classifier, not of labels that lean on the LLM."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from command_line import Commands
from silr.refine.classifier_caution import classifier_caution, classifier_estimate, llm_estimate
from silr.refine.iteration import Iteration, LLMAccuracy, Notes
from silr.refine.refinement import Refinement
from silr.refine.table import refine_table
from synthetic import make_corpus

pytestmark = pytest.mark.slow


def priors(accuracy: float) -> Any:
    return SimpleNamespace(
        source="oracle", accuracy=accuracy, accuracy_interval=np.array([accuracy - 0.1, accuracy + 0.1])
    )


def refined(*entries: tuple[float | None, Notes]) -> Refinement:
    labels = np.zeros(4, np.int16)
    iterations = [Iteration(k, labels, None, p and priors(p), notes) for k, (p, notes) in enumerate(entries)]
    return Refinement(iterations, ["a", "b"])


LLM, PLAIN, TUNED = Notes("llm"), Notes("iteration"), Notes("tuned", labels_of=1)
ALONE = Notes("posterior", classifier_accuracy=0.6, classifier_accuracy_interval=[0.5, 0.7])


def test_of_whom_the_numbers_are() -> None:
    default = refined((0.7, LLM), (0.8, ALONE))  # the refined labels are better than the LLM's, the classifier is not
    assert classifier_estimate(default) == (0.6, (0.5, 0.7), True)
    said = classifier_caution(default)
    assert said == (
        "the classifier is not better than the LLM: by the gold labels right on 60.0% (50% to 70%) of the texts, the "
        "LLM on 70.0% (60% to 80%)"
    )
    assert classifier_caution(default, with_llm=True) is None
    kept = classifier_caution(refined((0.8, LLM), (0.8, ALONE)), with_llm=True)
    assert kept is not None and kept.startswith("the refined labels are not better than the LLM: by the gold labels")
    assert "right on 65.0% (55% to 75%)" in str(classifier_caution(refined((0.7, LLM), (0.65, PLAIN))))
    gives_way = Notes("iteration", labels_of=0)  # the LLM's labels are the result, and the classifier has its own
    assert "right on 65.0% (55% to 75%)" in str(classifier_caution(refined((0.7, LLM), (0.65, gives_way))))
    assert classifier_caution(refined((0.7, LLM), (0.75, PLAIN))) is None


def test_a_fine_tuned_model_is_known_by_an_interval() -> None:
    tuned = refined((0.7, LLM), (0.8, ALONE), (0.8, TUNED))
    assert classifier_estimate(tuned) == (0.8, pytest.approx((0.7, 0.9)), False)
    assert classifier_caution(tuned) is None
    said = classifier_caution(refined((0.9, LLM), (0.8, ALONE), (0.8, TUNED)))
    assert said is not None and "not shown to be better than the LLM" in said and "right on 70% to 90%" in said


def test_of_several_llms_the_best_counts() -> None:
    accuracies = {"poor": 0.5, "good": 0.9}
    several = [
        LLMAccuracy(name=name, estimated_accuracy=value, estimated_accuracy_interval=[0, 1])
        for name, value in accuracies.items()
    ]
    run = refined((0.7, Notes("llm", annotators=several)), (0.8, ALONE))
    assert llm_estimate(run) == ("the LLM good", (0.9, (0, 1), True))
    assert "not better than the LLM good" in str(classifier_caution(run))


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert classifier_caution(refined((None, LLM), (None, Notes("posterior")))) is None
    assert classifier_caution(refined((None, LLM), (None, PLAIN))) is None
    assert classifier_caution(refined((0.7, LLM), (None, PLAIN))) is None


def test_predict_and_export_repeat_it(commands: Commands, tmp_path: Path) -> None:
    """Features that tell nothing, and a good LLM: in the terminal, as JSON and in the model card."""
    corpus = make_corpus(240, n_gold=60, bias=0.1, seed=5)
    table = corpus.write(tmp_path)
    np.save(tmp_path / "X.npy", np.random.default_rng(0).normal(size=(240, 4)).astype(np.float32))
    refine_table(table, tmp_path / "run", features=str(tmp_path / "X.npy"))
    corpus.table()[["text"]].to_csv(tmp_path / "texts.csv", index=False)
    predict = ("predict", "run", "texts.csv", "-o", "o.csv", "--features", "X.npy")
    done = commands(*predict, "--json", cwd=tmp_path)
    assert done.code == 0 and done.err.startswith("silr: warning: the classifier is not better than the LLM: by the")
    assert done.err == f"silr: warning: {json.loads(done.out)['warning']}\n"
    assert commands(*predict, "-q", cwd=tmp_path) == (0, "", "")
    for path in (table, tmp_path / "run" / "labels.csv"):
        path.unlink()  # without its texts a run is not distilled
    done = commands("export", "run", "model", "--json", cwd=tmp_path)
    assert done.code == 0 and done.err == f"silr: warning: {json.loads(done.out)['warning']}\n"
    card = (tmp_path / "model" / "README.md").read_text()
    assert "**Note**: the classifier is not better than the LLM" in card
    values = json.loads((tmp_path / "run" / "iteration-1" / "iteration.json").read_text())
    alone = values["metrics"]["classifier_accuracy"]
    assert f"| this classifier: features alone | {alone:.1%} |" in card
    assert f"| refined: LLM and features | {values['priors']['accuracy']:.1%} |" in card
    assert "share of this class where the refined labels have it" in card
