"""An exported run with frozen features, read by scikit-learn and sentence-transformers alone, in another process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

from command_line import Commands
from hub_server import validate_card
from own_paths import own_paths
from silr import LabelRefiner
from silr.export import export_run
from synthetic import Corpus, make_corpus

pytestmark = pytest.mark.slow


@pytest.fixture(params=[0, 5], ids=["linear", "hidden"])
def hidden(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_texts_by_tfidf(corpus: Corpus, hidden: int, tmp_path: Path) -> None:
    refiner = LabelRefiner.from_options(iterations=1, method="uu", hidden_units=hidden, run=tmp_path / "run")
    refiner.fit(corpus.texts, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight)
    assert export_run(tmp_path / "run", tmp_path / "model") == []
    file = tmp_path / "model" / "model.skops"
    assert skops.io.get_untrusted_types(file=file) == []
    model = skops.io.load(file)
    new = [*corpus.texts, "", "nothing known", "positive0 positive1 negative3"]
    assert model.predict(new).tolist() == refiner.predict(new).tolist()
    np.testing.assert_allclose(model.predict_proba(new), refiner.predict_proba(new), atol=1e-5)


def test_three_classes_of_features(corpus3: Corpus, hidden: int, tmp_path: Path) -> None:
    """Half precision goes in as it is; offsets of the class prior are in the folder too."""
    features = corpus3.features.astype(np.float16)
    refiner = LabelRefiner.from_options(iterations=1, method="uu", hidden_units=hidden, run=tmp_path / "run")
    refiner.fit(features, corpus3.llm_labels, corpus3.gold, gold_weight=corpus3.gold_weight)
    assert refiner.classifier_.offsets_.any()
    (note,) = export_run(tmp_path / "run", tmp_path / "model")
    assert "made from features" in note and note.endswith(
        "model.skops reads features made as the run's were, shape (n, 32)"
    )
    model = skops.io.load(tmp_path / "model" / "model.skops")
    assert model.predict(features).tolist() == refiner.predict(features).tolist()
    np.testing.assert_allclose(model.predict_proba(features), refiner.predict_proba(features), atol=1e-4)


def test_sentence_embeddings(minilm: str, tmp_path: Path, commands: Commands) -> None:
    """The code of the model card, run where silr was never imported, labels like `silr predict`."""
    make_corpus(100, seed=1).write(tmp_path)
    done = commands("refine", "table.csv", "-o", "run", "--features", minilm, "--iterations", "1", cwd=tmp_path)
    assert done.code == 0, done
    assert commands("export", "run", "model", cwd=tmp_path).code == 0
    card = (tmp_path / "model" / "README.md").read_text()
    assert own_paths(tmp_path / "model", minilm, tmp_path) == [] and validate_card(card, "model") == []
    assert "license: apache-2.0" in card and "base_model: sentence-transformers/all-MiniLM-L6-v2" in card
    usage = card.split("```python\n")[1].split("```")[0].replace('["a text", "another"]', "texts")
    lines = ["import pandas", "texts = pandas.read_csv('table.csv')['text'].tolist()", "DIR = 'model'", usage]
    lines[-1] = usage.replace("model.predict(", "labels = model.predict(")
    lines += ["import sys", "assert 'silr' not in sys.modules", "print(*labels)"]
    printed = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    pd.read_csv(tmp_path / "table.csv")[["text"]].to_csv(tmp_path / "texts.csv", index=False)
    assert commands("predict", "run", "texts.csv", "-o", "scored.csv", cwd=tmp_path).code == 0
    assert printed == pd.read_csv(tmp_path / "scored.csv")["refined_label"].tolist()


def test_refusals(corpus: Corpus, tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    refiner = LabelRefiner.from_options(iterations=1, run=tmp_path / "run")
    refiner.fit(corpus.features, corpus.llm_labels, corpus.gold)
    for option in (["--adapter"], ["--reward", "positive"]):
        done = commands("export", tmp_path / "run", tmp_path / "new", *option)
        assert done.code == 2 and "frozen features" in done.err and done.err.count("\n") == 1, done
    monkeypatch.setitem(sys.modules, "skops", None)
    with pytest.raises(Exception, match=r"pip install 'silr\[export\]'"):
        export_run(tmp_path / "run", tmp_path / "new")
    assert not (tmp_path / "new").exists()
