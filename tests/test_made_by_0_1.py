"""What version 0.1.0 wrote still opens: runs, exports, annotations. `made_by_0_1/README.md` says how they were made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

import silr
from command_line import Commands
from silr.align.load_scorer import load_scorer
from silr.annotators.local import LocalAnnotator
from silr.annotators.table import annotate_file
from silr.label.gold_table import GoldTable
from silr.label.session import Session

pytestmark = pytest.mark.slow

OLD = Path(__file__).parent / "made_by_0_1"
FEATURES = ["--features", "features.npy"]
REFINED = {  # the options of `silr refine` that made each run, and the last iteration
    "default": (["short.csv", "--features", "tfidf"], 1),
    "labels-alone": (["ungold.csv", *FEATURES], 1),
    "scores-alone": (["scored.csv", *FEATURES, "--iterations", "2"], 2),
    "uu": (["table.csv", "--method", "uu", *FEATURES, "--iterations", "2"], 2),
    "paper": (["table.csv", "--method", "paper", *FEATURES, "--iterations", "2"], 2),
    "lora": (
        ["table.csv", "--classifier", "lora", "--model", "model", "--device", "cpu", "--learning-rate", "2e-3"],
        2,
    ),
}
EVERY_RUN = pytest.mark.parametrize("run", REFINED)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of all files, in which records know where the model is."""
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    for path in folder.rglob("*.json"):
        text = path.read_text()
        if '"MODEL"' in text:
            path.write_text(text.replace('"MODEL"', json.dumps(str(folder / "model"))))
    return folder


def said_of_new(run: str) -> pd.DataFrame:
    return pd.read_csv(OLD / f"new-{run}.csv")


@EVERY_RUN
def test_a_run_labels_new_texts_as_it_did(run: str, old: Path, commands: Commands) -> None:
    features = [] if run in ("default", "lora") else ["--features", "new.npy"]
    done = commands("predict", run, "new.csv", *features, "-o", "scored-now.csv", cwd=old)
    assert (done.code, done.err) == (0, ""), done
    now, then = pd.read_csv(old / "scored-now.csv"), said_of_new(run)
    tolerance = 0.03 if run == "lora" else 2e-3  # the network computes in bfloat16 where that is fast
    sure = then["refined_score"] > 0.5 + tolerance
    assert (now["refined_label"] == then["refined_label"])[sure].all()
    np.testing.assert_allclose(now["refined_score"], then["refined_score"], atol=tolerance)


@EVERY_RUN
def test_a_finished_run_stays_as_it_is(run: str, old: Path, commands: Commands) -> None:
    (table, *options), last = REFINED[run]
    kept = {path: path.read_bytes() for path in (old / run).rglob("iteration-*/*")}
    done = commands("refine", table, "-o", run, *options, cwd=old)
    assert done.code == 0, done
    assert {path: path.read_bytes() for path in (old / run).rglob("iteration-*/*")} == kept
    assert not (old / run / f"iteration-{last + 1}").exists()
    now, then = pd.read_csv(old / run / "labels.csv"), pd.read_csv(OLD / run / "labels.csv")
    pd.testing.assert_frame_equal(now[then.columns], then)


@EVERY_RUN
def test_a_run_that_was_cut_off_goes_on(run: str, old: Path, commands: Commands) -> None:
    (table, *options), last = REFINED[run]
    shutil.rmtree(old / run / f"iteration-{last}")
    (old / run / "labels.csv").unlink()
    done = commands("refine", table, "-o", run, *options, cwd=old)
    assert done.code == 0, done
    now, then = pd.read_csv(old / run / "labels.csv"), pd.read_csv(OLD / run / "labels.csv")
    sure = then["refined_score"] > (0.53 if run == "lora" else 0.5)
    assert (now["refined_label"] == then["refined_label"])[sure].all()


@EVERY_RUN
def test_report_and_evaluation(run: str, old: Path, commands: Commands) -> None:
    done = commands("report", run, "-o", "report.html", cwd=old)
    assert done.code == 0 and "Refined labels of" in (old / "report.html").read_text(), done
    table = pd.read_csv(old / run / "labels.csv")
    table.assign(truth=table["text"].str.extract("(negative|positive)")).to_csv(old / "judged.csv", index=False)
    done = commands("evaluate", "judged.csv", "--truth", "truth", "--json", cwd=old)
    assert done.code == 0 and "refined_label" in json.loads(done.out)["labels"], done


