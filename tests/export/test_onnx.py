"""The ONNX graph of an exported run, read by onnxruntime and tokenizers alone, in another process."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import silr
from command_line import Commands
from silr import LabelRefiner
from silr.errors import InputError
from silr.export import export_run
from silr.export.onnx import STRANGE, write_onnx
from silr.export.onnx_graph import Graph
from silr.export.onnx_tfidf import add_tfidf
from silr.features.file import FileFeatures
from silr.features.joined import JoinedFeatures
from silr.features.tfidf import TfidfFeatures
from synthetic import Corpus, make_corpus

pytestmark = pytest.mark.slow

READ = """import sys
import numpy as np
import pandas as pd
DIR = sys.argv[1]
{usage}
texts = pd.read_parquet(sys.argv[2])["text"].tolist()
labels, probabilities = predict(texts)
read = pd.DataFrame(probabilities).rename(columns=str)
read.assign(label=labels).to_parquet(sys.argv[3])
assert not {{"silr", "sklearn", "torch", "transformers"}} & set(sys.modules)
"""


def labelled(folder: Path, texts: list[str], tmp_path: Path) -> tuple[list[str], Any]:
    """Labels and probabilities by the code of ``ONNX.md``."""
    usage = (folder / "ONNX.md").read_text().split("```python\n")[1].split("\nlabels")[0]
    pd.DataFrame({"text": texts}).to_parquet(tmp_path / "texts.parquet")
    paths = [folder, tmp_path / "texts.parquet", tmp_path / "labels.parquet"]
    subprocess.run([sys.executable, "-c", READ.format(usage=usage), *map(str, paths)], check=True)
    read = pd.read_parquet(paths[-1])
    return read["label"].tolist(), read.drop(columns="label").to_numpy()


def test_table_by_tfidf(tmp_path: Path, commands: Commands) -> None:
    """By command line: every row of a table, and texts of every script."""
    corpus = make_corpus(300)
    corpus.write(tmp_path)
    assert commands("refine", "table.csv", "-o", "run", "--features", "tfidf", cwd=tmp_path).code == 0
    done = commands("export", "run", "model", "--onnx", cwd=tmp_path)
    assert done.code == 0 and f"on {len(corpus.texts):,} texts of the corpus" in done.out, done
    refiner, texts = LabelRefiner.load(tmp_path / "run"), [*corpus.texts, *STRANGE]
    labels, probabilities = labelled(tmp_path / "model", texts, tmp_path)
    assert labels == refiner.predict(texts).tolist()
    np.testing.assert_allclose(probabilities, refiner.predict_proba(texts), atol=1e-6)
    assert silr.load(tmp_path / "model").predict(texts).tolist() == labels
    assert "ONNX.md says how to use it" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    "letters",
    [
        "abcI\u0130\u0131 \u0307'_-.\U0001f600",
        "\u03a3\u03c3\u03c2\u0391\u03b1\u0345.':\u00ad \u01c5\u00aa",
        "\ud55c\uae00\uc774 \u4eac\u0301\u0915\u094d\u0937\n",
    ],
)
def test_tfidf_of_any_letters(letters: str) -> None:
    """The features themselves, by a linear layer that changes nothing, of random texts."""
    import onnxruntime

    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice([*letters], rng.integers(0, 12))) for _ in range(300)]
    texts += ["".join(rng.choice([*letters], 1000)), "", *STRANGE]
    features = TfidfFeatures()
    features.fit_transform(texts[:200])
    graph = Graph()
    source = add_tfidf(graph, features, np.eye(sum(features.widths)))
    graph.output(source.value, "features", np.float64, ["n", sum(features.widths)])
    session = onnxruntime.InferenceSession(graph.model().SerializeToString())
    for some in (texts, [""], ["", letters], []):
        (found,) = session.run(None, {"text": np.array(some, object)})
        wanted = features.transform(some) if some else np.empty((0, sum(features.widths)))
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_features_of_three_classes_by_a_hidden_layer(corpus3: Corpus, tmp_path: Path) -> None:
    refiner = LabelRefiner.from_options(iterations=1, method="uu", hidden_units=5, run=tmp_path / "run")
    refiner.fit(corpus3.features, corpus3.llm_labels, corpus3.gold, gold_weight=corpus3.gold_weight)
    export_run(tmp_path / "run", tmp_path / "model", onnx=True)
    predict = runpy.run_path(str(tmp_path / "model" / "onnx_predict.py"))["predict"]
    labels, probabilities = predict(corpus3.features)
    assert labels.tolist() == refiner.predict(corpus3.features).tolist() and len(set(labels)) == 3
    np.testing.assert_allclose(probabilities, refiner.predict_proba(corpus3.features), atol=1e-5)


@pytest.fixture(scope="module")
def small_encoder(small_bert: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    from sentence_transformers import SentenceTransformer

    folder = str(tmp_path_factory.mktemp("encoder"))
    encoder = SentenceTransformer(small_bert, device="cpu")
    encoder.max_seq_length = 12
    encoder.save(folder)
    return folder


def test_encoders_and_tfidf_in_one_graph(small_encoder: str, static_model: str, tmp_path: Path) -> None:
    corpus = make_corpus(200, seed=1)
    features = [small_encoder, f"static:{static_model}", "tfidf"]
    refiner = LabelRefiner(features=features, run=tmp_path / "run")
    refiner.fit(corpus.texts, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight)
    export_run(tmp_path / "run", tmp_path / "model", onnx=True)
    texts = [*corpus.texts, *STRANGE]
    labels, probabilities = labelled(tmp_path / "model", texts, tmp_path)
    assert labels == refiner.predict(texts).tolist()
    np.testing.assert_allclose(probabilities, refiner.predict_proba(texts), atol=1e-5)


def test_finetuned(small_llama: str, tmp_path: Path) -> None:
    corpus = make_corpus(64, seed=1, n_gold=30)
    options: dict[str, Any] = {"epochs": 1, "device": "cpu", "max_length": 12, "prompt": "Read this: {text} It is"}
    refiner = LabelRefiner.from_options(
        classifier="lora", iterations=1, model=small_llama, method="uu", run=tmp_path / "run", **options
    )
    refiner.fit(corpus.texts, corpus.llm_labels, corpus.gold)
    export_run(tmp_path / "run", tmp_path / "model", onnx=True)
    refiner, texts = LabelRefiner.load(tmp_path / "run", "cpu"), [*corpus.texts, *STRANGE]
    labels, probabilities = runpy.run_path(str(tmp_path / "model" / "onnx_predict.py"))["predict"](texts)
    assert labels.tolist() == refiner.predict(texts).tolist()
    np.testing.assert_allclose(probabilities, refiner.predict_proba(texts), atol=2e-4)  # as in `test_finetuned`


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = make_corpus(200)
    refiner = LabelRefiner(features="tfidf", run=tmp_path / "run")
    refiner.fit(corpus.texts, corpus.llm_labels, corpus.gold)
    states = FileFeatures(None, {"kind": "file", "annotator": {"kind": "local", "model": "a model"}})
    for features in (states, JoinedFeatures([states, refiner.features_])):
        with pytest.raises(InputError, match=r"hidden states of the annotator, .* add --distill"):
            write_onnx(refiner.classifier_, features, refiner.classes_, tmp_path, [])
    with pytest.raises(InputError, match="leave out --adapter and --reward"):
        export_run(tmp_path / "run", tmp_path / "new", adapter=True, onnx=True)
    with monkeypatch.context() as patch:  # a graph that is another classifier
        patch.setattr("silr.export.onnx.add_head", lambda graph, shares, layers: graph.add("Neg", shares[0]))
        with pytest.raises(InputError, match="another label than silr, such as '"):
            export_run(tmp_path / "run", tmp_path / "new", onnx=True)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"--onnx needs onnx: pip install 'silr\[onnx\]'"):
        export_run(tmp_path / "run", tmp_path / "new", onnx=True)
    assert not (tmp_path / "new").exists()
