"""Any run exports as a folder that reads texts: with its annotator inside, or distilled, and says which and why."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import silr
from command_line import Commands
from silr import LabelRefiner
from silr.annotators import LocalAnnotator
from silr.annotators.table import annotate_file
from silr.errors import InputError
from silr.export import annotator, export_run
from silr.export.load import ExportedClassifier
from silr.refine.label_refiner import LabelRefiner as Refiner
from silr.refine.left_out import left_out_folds
from silr.refine.predict import predict_table
from silr.refine.record import read_record
from silr.refine.table import refine_table
from silr.stats.gold_labels import GoldLabels
from synthetic import Corpus, make_corpus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:there are no gold labels"),
    pytest.mark.filterwarnings("ignore:method 'uu'"),
]
CLASSES = ["negative", "positive"]


@pytest.fixture(scope="module")
def little() -> Corpus:
    return make_corpus(150, n_gold=40, seed=4)


@pytest.fixture(scope="module")
def model(small_causal: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model with a licence."""
    folder = tmp_path_factory.mktemp("models") / "noise"
    shutil.copytree(small_causal, folder)
    (folder / "LICENSE").write_text("Do as you like.")
    return folder


@pytest.fixture(scope="module")
def annotated(little: Corpus, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, and hidden states of the model beside it; labels are those of the corpus."""
    folder = tmp_path_factory.mktemp("annotated")
    little.table().drop(columns="llm_label").to_csv(folder / "plain.csv", index=False)
    about: dict[str, Any] = {"question": "Is it negative or positive?", "examples": [("so good", "positive")]}
    local = LocalAnnotator(model, CLASSES, device="cpu", dtype="float32", **about)
    annotate_file(folder / "plain.csv", folder / "table.csv", local, quiet=True)
    little.table().to_csv(folder / "table.csv", index=False)
    return folder


def export(run: Path, folder: Path, **options: Any) -> tuple[list[str], ExportedClassifier]:
    notes = export_run(run, folder, **options)
    opened = silr.load(folder, "cpu")
    assert isinstance(opened, ExportedClassifier)
    return notes, opened


def usage(folder: Path, texts: list[str]) -> list[str]:
    """Labels by the code of the model card, for these texts."""
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    known: dict[str, Any] = {"DIR": str(folder)}
    exec(code.replace("model.predict(", "labels = model.predict(").replace('["a text", "another"]', repr(texts)), known)
    return list(known["labels"])


@pytest.mark.parametrize("case", ["default", "states alone", "uu", "without gold"])
def test_the_annotator_is_carried(case: str, annotated: Path, model: Path, little: Corpus, tmp_path: Path) -> None:
    table, run, states = annotated / "table.csv", tmp_path / "run", str(annotated / "table.features.npy")
    options: dict[str, Any] = {} if case in ("default", "without gold") else {"features": states}
    if case == "uu":
        options |= {"method": "uu", "iterations": 1, "epochs": 3}
    if case == "without gold":
        shutil.copytree(annotated, tmp_path / "copy")
        table = tmp_path / "copy" / "table.csv"
        little.table().drop(columns=["gold", "gold_weight"]).to_csv(table, index=False)
    refine_table(table, run, **options)
    texts = [*little.texts, "something new", "positive1 positive2"]
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "texts.csv", index=False)
    predicted = predict_table(run, tmp_path / "texts.csv", tmp_path / "scored.csv", device="cpu").frame
    notes, opened = export(run, tmp_path / "out")
    assert notes == ["the folder reads texts by the annotator noise in it, inside the run's prompt"]
    assert opened.predict(texts).tolist() == predicted["refined_label"].tolist()
    assert usage(tmp_path / "out", texts[:5]) == predicted["refined_label"].tolist()[:5]
    inside = tmp_path / "out" / "annotator"
    assert (inside / "LICENSE").read_text() == "Do as you like."
    written = [path.read_text() for path in (tmp_path / "out").rglob("*.json")]
    assert not any(str(folder) in text for text in written for folder in (model, tmp_path, annotated))
    needed = (tmp_path / "out" / "requirements.txt").read_text().splitlines()
    assert {f"silr[export,local]=={silr.__version__}", f"skops=={metadata.version('skops')}"} <= set(needed)
    assert opened.predict_proba([]).shape == (0, 2)


def test_a_carried_annotator_that_was_changed_is_refused(annotated: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    refine_table(annotated / "table.csv", run)
    export_run(run, tmp_path / "out")
    inside = tmp_path / "out" / "annotator"
    about = json.loads((inside / "annotator.json").read_text())
    (inside / "annotator.json").write_text(json.dumps({**about, "weights": "other"}))
    with pytest.raises(InputError, match="has changed since it annotated"):
        silr.load(tmp_path / "out")


def test_two_annotators(annotated: Path, little: Corpus, tmp_path: Path) -> None:
    folder, run = tmp_path / "both", tmp_path / "run"
    shutil.copytree(annotated, folder)
    for suffix in ("features.npy", "features.texts.safetensors"):
        shutil.copy(folder / f"table.{suffix}", folder / f"table.b.{suffix}")
    record = json.loads((folder / "table.annotator.json").read_text())
    (folder / "table.annotator.json").write_text(json.dumps({**record, "annotators": {"b": record}}))
    little.table().assign(llm_label_b=little.llm_labels[::-1]).to_csv(folder / "table.csv", index=False)
    refine_table(folder / "table.csv", run)
    _, opened = export(run, tmp_path / "out")
    assert (tmp_path / "out" / "annotator-2" / "model.safetensors").is_file()
    assert opened.predict(little.texts).tolist() == LabelRefiner.load(run, "cpu").predict(little.texts).tolist()


def test_a_heavy_annotator_is_distilled(
    annotated: Path, little: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    refiner = refine_table(annotated / "table.csv", run)
    monkeypatch.setattr(annotator, "HEAVIEST", 1000)
    notes, opened = export(run, out)
    assert notes[0].startswith("the classifier is a distilled one, since the annotator noise has 0.0 GiB of weights")
    assert "head.skops reads features" in notes[1] and notes[2].startswith("By 40 gold labels, cross-fitted, ")
    assert not (out / "annotator").exists() and "silr" not in (out / "requirements.txt").read_text()
    assert (opened.predict(little.texts) == refiner.labels_).mean() > 0.9
    assert usage(out, little.texts) == opened.predict(little.texts).tolist()
    assert skops.io.get_untrusted_types(file=out / "model.skops") == []
    card = (out / "README.md").read_text()
    assert "| the run's classifier: features alone |" in card and "| this classifier: distilled |" in card
    assert notes[2] in card and notes[0] in card
    assert "The run's classifier alone, which has" in card and "The classifier alone" not in card
    own = skops.io.load(out / "head.skops")
    matrix = np.load(run / "features" / "features.npy")
    assert own.predict(matrix).tolist() == refiner.predict(matrix).tolist()


def test_the_folds_of_a_run_are_those_of_its_estimates(annotated: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    refine_table(annotated / "table.csv", run)
    record = read_record(run)
    gold = GoldLabels.of(record.corpus.gold, record.corpus.weight, 2)
    folds = left_out_folds(record, Refiner.load(run).features_, gold)
    assert sorted(np.concatenate([fold.rows for fold in folds])) == gold.rows.tolist()
    weights = np.zeros(len(record.llm))
    weights[gold.rows] = gold.weights / gold.weights.sum()
    mean = sum(weights[fold.rows].sum() * fold.probabilities for fold in folds)
    others = record.corpus.gold < 0
    np.testing.assert_allclose(mean[others], record.iterations[1].cross_fitted[others], atol=1e-4)


def test_distilled_where_it_is_asked(little: Corpus, tmp_path: Path, commands: Commands) -> None:
    """Scikit-learn takes the folder as a classifier that is fitted."""
    little.write(tmp_path)
    assert commands("refine", "table.csv", "-o", "run", "--features", "tfidf", cwd=tmp_path).code == 0
    done = commands("export", "run", "out", "--distill", cwd=tmp_path)
    assert done.code == 0 and "as was asked: a linear head on TF-IDF, taught" in " ".join(done.out.split()), done
    opened = silr.load(tmp_path / "out")
    assert clone(opened) is opened and opened.fit(little.texts, None) is opened
    assert cross_val_score(opened, little.texts, little.truth, cv=3).mean() > 0.8
    assert opened.score(little.texts, little.truth) > 0.8
    assert list(opened.classes_) == CLASSES
    with pytest.raises(InputError, match="a list of texts"):
        opened.predict("a text")
    done = commands("export", "run", "more", "--distill", "--adapter", cwd=tmp_path)
    assert done.code == 2 and "leave out --adapter" in done.err


def test_a_matrix_of_a_table_is_distilled(little: Corpus, tmp_path: Path) -> None:
    """Three classes, of method uu, whose gold labels say nothing of single texts."""
    corpus = make_corpus(300, ("bad", "fair", "good"), n_gold=60, bias=0.3, seed=2)
    np.save(tmp_path / "own.npy", corpus.features)
    run = tmp_path / "run"
    options: dict[str, Any] = {"method": "uu", "iterations": 1, "epochs": 5}
    refine_table(corpus.write(tmp_path), run, features=tmp_path / "own.npy", **options)
    notes, opened = export(run, tmp_path / "out")
    assert "nothing says how new texts get theirs" in notes[0]
    assert "left out of its training though not of the run's" in notes[2]
    assert (opened.predict(corpus.texts) == corpus.truth).mean() > 0.5
    np.testing.assert_allclose(opened.predict_proba(corpus.texts[:5]).sum(axis=1), 1)


def test_without_texts_there_is_nothing_to_distil(little: Corpus, tmp_path: Path, commands: Commands) -> None:
    LabelRefiner(run=tmp_path / "python").fit(little.features, little.llm_labels, little.gold)
    (note,) = export_run(tmp_path / "python", tmp_path / "head")
    assert note.startswith("the folder does not read texts: the run was made from features")
    with pytest.raises(InputError, match="features that texts alone have not"):
        silr.load(tmp_path / "head")
    done = commands("export", "python", "out", "--distill", cwd=tmp_path)
    assert done.code == 2 and done.err.count("\n") == 1 and "it was made in Python" in done.err, done
    refine_table(little.write(tmp_path), tmp_path / "run", features="tfidf")
    for path in (tmp_path / "table.csv", tmp_path / "run" / "labels.csv"):
        path.unlink()
    done = commands("export", "run", "out", "--distill", cwd=tmp_path)
    assert done.code == 2 and done.err.count("\n") == 1 and "put the table back" in done.err, done
    assert not (tmp_path / "out").exists()
