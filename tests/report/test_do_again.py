"""The report's "do it again": of every method the command and the Python lines run, and give the same labels."""

from __future__ import annotations

import html
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reporting import Page

import silr
import silr.estimates.estimate as silr_estimate
from command_line import Commands
from silr import LabelRefiner
from silr.refine.table import Columns, refine_table
from silr.report.write import write_report
from synthetic import Corpus, make_corpus

TUNED = {"classifier": "lora", "max_length": 12, "learning_rate": 5e-3, "epochs": 1}
FITTED = ("7:1", "choose the epoch", "loss", "learning_rate", "epochs", "hidden_units", "correction", "leak")

# name: options of the refinement, columns that the table lacks
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "default": ({}, ()),
    "labels without gold": ({}, ("gold", "gold_weight")),
    "scores without gold": ({"iterations": 2}, ("gold", "gold_weight")),
    "uu": ({"method": "uu", "iterations": 2, "epochs": 5, "loss": "logistic"}, ()),
    "paper": ({"method": "paper", "iterations": 2, "epochs": 5, "correction": "relu"}, ()),
    "theta": ({"theta": [[0.9, 0.1], [0.35, 0.65]], "class_prior": [0.5, 0.5], "epochs": 5}, ("gold", "gold_weight")),
    "oracle": ({"method": "uu", "priors": "oracle", "iterations": 1, "epochs": 5}, ()),
    "lora": (TUNED, ()),
    "lora, uu": ({**TUNED, "method": "uu", "iterations": 1}, ()),
}


@pytest.fixture(scope="module")
def little() -> Corpus:
    return make_corpus(200, n_gold=60, seed=4)


def write_table(corpus: Corpus, folder: Path, case: str) -> Path:
    frame = corpus.table().drop(columns=list(CASES[case][1]), errors="ignore")
    frame["truth"] = corpus.truth
    if case == "scores without gold":
        odds = np.where(corpus.llm_labels == "positive", 1.0, -1.0) + np.random.default_rng(0).normal(size=len(frame))
        frame["llm_score_negative"], frame["llm_score_positive"] = -odds, odds
        frame["llm_label"] = np.where(odds > 0, "positive", "negative")
    frame.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


@pytest.mark.filterwarnings("ignore:there are no gold labels")
@pytest.mark.parametrize("case", CASES)
def test_the_command_makes_the_same_labels(
    case: str, little: Corpus, tmp_path: Path, commands: Commands, small_llama: str
) -> None:
    options = dict(CASES[case][0])
    if "classifier" in options:
        options["model"] = small_llama
    columns = Columns(truth="truth" if case == "oracle" else None)
    run = tmp_path / "run"
    refine_table(write_table(little, tmp_path, case), run, columns=columns, device="cpu", **options)
    page = Page(write_report(run))
    judged = silr_estimate.estimate(run).rows if "gold" not in CASES[case][1] else []
    assert ("There are no estimates" in page.by_id["estimates"]) is not any(row.measure == "kappa" for row in judged)
    again = page.by_id["again"]
    if "method" not in options and "theta" not in options and "classifier" not in options:
        assert not [words for words in FITTED if words in again]  # only what happened is said
    section = page.source.partition('id="again"')[2]  # another section may have a command, too
    command = html.unescape(section.partition('<pre tabindex="0"><code>')[2].partition("</code>")[0])
    done = commands(*shlex.split(command.replace("\\\n", " "))[1:], "--device", "cpu", cwd=run)
    assert done.code == 0, done.err
    before, after = (pd.read_csv(folder / "labels.csv") for folder in (run, tmp_path / "run-again"))
    pd.testing.assert_frame_equal(before, after)


@pytest.mark.filterwarnings("ignore:there are no gold labels")
@pytest.mark.parametrize("case", [case for case in CASES if case not in ("scores without gold", "lora, uu")])
def test_the_python_lines_make_the_same_labels(case: str, little: Corpus, tmp_path: Path, small_llama: str) -> None:
    options = dict(CASES[case][0])
    if "classifier" in options:
        options["model"] = small_llama
    by_hand = None if CASES[case][1] else little.gold
    more = {"truth": little.truth} if case == "oracle" else {}
    given = (little.texts, little.llm_labels)
    first = LabelRefiner.from_options(run=tmp_path / "run", device="cpu", **options).fit(*given, by_hand, **more)
    lines = Page(write_report(tmp_path / "run")).by_id["again"]
    line = lines[lines.index("LabelRefiner(") : lines.index(".fit(")]
    again = eval(" ".join(line.split()), {name: getattr(silr, name) for name in silr.__all__})
    again.set_params(device="cpu").fit(*given, by_hand, **more)
    np.testing.assert_array_equal(first.labels_, again.labels_)
    np.testing.assert_allclose(first.scores_, again.scores_, atol=1e-5)


@pytest.mark.slow
def test_static_embeddings_are_named(little: Corpus, static_model: str, tmp_path: Path, commands: Commands) -> None:
    """By the command with a path as it is seen from the run, by the Python lines with the whole one."""
    run, specs = tmp_path / "run", [f"static:{static_model}", "tfidf"]
    refine_table(write_table(little, tmp_path, "default"), run, features=specs)
    page = Page(write_report(run))
    command = html.unescape(
        page.source.partition('id="again"')[2].partition('<pre tabindex="0"><code>')[2].partition("</code>")[0]
    )
    assert "--features static:../" in command
    done = commands(*shlex.split(command.replace("\\\n", " "))[1:], cwd=run)
    assert done.code == 0, done.err
    before, after = (pd.read_csv(folder / "labels.csv") for folder in (run, tmp_path / "run-again"))
    pd.testing.assert_frame_equal(before, after)
    LabelRefiner(features=specs, run=tmp_path / "python").fit(little.texts, little.llm_labels, little.gold)
    lines = " ".join(Page(write_report(tmp_path / "python")).by_id["again"].split())
    assert repr(specs[0]) in lines
