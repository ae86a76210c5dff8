"""Features side by side, through the command line: hidden states and TF-IDF as `silr refine` takes them by itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import silr.refine.table
from command_line import Commands
from silr import LabelRefiner
from silr.errors import InputError
from silr.features.choose import features_of
from silr.features.joined import slices
from silr.features.saved import load_saved
from silr.refine.table import refine_table
from synthetic import Corpus, make_corpus

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus(600, n_gold=60, seed=3)


def test_the_columns_of_the_parts(corpus: Corpus, tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", corpus.features.astype(np.float16))
    features = features_of([str(tmp_path / "X.npy"), "tfidf"])
    matrix = features.fit_transform(corpus.texts)
    states, words, characters = slices(features.widths)
    np.testing.assert_array_equal(matrix[:, states], corpus.features.astype(np.float16))
    assert matrix.dtype == np.float32 and matrix[:, words].shape[1] > 10
    np.testing.assert_array_equal(matrix[:, words.start : characters.stop], features.parts[1].transform(corpus.texts))
    features.save(tmp_path)
    again = load_saved(json.loads(json.dumps(features.record)), tmp_path)
    assert again.widths == features.widths
    np.testing.assert_allclose(again.transform(corpus.texts[:5], matrix[:5, states]), matrix[:5], atol=1e-6)
    with pytest.raises(InputError, match="came from a file"):
        again.transform(corpus.texts[:5])
    with pytest.raises(InputError, match="the same features twice: tfidf, tfidf"):
        features_of(["tfidf", "tfidf"])


def test_refine_predict_and_export(commands: Commands, corpus: Corpus, tmp_path: Path) -> None:
    table = corpus.write(tmp_path)
    np.save(tmp_path / "table.features.npy", corpus.features.astype(np.float16))
    run = tmp_path / "run"
    result = commands("refine", table, "-o", run, "--truth", "truth")
    assert (result.code, result.err) == (0, "")
    labels = pd.read_csv(run / "labels.csv")
    known = labels["gold"].notna()
    assert (labels["refined_label"] == corpus.truth).mean() > corpus.llm_accuracy + 0.1
    assert (labels["refined_label"] == labels["gold"])[known].all()
    assert json.loads((run / "table.json").read_text())["features"] == ["../table.features.npy", "tfidf"]
    predicted = commands("predict", run, table, "-o", tmp_path / "scored.csv")
    assert predicted.code == 0 and "table.features.npy" in predicted.out
    scored = pd.read_csv(tmp_path / "scored.csv")
    assert (scored["refined_label"] == labels["refined_label"])[~known].all()

    result = commands("export", run, tmp_path / "model")
    assert result.code == 0
    card = (tmp_path / "model" / "README.md").read_text()
    usage = card.split("```python\n")[1].split("```")[0].replace('["a text", "another"]', "corpus_texts")
    names = {"DIR": tmp_path / "model", "corpus_texts": corpus.texts, "features": corpus.features.astype(np.float16)}
    exec(usage.replace("model.predict(", "found = model.predict("), names)
    assert (names["found"] == scored["refined_label"]).all()


def test_a_run_goes_on_and_its_command_is_on_record(commands: Commands, corpus: Corpus, tmp_path: Path) -> None:
    table = corpus.write(tmp_path)
    np.save(tmp_path / "X.npy", corpus.features)
    options = ("--features", "X.npy", "--features", "tfidf", "--iterations")
    assert commands("refine", table, "-o", "run", *options, 1, cwd=tmp_path).code == 0
    result = commands("refine", table, "-o", "run", *options, 3, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert commands("report", "run", cwd=tmp_path).code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "--features ../X.npy" in page and "--features tfidf" in page
    direct = LabelRefiner.from_options(features=[str(tmp_path / "X.npy"), "tfidf"], iterations=3)
    direct.fit(corpus.texts, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight)
    np.testing.assert_array_equal(direct.out_of_fold_labels_, LabelRefiner.load(tmp_path / "run").out_of_fold_labels_)


def test_whoever_waits_is_told_why(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, lines = corpus.write(tmp_path), list[str]()
    refine_table(table, tmp_path / "short", iterations=1, say=lines.append)
    assert not [line for line in lines if "minutes" in line]
    monkeypatch.setattr(silr.refine.table, "MANY", 500)
    refine_table(table, tmp_path / "long", iterations=1, say=lines.append)
    assert "features: TF-IDF of 600 texts, computed once; that can take minutes" in lines
