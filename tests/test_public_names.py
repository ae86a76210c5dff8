"""The names that users import from `silr`: they are there, they load nothing early, and they do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import silr
from silr import LabelRefiner, annotate, draw, load
from silr.annotators.base import Plan
from silr.errors import InputError
from silr.export.write import export_run
from silr.label.draw import draw_texts

CLASSES = ("bad", "good")


class Keyword:
    """Calls a text good if it says so."""

    classes, n_features = CLASSES, 0

    def plan(self, texts):
        return Plan([np.arange(len(texts))], [len(texts)], np.zeros(len(texts), bool))

    def score_batches(self, batches):
        for number, texts in enumerate(batches):
            p = np.array([0.9 if "good" in text else 0.2 for text in texts])
            yield number, np.log(np.column_stack([1 - p, p])).astype(np.float32), np.empty((len(texts), 0), np.float16)

    def describe(self):
        return {"kind": "keyword"}


def test_names_are_listed_and_cost_nothing() -> None:
    for name in silr.__all__:
        assert name in dir(silr) and getattr(silr, name) is getattr(silr, name)
    with pytest.raises(AttributeError, match="no_such_name"):
        silr.no_such_name  # noqa: B018
    code = "import sys, silr; print({'numpy', 'pandas', 'sklearn', 'scipy', 'torch', 'typer', 'rich'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_name_survives_its_module() -> None:
    """A module of the same name as a function would hide it once it is imported."""
    code = (
        "import silr; silr.load, silr.draw, silr.annotate; print(*map(callable, (silr.load, silr.draw, silr.annotate)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True True\n"


def test_annotate_takes_texts_frames_and_files(tmp_path: Path) -> None:
    texts = ["a good one", "no", "", "no"]
    frame = pd.DataFrame({"id": [1, 2, 3, 4], "words": texts})
    file = tmp_path / "in.csv"
    frame.to_csv(file, index=False)
    output = tmp_path / "out.csv"
    found = [
        annotate(texts, annotator=Keyword()),
        annotate(frame, annotator=Keyword(), text_column="words"),
        annotate(file, annotator=Keyword(), text_column="words", output=output),
    ]
    for each in found:
        assert list(each["llm_label"]) == ["good", "bad", None, "bad"]
        assert each["llm_score_good"].iloc[0] == pytest.approx(np.log(0.9), abs=1e-6)
        assert np.isnan(each["llm_score_good"].iloc[2]) and each["llm_missing"].iloc[2] == "empty text"
    assert output.is_file() and list(found[1]["id"]) == [1, 2, 3, 4] and "llm_label" not in frame
    with pytest.raises(InputError, match="needs classes and a model"):
        annotate(texts)


@pytest.mark.parametrize("labels", [["x", "y", None, "x"] * 30, [0, 1, -1, 0] * 30, [0.0, 1.0, np.nan, 0.0] * 30])
def test_draw_takes_labels_of_any_type(labels: list[object]) -> None:
    rows, weights = draw(labels, 20, random_state=1)
    wanted = draw_texts([0, 1, -1, 0] * 30, 20, 1)
    assert (rows == wanted[0]).all() and (weights == wanted[1]).all() and weights.sum() == pytest.approx(90)
    with pytest.raises(InputError, match="scores has shape"):
        draw(labels, 20, llm_scores=np.zeros((120, 3)))


@pytest.mark.slow
def test_load_opens_a_run_and_its_export(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=200)
    words = (("awful", "broken", "sad"), ("lovely", "fine", "happy"))
    texts = [" ".join([*rng.choice(words[label], 2), *rng.choice(["the", "a", "it"], 3)]) for label in truth]
    llm = np.where(rng.random(200) < 0.3, "good", np.array(CLASSES)[truth])
    gold = [CLASSES[label] if row < 60 else None for row, label in enumerate(truth)]
    fitted = LabelRefiner(run=tmp_path / "run").fit(texts, llm, gold=gold)
    export_run(tmp_path / "run", tmp_path / "exported")
    for opened in (load(tmp_path / "run"), load(tmp_path / "exported")):
        assert list(opened.classes_) == list(CLASSES)
        np.testing.assert_allclose(opened.predict_proba(texts[:9]), fitted.predict_proba(texts[:9]), atol=1e-5)
        assert list(opened.predict(texts[:9])) == list(fitted.predict(texts[:9]))
        assert len(opened.predict([])) == 0
    with pytest.raises(InputError, match="neither a run"):
        load(tmp_path)


def test_no_room_hides_a_public_name() -> None:
    """A room that is imported becomes an attribute of the package, in the place of a function of its name."""
    import pkgutil

    assert not {module.name for module in pkgutil.iter_modules(silr.__path__)} & set(silr.__all__)
