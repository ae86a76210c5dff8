"""Features are found again by text, whatever was done to the table since."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from command_line import Commands
from silr.errors import InputError
from silr.features.file import FileFeatures
from silr.io.feature_rows import features_of_texts, match, record_path, text_keys, write_record
from synthetic import Corpus, make_corpus

TEXTS = ["one", "two", "three", "two"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "t.features.npy"
    np.save(file, np.array([[1.0], [2.0], [3.0], [2.0]], np.float16))
    write_record(file, TEXTS)
    return file


def test_rows_follow_their_texts(path: Path) -> None:
    assert isinstance(features_of_texts(path, TEXTS), np.memmap) and match(path, TEXTS).words == ""
    for texts, values in (
        (["three", "two", "one", "two"], [3, 2, 1, 2]),  # sorted
        (["two", "one"], [2, 1]),  # filtered
        (["one", "one", "three", "two", "two", "two"], [1, 1, 3, 2, 2, 2]),  # joined
        ([" one\r\n", "three"], [1, 3]),  # through a spreadsheet
    ):
        assert features_of_texts(path, texts).ravel().tolist() == values
        assert "matched by text" in match(path, texts).words
        assert FileFeatures.of(path).fit_transform(texts).ravel().tolist() == values


def test_other_texts_are_refused(path: Path) -> None:
    with pytest.raises(InputError, match=r"made from other texts: it has no row for 2 of 3, the first of them 'five'"):
        features_of_texts(path, ["one", "five", ""])


def test_a_text_that_pandas_took_for_nothing(path: Path) -> None:
    write_record(path, ["one", "N/A", "three", "two"])
    assert features_of_texts(path, ["three", "", "one"]).ravel().tolist() == [3, 2, 1]


def test_without_a_record_of_this_file_it_is_row_for_row(path: Path) -> None:
    np.save(path, np.array([[4.0], [5.0], [6.0], [7.0]]))  # replaced by somebody else
    assert features_of_texts(path, TEXTS[::-1]).ravel().tolist() == [4, 5, 6, 7]
    assert "row for row" in match(path, TEXTS).words
    with pytest.raises(InputError, match="has 4 rows, the table has 2"):
        features_of_texts(path, TEXTS[:2])
    record_path(path).unlink()
    assert "row for row" in match(path, TEXTS).words
    record_path(path).write_bytes(b"damaged")
    with pytest.raises(InputError, match="annotate again or delete it"):
        match(path, TEXTS)


def test_keys_are_of_the_words_alone() -> None:
    keys = text_keys(["a\nb", "a\r\nb ", "a b", "", "\ud800"])
    assert keys.shape == (5, 2) and (keys[0] == keys[1]).all()
    assert len({tuple(key) for key in keys.tolist()}) == 4


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus(300, n_gold=40, seed=3)


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table as `silr annotate` leaves it, sorted and short of some rows since."""
    folder = tmp_path_factory.mktemp("sorted")
    table = corpus.write(folder)
    np.save(folder / "table.features.npy", corpus.features.astype(np.float16))
    write_record(folder / "table.features.npy", corpus.texts)
    pd.read_csv(table).sort_values("text")[:280].to_csv(table, index=False)
    return folder


@pytest.mark.slow
def test_refine_and_predict_a_table_in_another_order(commands: Commands, corpus: Corpus, folder: Path) -> None:
    done = commands("refine", "table.csv", "-o", "run", "--features", "annotator", cwd=folder)
    assert (done.code, done.err) == (0, "") and "matched by text" in done.out
    labels = pd.read_csv(folder / "run" / "labels.csv")
    assert (labels.refined_label == labels.truth).mean() > corpus.llm_accuracy + 0.1
    labels.drop(columns="refined_label")[::-1].to_csv(folder / "new.csv", index=False)
    done = commands("predict", "run", "new.csv", "-o", "o.csv", "--features", "table.features.npy", cwd=folder)
    assert done.code == 0 and "matched by text" in done.out
    scored = pd.read_csv(folder / "o.csv")[::-1].reset_index(drop=True)
    other = labels.gold.isna()
    assert (scored.refined_label == labels.refined_label)[other].all()
    pd.DataFrame({"text": ["nobody has read this"]}).to_csv(folder / "strange.csv", index=False)
    done = commands("predict", "run", "strange.csv", "-o", "o2.csv", "--features", "table.features.npy", cwd=folder)
    assert done.code == 2 and "made from other texts" in done.err and done.err.count("\n") == 1
