"""TF-IDF of words and of characters: alike for the corpus and for new texts, before and after saving."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import silr.features.tfidf
from silr.errors import InputError
from silr.features.choose import make_features
from silr.features.saved import load_saved
from silr.features.tfidf import TfidfFeatures
from synthetic import Corpus

NEW = ["positive1 word3 positive4", "", "ÜÖÄ ßß", "negative2 negative2 word1"]


def test_the_corpus_and_new_texts_are_treated_alike(corpus: Corpus, tmp_path: Path) -> None:
    features = make_features("tfidf")
    matrix = features.fit_transform(corpus.texts)
    assert matrix.dtype == np.float32 and matrix.shape == (len(corpus.texts), sum(features.widths))
    assert features.widths == [128, 128]
    np.testing.assert_array_equal(features.transform(corpus.texts), matrix)
    features.save(tmp_path)
    loaded = load_saved(features.record, tmp_path)
    assert loaded.widths == features.widths
    np.testing.assert_array_equal(loaded.transform(corpus.texts), matrix)
    np.testing.assert_array_equal(loaded.transform(NEW), features.transform(NEW))
    assert not loaded.transform(NEW)[1:3].any()  # nothing known, no feature
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]


def test_strong_components_stay_strong(corpus: Corpus) -> None:
    """Each column standardised, as the classifier does it, texts of a class must stay closer than others."""
    features = TfidfFeatures()
    matrix = features.fit_transform(corpus.texts)[:, : features.kinds["words"].components.shape[0]]
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    positive = corpus.truth == "positive"
    direction = matrix[positive].mean(axis=0) - matrix[~positive].mean(axis=0)
    other = np.random.default_rng(0).normal(size=128)
    along, at_random = ((matrix @ v).std() / np.linalg.norm(v) for v in (direction, other))
    assert along > 2 * at_random


def test_characters_see_what_words_do_not() -> None:
    """Endings and missing spaces make other words, not other parts of words."""
    texts = ["freundlich", "unfreundlicher", "schmutzig", "schmutziges", "x freundlich schmutzig"]
    features = TfidfFeatures()
    features.fit_transform(texts)
    words, characters = (kind(texts) for kind in features.kinds.values())
    assert not words[1].any() and not words[3].any()
    alike = characters @ characters.T
    assert alike[0, 1] > 0.5 > 10 * abs(alike[0, 2]) and alike[2, 3] > 0.5


@pytest.mark.slow
def test_the_same_every_time_and_on_any_number_of_threads(corpus: Corpus, tmp_path: Path) -> None:
    script = """if True:
        import sys
        import numpy as np
        from silr.features.tfidf import TfidfFeatures
        np.save(sys.argv[2], TfidfFeatures().fit_transform(open(sys.argv[1]).read().split("\\n")))
    """
    (tmp_path / "texts").write_text("\n".join(corpus.texts))
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, str(tmp_path / "texts"), str(tmp_path / "X.npy")]
    subprocess.run(command, env=environment, check=True)
    with threadpool_limits(2):
        np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), TfidfFeatures().fit_transform(corpus.texts))


def test_a_long_corpus_is_learned_from_in_part(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms and projections are those of some texts at random; all get their features, however many at once."""
    whole = TfidfFeatures().fit_transform(corpus.texts)
    monkeypatch.setattr(silr.features.tfidf, "TEXTS_AT_ONCE", 100)
    monkeypatch.setattr(silr.features.tfidf, "LEARNING_CHARACTERS", sum(map(len, corpus.texts)))
    np.testing.assert_array_equal(TfidfFeatures().fit_transform(corpus.texts), whole)
    monkeypatch.setattr(silr.features.tfidf, "LEARNING_CHARACTERS", sum(map(len, corpus.texts)) // 4)
    features = TfidfFeatures()
    matrix = features.fit_transform(corpus.texts)
    np.testing.assert_array_equal(features.transform(corpus.texts), matrix)
    assert matrix.any(axis=1).mean() > 0.99
    rarest = features.kinds["words"].vectorizer.idf_.max()  # rises with the number of texts that were counted
    assert rarest < 1 + np.log((1 + len(corpus.texts) / 2) / 3)
    one, another = (rows @ rows.T for rows in (whole[:50, :128], matrix[:50, :128]))
    assert np.corrcoef(one.ravel(), another.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("texts", [["a b", "a c", "a b"], ["same", "same"], ["äöü é", "äöü x", ""], ["ab", "abc de"]])
def test_tiny_corpora(texts: list[str]) -> None:
    features = TfidfFeatures()
    matrix = features.fit_transform(texts)
    assert matrix.shape == (len(texts), sum(features.widths)) and matrix.shape[1] and np.isfinite(matrix).all()


def test_nothing_in_common() -> None:
    with pytest.raises(InputError, match="no word or part of a word occurs in two texts"):
        TfidfFeatures().fit_transform(["abc", "xyz", ""])


def test_damaged_files(corpus: Corpus, tmp_path: Path) -> None:
    features = TfidfFeatures()
    features.fit_transform(corpus.texts[:50])
    features.save(tmp_path)
    (tmp_path / "tfidf.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot read the TF-IDF features in") as error:
        TfidfFeatures.load(tmp_path)
    assert "\n" not in str(error.value)
