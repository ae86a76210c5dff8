"""Tables with one LLM, several or a confidence, refined and predicted as a user does it."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from command_line import Commands, Result
from silr.errors import InputError
from silr.features import encoders
from silr.features.joined import groups_of
from silr.label.gold_table import GoldTable
from silr.refine.record import read_record
from silr.refine.table import Columns, refine_table
from silr.report.evaluate import evaluate_file
from silr.report.reproduce import reproduce
from silr.report.summary import summary
from synthetic import Corpus, make_corpus

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """A fifth of the true labels is not in the texts: the LLM knows what the features do not hold."""
    made = make_corpus(500, seed=4)
    flipped = np.random.default_rng(9).random(500) < 0.2
    truth = np.where(flipped, np.where(made.truth == "positive", "negative", "positive"), made.truth)
    gold = np.array(
        [None if each is None else str(label) for each, label in zip(made.gold, truth, strict=True)], object
    )
    return replace(made, truth=truth, gold=gold)


def wrong(corpus: Corpus, share: float, seed: int) -> Any:
    """Labels of an LLM that is wrong on this share of the texts, at random."""
    flipped = np.random.default_rng(seed).random(len(corpus.texts)) < share
    return np.where(flipped, np.where(corpus.truth == "positive", "negative", "positive"), corpus.truth)


def refused(result: Result, *said: str) -> None:
    assert result.code == 2 and result.err.startswith("silr: ") and result.err.count("\n") == 1, result
    for words in said:
        assert words in result.err


def three(corpus: Corpus, folder: Path, **columns: Any) -> Path:
    names = {f"llm_label_{name}": wrong(corpus, share, seed) for seed, (name, share) in enumerate(LLMS.items())}
    table = corpus.table().drop(columns="llm_label").assign(**names, **columns)
    table.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


LLMS = {"a": 0.3, "b": 0.35, "a_small": 0.4}


def test_new_texts_with_and_without_the_llm_s_labels(corpus: Corpus, commands: Commands, tmp_path: Path) -> None:
    """With its columns a corpus is labelled as it was refined; without them by the features alone."""
    table = corpus.write(tmp_path, llm_label=wrong(corpus, 0.25, 0))
    assert commands("refine", table, "-o", tmp_path / "run", "-q").code == 0
    refined = pd.read_csv(tmp_path / "run" / "labels.csv")
    done = commands("predict", tmp_path / "run", table, "-o", tmp_path / "same.csv")
    assert done.code == 0 and "labels lean on llm_label" in done.out
    same = pd.read_csv(tmp_path / "same.csv")
    free = refined["gold"].isna()
    assert (same["refined_label"] == refined["refined_label"])[free].all()
    np.testing.assert_allclose(same["refined_score"][free], refined["refined_score"][free], rtol=1e-3)
    pd.read_csv(table)[["text"]].to_csv(tmp_path / "texts.csv", index=False)
    done = commands("predict", tmp_path / "run", tmp_path / "texts.csv", "-o", tmp_path / "alone.csv")
    assert done.code == 0 and "the features alone label these texts: there is no column llm_label" in done.out
    assert (pd.read_csv(tmp_path / "alone.csv")["refined_label"] != refined["refined_label"]).any()
    strange = pd.read_csv(table).assign(llm_label="unknown")
    strange.to_csv(tmp_path / "strange.csv", index=False)
    refused(commands("predict", tmp_path / "run", tmp_path / "strange.csv", "-o", tmp_path / "o.csv"), "'unknown'")


def test_several_llms(corpus: Corpus, commands: Commands, tmp_path: Path) -> None:
    """Each is evidence of its own; they know more together than the best alone, and some may lack labels."""
    table = three(corpus, tmp_path)
    frame = pd.read_csv(table)
    frame.loc[:50, "llm_label_b"] = None
    frame.to_csv(table, index=False)
    done = commands("refine", table, "-o", tmp_path / "run", "--truth", "truth", "--json")
    assert done.code == 0, done
    values = json.loads(done.out)["iterations"]
    named = {each["name"]: each for each in values[0]["annotators"]}
    assert list(named) == list(LLMS)
    for name, each in named.items():
        low, high = each["estimated_accuracy_interval"]
        assert low < each["estimated_accuracy"] < high and each["true_accuracy"] < 1 - LLMS[name] + 0.1
    assert values[1]["true_accuracy"] > max(0.7, values[0]["true_accuracy"]) + 0.05
    low, high = values[1]["classifier_accuracy_interval"]
    assert low <= values[1]["classifier_accuracy"] <= high and sum(values[1]["model_weights"]) == pytest.approx(
        1, abs=1e-4
    )
    shown = commands("refine", table, "-o", tmp_path / "run")
    assert all(name in shown.out for name in ("majority", "a_small", "refined"))
    assert commands("predict", tmp_path / "run", table, "-o", tmp_path / "same.csv").code == 0
    refined, same = pd.read_csv(tmp_path / "run" / "labels.csv"), pd.read_csv(tmp_path / "same.csv")
    assert (same["refined_label"] == refined["refined_label"])[refined["gold"].isna()].all()
    again = (tmp_path / "run" / "report.html").read_text()
    assert "--label-column llm_label_a_small" in again


def test_the_report_s_command_does_it_again(corpus: Corpus, commands: Commands, tmp_path: Path) -> None:
    """For the default with one LLM, with several, and for uu: the same labels."""
    one = corpus.write(tmp_path, "one.csv", llm_label=wrong(corpus, 0.25, 0))
    several = three(corpus, tmp_path)
    for number, (table, options) in enumerate(((one, []), (several, []), (one, ["--method", "uu", "--epochs", 3]))):
        run = tmp_path / f"run{number}"
        assert commands("refine", table, "-o", run, "-q", *options).code == 0
        command = shlex.split(reproduce(read_record(run))["command"].replace("\\\n", " "))
        assert command[:2] == ["silr", "refine"]
        again = tmp_path / f"again{number}"
        command[command.index("../run-again")] = str(again)
        done = commands(*command[1:], cwd=run)
        assert done.code == 0, done
        first, second = (pd.read_csv(folder / "labels.csv")["refined_label"] for folder in (run, again))
        assert (first == second).all()


def test_several_llms_are_labelled_and_evaluated(corpus: Corpus, commands: Commands, tmp_path: Path) -> None:
    """The draws go by what most of them say; every column is scored."""
    table = three(corpus, tmp_path)
    found = GoldTable(table)
    votes = sum((wrong(corpus, share, seed) == "positive").astype(int) for seed, share in enumerate(LLMS.values()))
    assert found.codes.tolist() == (votes >= 2).astype(int).tolist() and found.classes == ["negative", "positive"]
    done = commands("evaluate", table, "--truth", "truth", "--json")
    assert done.code == 0 and list(json.loads(done.out)["labels"]) == [f"llm_label_{name}" for name in LLMS]


def test_some_of_several_llms(corpus: Corpus, commands: Commands, tmp_path: Path) -> None:
    table = three(corpus, tmp_path)
    chosen = ["--label-column", "llm_label_a", "--label-column", "llm_label_b"]
    done = commands("refine", table, "-o", tmp_path / "two", *chosen)
    assert done.code == 0 and "2 LLMs: llm_label_a, llm_label_b" in done.out
    done = commands("refine", table, "-o", tmp_path / "one", *chosen[:2], "--method", "uu", "--epochs", 3)
    assert done.code == 0
    refused(
        commands("refine", table, "-o", tmp_path / "uu", "--method", "uu", *chosen),
        "one LLM's labels are wanted, not llm_label_a, llm_label_b: give one --label-column",
    )


def test_a_confidence_is_the_score_of_a_label(corpus: Corpus, commands: Commands, tmp_path: Path) -> None:
    """Labels with a confidence that tells when they are right are worth more than the bare ones."""
    labels = wrong(corpus, 0.35, 1)
    sure = np.where(labels == corpus.truth, 0.9, 0.6) + np.random.default_rng(0).uniform(-0.1, 0.1, 500)
    right = {}
    for name, columns in (("bare", {}), ("sure", {"llm_confidence": sure})):
        table = corpus.write(tmp_path, f"{name}.csv", llm_label=labels, **columns)
        done = commands("refine", table, "-o", tmp_path / name, "--truth", "truth", "--json")
        assert done.code == 0, done
        right[name] = json.loads(done.out)["iterations"][1]["true_accuracy"]
    assert right["sure"] > right["bare"] + 0.02
    assert commands("predict", tmp_path / "sure", tmp_path / "sure.csv", "-o", tmp_path / "o.csv").code == 0
    done = commands("predict", tmp_path / "sure", tmp_path / "bare.csv", "-o", tmp_path / "o.csv")
    assert done.code == 0 and "there are no scores of llm_label, which the run had" in done.out


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"llm_confidence": 85}, "row 1: 'llm_confidence' is '85'; a confidence is a number from 0 to 1"),
        ({"llm_confidence": "high"}, "row 1: 'llm_confidence' is 'high'; a confidence is a number from 0 to 1"),
        ({"llm_confidence": None}, "column 'llm_confidence'"),
        ({"llm_label_b": "yes"}, "none in common"),
        ({"gold_weight": 0}, "gold"),
    ],
)
def test_what_cannot_be_used(
    corpus: Corpus, commands: Commands, tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    table = corpus.write(tmp_path, **columns)
    refused(commands("refine", table, "-o", tmp_path / "run"), said)
    assert not (tmp_path / "run").exists()


def test_labels_alone_without_gold(corpus: Corpus, commands: Commands, tmp_path: Path) -> None:
    table = corpus.write(tmp_path, llm_label=wrong(corpus, 0.3, 2), gold="", gold_weight="")
    done = commands("refine", table, "-o", tmp_path / "run", "--truth", "truth", "--json")
    assert done.code == 0 and "there are no gold labels, so the LLM's labels are taken at their word" in done.err
    before, after = (row["true_accuracy"] for row in json.loads(done.out)["iterations"])
    assert after > before
    same = commands("predict", tmp_path / "run", table, "-o", tmp_path / "same.csv")
    assert same.code == 0
    refined = pd.read_csv(tmp_path / "run" / "labels.csv")["refined_label"]
    assert (pd.read_csv(tmp_path / "same.csv")["refined_label"] == refined).all()
    assert "taken at their word" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.encoder
def test_all_features_at_hand_are_used_by_default(corpus: Corpus, minilm: str, tmp_path: Path) -> None:
    """States beside the table, the sentence encoder of a package, and TF-IDF, each as a group of its own."""
    assert encoders.at_hand() == minilm
    table = corpus.write(tmp_path)
    np.save(tmp_path / "table.features.npy", corpus.features)
    said: list[str] = []
    refiner = refine_table(table, tmp_path / "run", say=said.append)
    assert "features: the annotator's states, sentence embeddings, TF-IDF" in said
    kinds = [part["kind"] for part in refiner.features_.record["parts"]]
    assert kinds == ["file", "sentence-transformers", "tfidf"]
    assert [len(group) for group in groups_of(refiner.features_, refiner.n_features_in_)] == [1, 1, 2]


def cells(labels: Any, negative: Any, positive: Any) -> Any:
    return pd.Series(labels).map({"negative": negative, "positive": positive})


@pytest.mark.parametrize(
    ("suffix", "llm", "gold", "truth", "classes"),
    [
        (".csv", (0, 1), (0.0, 1.0), ("0", "1"), ["0", "1"]),
        (".parquet", (False, True), ("false", "true"), (0, 1), ["False", "True"]),
        (".jsonl", ("ne\u0301", "b"), ("n\u00e9 ", "b"), (" n\u00e9", "b"), ["b", "n\u00e9"]),
        (".parquet", (b"no", b"yes"), ("no", "yes"), ("no", "yes"), ["no", "yes"]),
    ],
)
def test_cells_meet_the_classes_that_they_mean(
    corpus: Corpus, tmp_path: Path, suffix: str, llm: Any, gold: Any, truth: Any, classes: list[str]
) -> None:
    """In every command that reads them."""
    columns = {"llm_label": cells(corpus.llm_labels, *llm), "gold": cells(corpus.gold, *gold)}
    table = corpus.write(tmp_path, f"t{suffix}", **columns, truth=cells(corpus.truth, *truth))
    refiner = refine_table(table, tmp_path / "run", columns=Columns(truth="truth"), features="tfidf")
    assert refiner.classes_.tolist() == classes
    assert read_record(tmp_path / "run").problems == []
    found = GoldTable(table)
    assert found.classes == classes and len(found.gold) == 60
    scores = evaluate_file(tmp_path / "run" / "labels.csv", "truth")["labels"]
    assert scores["llm_label"]["accuracy"] == pytest.approx(corpus.llm_accuracy, abs=0.2)
    assert scores["refined_label"]["accuracy"] > 0.6


def test_classes_that_only_gold_has(corpus: Corpus, commands: Commands, tmp_path: Path) -> None:
    """Named by --classes, before the table or after; then labels may differ in case."""
    gold = pd.Series(corpus.gold, dtype=object)
    gold[gold.dropna().index[:8]] = "Neutral"
    table = corpus.write(tmp_path, gold=gold)
    options = ("--features", "tfidf", "-o", tmp_path / "run")
    refused(commands("refine", table, *options), "'Neutral'", "--classes Neutral,negative,positive")
    done = commands("refine", "--classes", "negative", "neutral", "positive", table, *options)
    assert done.code == 0 and "8 gold labels differ from a class in case only" in done.out, done
    command = reproduce(read_record(tmp_path / "run"))["command"]
    assert "--classes negative,neutral,positive" in command
    done = commands("evaluate", tmp_path / "run" / "labels.csv", "--truth", "truth")
    assert done.code == 0, done
    assert set(pd.read_csv(tmp_path / "run" / "labels.csv")["refined_label"]) == {"negative", "neutral", "positive"}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"gold": "?"}, "row 1: 'gold' is '?', outside the classes 'negative', 'positive'; leave a cell empty"),
        ({"gold": "Negative"}, "'Negative', outside the classes 'negative', 'positive'; it differs from 'negative' in"),
        ({"llm_label": lambda t: t.llm_label.where(t.index > 2, "N/A")}, "row 1: 'llm_label' is 'N/A', which looks"),
        ({"llm_label": lambda t: t.llm_label.where(t.index > 2, "NEGATIVE")}, "'NEGATIVE', elsewhere 'negative'"),
        ({"text": [["a"]] * 500}, "row 1: 'text' is a list, not a text: make one text of it first"),
    ],
)
def test_cells_that_are_no_class(corpus: Corpus, tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    table = corpus.write(tmp_path, "t.jsonl", **columns)
    with pytest.raises(InputError) as error:
        refine_table(table, tmp_path / "run", features="tfidf")
    assert said in str(error.value) and not (tmp_path / "run").exists()


def test_twelve_classes_stand_in_the_order_of_their_values(tmp_path: Path) -> None:
    made = make_corpus(240, tuple(map(str, range(1, 13))), n_gold=60, bias=0.2)
    refiner = refine_table(made.write(tmp_path), tmp_path / "run", features="tfidf")
    assert refiner.classes_.tolist() == [str(number) for number in range(1, 13)]
    assert [row["classes"] for row in (summary(refiner.result_),)] == [refiner.classes_.tolist()]