@pytest.mark.parametrize("run", ["uu", "default", "lora"])
def test_a_run_is_exported(run: str, old: Path, commands: Commands) -> None:
    done = commands("export", run, "now", cwd=old)
    assert done.code == 0, done
    if run == "uu":  # on a matrix: the folder reads texts by a distilled classifier, and the head lies beside it
        assert len(silr.load(old / "now").predict(["a lovely film"])) == 1
        now, then = (skops.io.load(old / file) for file in ("now/head.skops", "exported/model.skops"))
        features = np.load(OLD / "new.npy")
        np.testing.assert_allclose(now.predict_proba(features), then.predict_proba(features), atol=1e-6)


def test_an_export_needs_nothing_of_silr(old: Path) -> None:
    """No module of silr is named in it, so none can move away from under it."""
    assert skops.io.get_untrusted_types(file=old / "exported" / "model.skops") == []
    model = skops.io.load(old / "exported" / "model.skops")
    assert model.predict(np.load(OLD / "new.npy")).tolist() == said_of_new("uu")["refined_label"].tolist()


@pytest.mark.parametrize("folder", ["lora", "exported-lora"])
def test_a_run_and_an_export_are_rewards(folder: str, old: Path) -> None:
    then = said_of_new("lora")
    scores = load_scorer(old / folder, "positive", "cpu")(then["text"].tolist())
    assert scores.shape == (12,) and ((scores > 0) & (scores < 1)).all()
    if folder == "exported-lora":
        positive = np.where(then["refined_label"] == "positive", then["refined_score"], 1 - then["refined_score"])
        np.testing.assert_allclose(scores, positive, atol=0.03)


def test_an_annotation_reads_new_texts(old: Path) -> None:
    annotator = LocalAnnotator.from_description(json.loads((old / "annotated.annotator.json").read_text()))
    then = pd.read_csv(old / "annotated.csv")
    now = annotator.annotate(then["text"].tolist())
    scores = then[["llm_score_negative", "llm_score_positive"]].to_numpy()
    np.testing.assert_allclose(now.scores, scores, atol=1e-4)
    np.testing.assert_allclose(now.features, np.load(old / "annotated.features.npy"), atol=2e-3)


def test_an_annotation_has_features_for_a_run(old: Path, commands: Commands) -> None:
    """The rows of another table are found by text."""
    table = pd.read_csv(old / "annotated.csv")[::-1]
    table = table.assign(gold=table["text"].str.extract("(negative|positive)"))
    table.to_csv(old / "annotated.csv", index=False)
    done = commands("refine", "annotated.csv", "-o", "run", "--features", "annotator", cwd=old)
    assert done.code == 0, done
    assert "matched by text" in " ".join((done.out + done.err).split())


def test_an_annotation_that_was_cut_off_goes_on(old: Path) -> None:
    options = {"question": "Is this negative or positive?", "token_budget": 64, "device": "cpu", "dtype": "float32"}
    annotator = LocalAnnotator(old / "model", ["negative", "positive"], **options)
    summary = annotate_file(old / "new.csv", old / "half.csv", annotator, quiet=True)
    assert summary.n_resumed == 4
    now, then = pd.read_csv(old / "half.csv"), pd.read_csv(old / "annotated.csv")
    pd.testing.assert_frame_equal(now, then, check_exact=False, atol=1e-4)
    assert "feature_blocks" not in json.loads((old / "half.annotator.json").read_text())
    features = np.load(old / "half.features.npy")
    np.testing.assert_allclose(features, np.load(old / "annotated.features.npy"), atol=2e-3)


def test_gold_labels_of_a_journal_are_taken_up(old: Path) -> None:
    session = Session(GoldTable(old / "scored.csv"), 20)
    assert session.recovered == 6 and sorted(session.gold) == [3, 9, 53, 115, 117] and session.skipped == {103}
    session.save()
    session.close()
    table = pd.read_csv(old / "scored.csv")
    assert table["gold"].dropna().tolist() == ["positive", "negative", "positive", "positive", "positive"]
    assert table["gold_weight"].notna().sum() == 5
