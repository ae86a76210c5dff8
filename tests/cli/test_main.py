"""The command line in processes of its own: what it prints, writes and refuses, and with which exit code."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import silr
from command_line import Commands, Result
from synthetic import Corpus, make_corpus

pytestmark = pytest.mark.slow

QUICK = ("--method", "uu", "--epochs", 10, "--iterations", 2, "--device", "cpu")


@pytest.fixture(scope="module")
def small() -> Corpus:
    return make_corpus(600, seed=2)


@pytest.fixture(scope="module")
def run(commands: Commands, small: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a table with texts."""
    folder = tmp_path_factory.mktemp("cli")
    assert commands("refine", small.write(folder), "-o", folder / "run", *QUICK).code == 0
    return folder / "run"


def refused(result: Result, *said: str) -> None:
    """Exit code 2, and one line on stderr that says what is wrong."""
    assert result.code == 2, result
    assert result.err.startswith("silr: ") and result.err.endswith("\n") and result.err.count("\n") == 1, result.err
    for words in said:
        assert words in result.err
    assert "Traceback" not in result.err + result.out


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- help -------------------------------------------------------------------------------------------------------------


def test_help_loads_nothing_heavy() -> None:
    script = """if True:
        import sys
        from silr.cli.main import main
        sys.argv = ["silr", "--help"]
        try:
            main()
        finally:
            heavy = {"torch", "transformers", "pandas", "sklearn", "scipy", "numpy", "matplotlib", "jinja2"}
            print(sorted(heavy & set(sys.modules)), file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    for command in ("annotate", "label", "refine", "predict", "evaluate", "report", "demo"):
        assert command in done.stdout


def test_version_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "silr", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"silr {silr.__version__}\n", "")


def test_installed_command() -> None:
    command = Path(sys.executable).with_name("silr")
    done = subprocess.run([command, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"silr {silr.__version__}\n")


@pytest.mark.parametrize("command", ["annotate", "label", "refine", "predict", "evaluate", "report", "demo"])
def test_help_of_a_command(commands: Commands, command: str) -> None:
    for flag in ("--help", "-h") if command == "refine" else ("--help",):  # one setting is for all
        result = commands(command, flag)
        assert result.code == 0 and result.err == "" and f"silr {command}" in result.out


def test_usage(commands: Commands) -> None:
    refused(commands("refinne"), "No such command 'refinne'", "see silr --help")
    refused(commands("refine"), "Missing argument", "see silr refine --help")
    refused(commands("refine", "t.csv"), "Missing option '--output'")
    refused(commands("refine", "t.csv", "-o", "run", "--iterations", "0"), "--iterations")
    refused(commands("refine", "t.csv", "-o", "run", "--colour", "red"), "No such option: --colour")
    alone = commands()
    assert alone.code == 2 and "Usage" in alone.out + alone.err and "silr: " not in alone.err


# --- from a table to labels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl.gz", "parquet"])
def test_end_to_end(commands: Commands, small: Corpus, tmp_path: Path, kind: str) -> None:
    table = small.write(tmp_path, f"table.{kind}")
    new = small.write(tmp_path, f"new.{kind}", text=small.texts[::-1])
    before = hashes(tmp_path)

    result = commands("refine", table, "-o", tmp_path / "run", *QUICK, "--truth", "truth")
    assert (result.code, result.err) == (0, "")
    for words in ("600 texts", "features: TF-IDF", "iteration 2 of 2", "the LLM", "written: "):
        assert words in result.out
    labels = pd.read_csv(tmp_path / "run" / "labels.csv", keep_default_na=False)
    assert labels.columns.tolist() == [
        "text",
        "llm_label",
        "gold",
        "gold_weight",
        "truth",
        "refined_label",
        "refined_score",
        "out_of_fold_label",
        "out_of_fold_score",
    ]
    assert labels["text"].tolist() == small.texts and labels["llm_label"].tolist() == small.llm_labels.tolist()
    assert (labels["refined_label"] == small.truth).mean() > small.llm_accuracy + 0.1
    assert labels["refined_score"].between(0.5, 1).all()

    scored = tmp_path / f"scored.{kind}"
    result = commands("predict", tmp_path / "run", new, "-o", scored)
    assert (result.code, result.err) == (0, "")
    frame = {"csv": pd.read_csv, "jsonl.gz": lambda path: pd.read_json(path, lines=True), "parquet": pd.read_parquet}[
        kind
    ](scored)
    same = frame["refined_label"].to_numpy()[::-1] == labels["refined_label"]
    assert same[labels["gold"] == ""].all()  # gold texts have their gold label
    other = (labels["gold"] == "").to_numpy()
    assert frame["refined_score"].to_numpy()[::-1][other] == pytest.approx(labels["refined_score"][other], abs=1e-3)
    assert (labels["refined_score"][~other] == 1).all()  # a label by hand is taken as true

    result = commands("evaluate", tmp_path / "run" / "labels.csv", "--truth", "truth", "--json")
    assert (result.code, result.err) == (0, "")
    scores = json.loads(result.out)["labels"]
    for name in ("llm_label", "refined_label"):
        assert scores[name]["accuracy"] == pytest.approx((labels[name] == small.truth)[other].mean())
    assert {name: hashes(tmp_path)[name] for name in before} == before


def test_in_a_process_that_shares_nothing(small: Corpus, tmp_path: Path) -> None:
    """Imports, warnings and all, as a user starts it."""
    small.write(tmp_path)
    command = [sys.executable, "-W", "default", "-m", "silr", "refine", "table.csv", "-o", "run", "--json"]
    done = subprocess.run([*command, *map(str, QUICK)], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["best_iteration"] == 2


def test_json(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    table = small.write(tmp_path)
    result = commands("refine", table, "-o", tmp_path / "run", *QUICK, "--truth", "truth", "--json")
    assert (result.code, result.err) == (0, "")
    values = json.loads(result.out)
    assert values["classes"] == ["negative", "positive"] and values["best_iteration"] == 2
    assert [row["iteration"] for row in values["iterations"]] == [0, 1, 2]
    assert values["iterations"][0]["true_accuracy"] == pytest.approx(small.llm_accuracy)
    low, high = values["iterations"][2]["estimated_accuracy_interval"]
    assert low < values["iterations"][2]["estimated_accuracy"] < high
    result = commands("predict", tmp_path / "run", table, "-o", tmp_path / "scored.csv", "--json")
    values = json.loads(result.out)
    assert (values["texts"], sum(values["labels"].values())) == (600, 600)
    assert values["output"] == str(tmp_path / "scored.csv")


def test_quiet(commands: Commands, small: Corpus, run: Path, tmp_path: Path) -> None:
    table = small.write(tmp_path)
    assert commands("refine", table, "-o", tmp_path / "run", *QUICK, "-q") == (0, "", "")
    assert commands("predict", run, table, "-o", tmp_path / "scored.csv", "--quiet") == (0, "", "")


def test_the_second_time_nothing_is_done_again(commands: Commands, run: Path, small: Corpus) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.glob("iteration-*/*")}
    labels = (run / "labels.csv").read_bytes()
    result = commands("refine", run.parent / "table.csv", "-o", run, *QUICK)
    assert result.code == 0 and "iteration 1 of" not in result.out
    assert {path: path.stat().st_mtime_ns for path in run.glob("iteration-*/*")} == before
    assert (run / "labels.csv").read_bytes() == labels


def test_own_column_names_and_features(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    names = {"text": "body", "llm_label": "machine", "gold": "hand", "gold_weight": "w"}
    small.table().rename(columns=names).to_csv(tmp_path / "t.csv", index=False)
    np.save(tmp_path / "X.npy", small.features)
    columns = ("--text-column", "body", "--label-column", "machine", "--gold-column", "hand", "--weight-column", "w")
    result = commands("refine", "t.csv", "-o", "run", "--features", "X.npy", *columns, *QUICK, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    labels = pd.read_csv(tmp_path / "run" / "labels.csv")
    assert (labels["refined_label"] == small.truth).mean() > small.llm_accuracy + 0.1
    predict = ("predict", "run", "t.csv", "-o", "s.csv", "--text-column", "body")
    refused(commands(*predict, cwd=tmp_path), "features of this run came from a file")
    assert commands(*predict, "--features", "X.npy", cwd=tmp_path).code == 0
    scored = pd.read_csv(tmp_path / "s.csv")
    known = labels["hand"].notna()
    assert (labels["refined_label"] == labels["hand"])[known].all()
    assert (labels["refined_label"] == scored["refined_label"])[~known].all()
    np.save(tmp_path / "X.npy", small.features[:, :5])
    refused(commands(*predict, "--features", "X.npy", cwd=tmp_path), "X has 5 features", "fitted on 32")


def test_features_beside_the_table_are_taken(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    table = small.write(tmp_path)
    np.save(tmp_path / "table.features.npy", small.features.astype(np.float16))
    result = commands("refine", table, "-o", tmp_path / "run", *QUICK)
    assert result.code == 0 and "TF-IDF" not in result.out
    assert not (tmp_path / "run" / "features").exists()
    result = commands("predict", tmp_path / "run", table, "-o", tmp_path / "scored.csv")
    assert result.code == 0 and f"features: {tmp_path / 'table.features.npy'}" in result.out


def test_theta_instead_of_gold(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    table = small.write(tmp_path, gold="", gold_weight="")
    result = commands("refine", table, "-o", tmp_path / "run", "--theta", "0.95,0.05;0.35,0.65", *QUICK, "--json")
    assert result.code == 0
    first, second = json.loads(result.out)["iterations"]
    assert first["theta"] == [[0.95, 0.05], [0.35, 0.65]] and "theta" not in second
    assert commands("refine", table, "-o", tmp_path / "again", "--theta", "0.95,0.05;0.35,0.65", *QUICK).code == 0


def test_oracle(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    table = small.write(tmp_path, gold="", gold_weight="")
    result = commands("refine", table, "-o", tmp_path / "run", "--truth", "truth", "--oracle", *QUICK, "--json")
    assert result.code == 0
    for row in json.loads(result.out)["iterations"]:
        assert row["estimated_accuracy"] == pytest.approx(row["true_accuracy"])


def test_truth_given_in_the_second_half_of_a_run(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    table = small.write(tmp_path)
    options = ("--method", "uu", "--epochs", 10, "--device", "cpu", "-o", tmp_path / "run")
    assert commands("refine", table, *options, "--iterations", 1).code == 0
    result = commands("refine", table, *options, "--iterations", 2, "--truth", "truth")
    assert result.code == 0 and f"{small.llm_accuracy:.1%}" in result.out
    assert commands("refine", table, *options, "--iterations", 3).code == 0


def test_few_gold_labels_warn_in_one_line(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    gold = np.full(600, None, dtype=object)
    gold[:25] = small.truth[:25]
    result = commands("refine", small.write(tmp_path, gold=gold, gold_weight=1), "-o", tmp_path / "run", *QUICK)
    assert result.code == 0
    assert result.err.startswith("silr: warning: only 25 gold labels: expect wide intervals")
    assert result.err.count("\n") == 1


def test_duplicate_and_empty_texts_are_kept_counted_and_said(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    texts = ["", "  ", *small.texts[:1] * 4, *small.texts[6:]]
    labels = [None, *small.llm_labels[1:]]
    table = small.write(tmp_path, text=texts, llm_label=labels)
    result = commands("refine", table, "-o", tmp_path / "run", *QUICK)
    assert result.code == 0
    duplicates = 598 - len(set(texts[2:]))
    assert f"600 texts, {duplicates} duplicates, 2 empty (kept)" in result.out
    assert "1 texts have no llm_label" in result.out
    frame = pd.read_csv(tmp_path / "run" / "labels.csv", keep_default_na=False)
    assert frame["text"].tolist() == texts and set(frame["refined_label"]) == {"negative", "positive"}
    assert frame["refined_label"][2:6].nunique() == 1


def test_label_types_survive(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    def numbers(labels: Any) -> list[Any]:
        return [None if label is None else int(label == "positive") for label in labels]

    columns = {"llm_label": numbers(small.llm_labels), "truth": numbers(small.truth), "gold": numbers(small.gold)}
    table = small.write(tmp_path, "t.parquet", **columns)  # gold is float there, with NaN
    result = commands("refine", table, "-o", tmp_path / "run", *QUICK, "--truth", "truth", "--json")
    assert result.code == 0 and json.loads(result.out)["classes"] == ["0", "1"]
    assert set(pd.read_csv(tmp_path / "run" / "labels.csv")["refined_label"]) == {0, 1}


# --- refusals ---------------------------------------------------------------------------------------------------------


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


BAD_FILES = {
    "empty.csv": (b"", "is empty"),
    "header.csv": (b"text,llm_label\n", "has no rows, only a header"),
    "utf8.csv": (b"text,llm_label\ngood,a\n\xff\xfe,b\n", "line 3: not UTF-8"),
    "utf8.jsonl": (b'{"text": "a"}\n{"text": "\xff"}\n', "line 2: not UTF-8"),
    "ragged.csv": (b"text,llm_label\na,b,c\n", "line 2: 3 fields, the header has 2"),
    "json.jsonl": (b"{\n", "line 1: not JSON"),
    "half.csv.gz": (gzip.compress(b"text,llm_label\n" * 99)[:-20], "not an intact gzip file"),
    "no.parquet": (b"PAR1", "not an intact parquet file"),
    "table.xlsx": (b"PK", "unknown kind of table"),
    "notext.csv": (b"text,llm_label\n,a\n ,b\n", "column 'text' of", "has no text: all 2 rows are empty"),
    "column.csv": (b"body,llm_label\na,b\n", "has no column 'text'; its columns are 'body', 'llm_label'"),
    "semicolons.csv": (b"text;llm_label\na;b\n", "has no column 'text'", "semicolons"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_tables_that_cannot_be_read(commands: Commands, run: Path, tmp_path: Path, name: str) -> None:
    content, *said = BAD_FILES[name]
    table = write(tmp_path / name, content)
    annotate = ("annotate", table, "-o", tmp_path / "o.csv", "--classes", "a", "b", "--model", tmp_path / "none")
    for arguments in (
        annotate,
        ("refine", table, "-o", tmp_path / "run"),
        ("predict", run, table, "-o", tmp_path / "o.csv"),
    ):
        refused(commands(*arguments), name, *said)
    assert hashes(tmp_path).keys() == {name} and table.read_bytes() == content


def test_missing_table(commands: Commands, run: Path, tmp_path: Path) -> None:
    for table, said in (
        (tmp_path / "no.csv", "no.csv does not exist"),
        (tmp_path / "d.csv", "is a folder, not a table"),
    ):
        if table.name == "d.csv":
            table.mkdir()
        refused(commands("refine", table, "-o", tmp_path / "run"), said)
        refused(commands("predict", run, table, "-o", tmp_path / "o.csv"), said)
        refused(commands("evaluate", table, "--truth", "truth"), said)
        refused(commands("annotate", table, "-o", tmp_path / "o.csv", "--classes", "a", "b"), said)


def columns(small: Corpus, case: str) -> dict[str, Any]:
    """What makes the table bad."""
    gold = np.full(600, None, dtype=object)
    if case == "few gold":
        gold[:9] = small.truth[:9]
    elif case == "gold of one class":
        gold[small.truth == "positive"] = "positive"
    elif case == "strange gold":
        gold[:20] = "neutral"
    scores = np.zeros(600)
    scores[41] = np.inf if case == "infinite score" else np.nan if case == "missing score" else 0
    weight = np.where([each is None for each in small.gold], np.nan, 1.0)
    weight[np.flatnonzero(weight == 1)[0]] = -1
    with_scores = {"llm_score_negative": np.zeros(600), "llm_score_positive": scores}
    noise = np.random.default_rng(0).permutation(small.llm_labels)
    swapped = np.where(small.llm_labels == "positive", "negative", "positive")
    return {
        "one class": {"llm_label": "positive"},
        "no labels": {"llm_label": None},
        "outside the classes": {**with_scores, "llm_label": ["neutral", *small.llm_labels[1:]]},
        "infinite score": with_scores,
        "missing score": with_scores,
        "bad weight": {"gold_weight": weight},
        "swapped": {"llm_label": swapped},
        "no signal": {"llm_label": noise, "gold": [*small.truth[:150], *[None] * 450], "gold_weight": 1},
    }.get(case, {"gold": gold, "gold_weight": 1})


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("no gold", "0 gold labels are too few to estimate class shares; label at least 10 texts by hand"),
        ("few gold", "9 gold labels are too few"),
        ("gold of one class", "gold labels are 'positive'"),
        ("strange gold", "row 1: 'gold' is 'neutral', outside the classes 'negative', 'positive'"),
        ("one class", "llm_label has one class only, 'positive'"),
        ("no labels", "llm_label: all 600 labels are missing"),
        ("outside the classes", "'llm_label' is 'neutral', outside the classes 'negative', 'positive'"),
        ("infinite score", "row 42: 'llm_score_positive' is 'inf', not a finite number"),
        ("missing score", "row 42: 'llm_score_positive' is '', not a finite number"),
        ("bad weight", "'gold_weight' is '-1.0', not a positive finite number"),
        ("no signal", "cannot be told apart"),
        ("swapped", "look swapped"),
    ],
)
def test_columns_that_cannot_be_used(commands: Commands, small: Corpus, tmp_path: Path, case: str, said: str) -> None:
    table = small.write(tmp_path, **columns(small, case))
    before = hashes(tmp_path)
    refused(commands("refine", table, "-o", tmp_path / "run", *QUICK), said)
    assert {name: hashes(tmp_path)[name] for name in before} == before
    assert not (tmp_path / "run" / "labels.csv").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "best"), "method must be one of silr, uu, paper, got 'best'"),
        (("--loss", "hinge"), "loss must be one of sigmoid, logistic, got 'hinge'"),
        (("--correction", "some"), "correction must be one of"),
        (("--classifier", "forest"), "classifier must be one of frozen"),
        (("--features", "annotator"), "table.features.npy does not exist; `silr annotate` writes it"),
        (("--features", "no.npy"), "the feature file no.npy does not exist"),
        (("--features", "./no-such-model"), "sentence-transformers model folder ./no-such-model does not exist"),
        (("--theta", "0.9,0.1;x,0.6"), "--theta must be numbers"),
        (("--theta", "0.9,0.1;0.4"), "--theta must have as many rows"),
        (("--theta", ""), "--theta"),
        (("--theta", "0.9,0.3;0.4,0.6"), "theta must sum to 1"),
        (("--theta", "1,0,0;0,1,0;0,0,1"), "theta has shape (3, 3), but the classes are negative, positive"),
        (("--theta", "0.5,0.5;0.5,0.5"), "cannot be told apart"),
        (("--theta", "0.9,0.1;0.4,0.6", "--class-prior", "a"), "--class-prior must be numbers"),
        (("--class-prior", "0.5,0.5"), "give theta too"),
        (("--oracle",), "--oracle needs --truth"),
        (("--truth", "answer"), "has no column 'answer'"),
        (("--gold-column", "answer"), "has no column 'answer'"),
        (("--label-column", "answer"), "has no column 'answer'"),
        (("--weight-column", "answer"), "has no column 'answer'"),
        (("--text-column", "answer"), "has no column 'answer'"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_options_that_cannot_be_used(
    commands: Commands, small: Corpus, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    small.write(tmp_path)
    result = commands("refine", "table.csv", "-o", "run", *QUICK, *options, cwd=tmp_path)
    refused(result, said)
    assert not (tmp_path / "run" / "iteration-0").exists()


def test_features_that_cannot_be_used(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    table = small.write(tmp_path)
    broken = small.features.copy()
    broken[6, 3] = np.nan
    for matrix, said in (
        (small.features[:-1], "has 599 rows, the table has 600; they must match row for row"),
        (broken, "row 7 has a value that is not finite"),
        (small.features.astype(str), "features are float16, float32, float64 or integers"),
    ):
        np.save(tmp_path / "X.npy", matrix)
        np.save(tmp_path / "table.features.npy", matrix)
        for options in ((), ("--features", tmp_path / "X.npy")):
            refused(commands("refine", table, "-o", tmp_path / "run", *QUICK, *options), said)
    (tmp_path / "X.npy").write_bytes(b"no array")
    refused(commands("refine", table, "-o", tmp_path / "run", "--features", tmp_path / "X.npy"), "not a readable .npy")


def test_folders_that_are_no_run(commands: Commands, small: Corpus, run: Path, tmp_path: Path) -> None:
    table = small.write(tmp_path)
    before = hashes(tmp_path)
    refused(commands("predict", tmp_path, table, "-o", tmp_path / "o.csv"), "is not a run: it has no run.json")
    refused(commands("predict", tmp_path / "no", table, "-o", tmp_path / "o.csv"), "is not a run")
    refused(commands("refine", table, "-o", tmp_path, *QUICK), "exists and is not a run; give a new folder")
    refused(commands("refine", table, "-o", table, *QUICK), "cannot make the run")
    refused(commands("refine", table, "-o", table / "run", *QUICK), "cannot make the run")
    refused(commands("predict", run, table, "-o", tmp_path / "no" / "o.csv"), "cannot write", "No such file")
    refused(commands("predict", run, table, "-o", tmp_path / "o.xlsx"), "unknown kind of table")
    refused(commands("annotate", table, "-o", tmp_path / "no" / "o.csv", "--classes", "a", "b"), "does not exist")
    assert hashes(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_the_right_to_write(commands: Commands, small: Corpus, run: Path, tmp_path: Path) -> None:
    table = small.write(tmp_path)
    (tmp_path / "closed").mkdir(mode=0o500)
    refused(commands("refine", table, "-o", tmp_path / "closed" / "run", *QUICK), "Permission denied")
    refused(commands("predict", run, table, "-o", tmp_path / "closed" / "o.csv"), "Permission denied")


def test_a_run_of_another_table_or_other_settings(
    commands: Commands, small: Corpus, corpus: Corpus, run: Path, tmp_path: Path
) -> None:
    before = hashes(run)
    said = "is a run made with other input or settings ("
    refused(commands("refine", corpus.write(tmp_path), "-o", run, *QUICK), said + "input)")
    table = run.parent / "table.csv"
    refused(commands("refine", table, "-o", run, *QUICK, "--seed", 1), said + "configuration.seed)")
    refused(commands("refine", table, "-o", run, *QUICK, "--method", "paper"), said, "configuration.method")
    refused(commands("refine", table, "-o", run, *QUICK, "--iterations", "1"), "has 2 iterations already")
    assert hashes(run) == before


def test_a_damaged_run(commands: Commands, small: Corpus, run: Path, tmp_path: Path) -> None:
    table = small.write(tmp_path)
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "iteration-1" / "labels.safetensors").write_bytes(b"no")
    for arguments in (("refine", table, "-o", copy, *QUICK), ("predict", copy, table, "-o", tmp_path / "o.csv")):
        refused(commands(*arguments), "iteration-1 is damaged", "delete it and all later ones, and run again")
    (copy / "run.json").write_text("{")
    refused(commands("predict", copy, table, "-o", tmp_path / "o.csv"), "run.json is not the record of a run")


@pytest.mark.parametrize("limit", [300, 20_000, 200_000])
def test_full_disk(commands: Commands, small: Corpus, run: Path, tmp_path: Path, limit: int) -> None:
    """A limit on the size of files stands for it: on the manifest, the features, the first labels, the classifier."""
    table = small.write(tmp_path)
    before = hashes(tmp_path)
    refine = ("refine", table, "-o", tmp_path / "run", *QUICK, "-q")
    refused(commands(*refine, file_size=limit), "cannot write")
    if limit < 20_000:
        refused(commands("predict", run, table, "-o", tmp_path / "scored.csv", "-q", file_size=limit), "cannot write")
    assert {name: hashes(tmp_path)[name] for name in before} == before
    assert not [path for path in (tmp_path / "run").rglob("*.tmp") if path.is_file() and path.stat().st_size > limit]
    assert commands(*refine).code == 0  # there is room again
    assert (tmp_path / "run" / "labels.csv").read_bytes() == (run / "labels.csv").read_bytes()


def test_models_that_cannot_be_read(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    table = small.write(tmp_path)
    annotate = (
        "annotate",
        table,
        "-o",
        tmp_path / "o.csv",
        "--classes",
        "negative",
        "positive",
        "--question",
        "Which?",
    )
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    for name in ("empty", "broken", "broken.gguf", "./no/such/model"):
        refused(commands(*annotate, "--model", tmp_path / name), name.rpartition("/")[2])
    assert not (tmp_path / "o.csv").exists()


def test_evaluate_refuses(commands: Commands, small: Corpus, tmp_path: Path) -> None:
    table = small.write(tmp_path)
    refused(commands("evaluate", table, "--truth", "answer"), "has no column 'answer'")
    refused(commands("evaluate", small.write(tmp_path, "e.csv", truth=""), "--truth", "truth"), "are missing")
    refused(
        commands("evaluate", small.write(tmp_path, "f.csv", truth="other"), "--truth", "truth"), "no label in common"
    )


@pytest.mark.parametrize("buffering", [1, 8192])  # lines go out at once, or all at the end
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], buffering: int
) -> None:
    from silr.cli.main import main

    with Path("/dev/full").open("w", buffering=buffering) as full:
        monkeypatch.setattr("sys.stdout", full)
        monkeypatch.setattr("sys.argv", ["silr", "--version"])
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code == 2
    assert capsys.readouterr().err == "silr: cannot write to standard output: No space left on device\n"
