"""The blocks of hidden states: what the file holds is said beside it, and files of fewer blocks stay of use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from command_line import Commands
from silr.annotators import LocalAnnotator, annotate_file
from silr.annotators.feature_blocks import as_begun, columns_of, means
from silr.annotators.self_refine import SelfRefineAnnotator
from silr.errors import InputError
from silr.features.file import FileFeatures, annotator_of

OLD = Path(__file__).parents[1] / "made_by_0_1"
CLASSES = ["negative", "positive"]
BOTH = {"feature_blocks": [{"name": "last", "width": 2}, {"name": "mean", "width": 3}]}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of a small model and of an annotation by it, without the mean."""
    shutil.copytree(OLD / "model", tmp_path / "model")
    for path in (OLD / "new.csv", *OLD.glob("annotated.*")):
        shutil.copy(path, tmp_path)
    record = tmp_path / "annotated.annotator.json"
    record.write_text(record.read_text().replace('"MODEL"', json.dumps(str(tmp_path / "model"))))
    return tmp_path


def annotator_in(folder: Path, **options: Any) -> LocalAnnotator:
    question = "Is this negative or positive?"
    return LocalAnnotator(folder / "model", CLASSES, question=question, device="cpu", dtype="float32", **options)


def test_a_mean_is_blind_to_the_rest_of_its_batch() -> None:
    import torch

    torch.manual_seed(0)
    states = torch.randn(3, 9, 5).bfloat16()
    spans = [(2, 9), (0, 4), (5, 6)]
    batch = means(states, spans)
    assert batch.dtype == torch.float32
    for row, (start, end) in enumerate(spans):
        torch.testing.assert_close(batch[row], states[row, start:end].float().mean(dim=0), rtol=1e-6, atol=1e-6)
    states[0, :2] = states[1, 4:] = states[2, 6:] = torch.nan
    assert means(states, spans).equal(batch)


def test_the_columns_of_blocks() -> None:
    assert columns_of({}, {}) is None and columns_of(BOTH, BOTH) is None
    assert columns_of({}, BOTH).tolist() == [0, 1]
    assert columns_of({"feature_blocks": BOTH["feature_blocks"][1:]}, BOTH).tolist() == [2, 3, 4]
    with pytest.raises(InputError, match="it lacks the mean state over the text"):
        columns_of(BOTH, {})


@pytest.mark.parametrize("names", [(), "last", ("last", "first"), ("mean", "mean")])
def test_other_blocks_are_refused(names: Any) -> None:
    with pytest.raises(InputError, match=r"feature_blocks is .*; it must hold 'last' or 'mean', or both"):
        LocalAnnotator("nowhere", CLASSES, feature_blocks=names)


def test_blocks_of_one_pass(old: Path) -> None:
    texts = pd.read_csv(old / "new.csv")["text"].tolist()
    both, last = annotator_in(old), annotator_in(old, feature_blocks=("last",))
    assert (both.n_features, last.n_features) == (32, 16)
    assert "feature_blocks" not in last.describe()
    of_both, of_last = both.annotate(texts), last.annotate(texts)
    np.testing.assert_array_equal(of_both.features[:, :16], of_last.features)
    np.testing.assert_array_equal(of_both.scores, of_last.scores)
    alone = np.concatenate([both.annotate([text]).features for text in texts])
    np.testing.assert_allclose(of_both.features, alone, atol=2e-3)
    again = LocalAnnotator.from_description(json.loads(json.dumps(both.describe())))
    np.testing.assert_array_equal(again.annotate(texts).features, of_both.features)


@pytest.mark.parametrize("wrap", [lambda annotator: annotator, SelfRefineAnnotator])
def test_what_was_begun_without_the_mean_ends_without_it(old: Path, wrap: Any) -> None:
    annotator = wrap(annotator_in(old))
    meta = {"texts": "a hash", "annotator": annotator.describe()}
    older = {**meta, "annotator": wrap(annotator_in(old, feature_blocks=["last"])).describe()}
    assert as_begun(annotator, meta, None) == as_begun(annotator, meta, {**older, "texts": "others"}) == meta
    assert annotator.n_features == 32
    assert as_begun(annotator, meta, json.loads(json.dumps(older))) == older
    assert annotator.n_features == 16 and annotator.describe() == older["annotator"]


def test_a_file_that_is_older_than_its_record(old: Path) -> None:
    """The table was annotated again, without features."""
    annotator = annotator_in(old)
    annotate_file(old / "annotated.csv", old / "annotated.csv", annotator, save_features=False, quiet=True)
    assert "feature_blocks" in json.loads((old / "annotated.annotator.json").read_text())
    record = annotator_of(old / "annotated.features.npy")
    assert record is not None and "feature_blocks" not in record
    assert FileFeatures(None, {"kind": "file", "annotator": record}).transform(["word1"]).shape == (1, 16)


@pytest.mark.slow
def test_predict_takes_the_blocks_that_the_run_had(old: Path, commands: Commands) -> None:
    for name in ("before", "now"):
        for path in old.glob("annotated.*"):
            shutil.copy(path, old / path.name.replace("annotated", name))
    annotate_file(old / "new.csv", old / "now.csv", annotator_in(old), quiet=True)
    for name in ("before", "now"):
        table = pd.read_csv(old / f"{name}.csv")
        table.assign(gold=table["text"].str.extract("(negative|positive)")).to_csv(old / f"{name}.csv", index=False)
        done = commands("refine", f"{name}.csv", "-o", f"run-{name}", "--features", "annotator", cwd=old)
        assert done.code == 0, done

        pd.read_csv(old / "new.csv").to_csv(old / f"{name}.csv", index=False)  # no labels: features alone count

    def predicted(run: str, table: str) -> pd.DataFrame:
        done = commands("predict", run, f"{table}.csv", "-o", "scored.csv", cwd=old)
        assert done.code == 0, done
        assert (f"features: {table}.features.npy" in done.out) == (table != "new")
        return pd.read_csv(old / "scored.csv")

    for run, tables in (("run-before", ("before", "now")), ("run-now", ("now",))):
        by_model = predicted(run, "new")  # has no file, so the model reads its texts
        for table in tables:
            pd.testing.assert_frame_equal(predicted(run, table), by_model, check_exact=False, atol=5e-3)
    done = commands("predict", "run-now", "before.csv", "-o", "scored.csv", cwd=old)
    assert done.code == 2 and "it lacks the mean state over the text; annotate these texts again" in done.err
