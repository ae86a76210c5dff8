"""Labels scored against the truth, by hand-counted examples and on tables."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from silr.errors import InputError
from silr.evaluate import evaluate, evaluate_file, print_evaluation


def test_counts_by_hand() -> None:
    truth = ["a", "a", "a", "b", "b", None, "a"]
    guess = ["a", "b", None, "b", "a", "a", "a"]
    scores = evaluate(truth, guess)
    assert (scores["rows"], scores["missing_truth"], scores["missing_predictions"]) == (6, 1, 1)
    assert scores["accuracy"] == pytest.approx(3 / 6)
    assert scores["classes"] == ["a", "b"]
    assert scores["confusion"] == [[2, 1], [1, 1]]  # the missing prediction is in no column
    assert scores["per_class"]["a"] == pytest.approx({"precision": 2 / 3, "recall": 2 / 4, "f1": 4 / 7, "support": 4})
    assert scores["per_class"]["b"] == pytest.approx({"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "support": 2})
    assert scores["macro_f1"] == pytest.approx((4 / 7 + 1 / 2) / 2)
    assert json.loads(json.dumps(scores)) == scores


def test_classes_that_never_occur_do_not_lower_the_macro_f1() -> None:
    scores = evaluate(["a", "b"], ["a", "b"], ["c", "b", "a"])
    assert (scores["macro_f1"], scores["classes"]) == (1.0, ["c", "b", "a"])
    assert scores["confusion"] == [[0, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert evaluate(["a", "a"], ["a", "b"])["macro_f1"] == pytest.approx(1 / 3)  # b occurs: its F1 is 0
    assert evaluate(["a"], [None])["accuracy"] == 0


def test_labels_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="2 true labels but 1 predictions"):
        evaluate(["a", "b"], ["a"])
    with pytest.raises(InputError, match="truth of all 2 rows is missing"):
        evaluate([None, None], ["a", "b"])
    with pytest.raises(InputError, match="has 'c', outside the classes 'a', 'b'"):
        evaluate(["a", "c"], ["a", "b"], ["a", "b"])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(
        "text,truth,llm_label,refined_label,llm_score_neg,llm_score_[pos],other\n"
        "x,neg,[pos],neg,0,0,no\n"
        "y,[pos],[pos],[pos],0,0,no\n"
        "z,,neg,[pos],0,0,no\n"
        "w,neg,neg,,0,0,yes\n"
    )
    return path


def test_file_before_and_after(table: Path) -> None:
    result = evaluate_file(table, "truth")
    assert {key: result[key] for key in ("file", "truth", "rows", "missing_truth", "classes")} == {
        "file": str(table),
        "truth": "truth",
        "rows": 3,
        "missing_truth": 1,
        "classes": ["neg", "[pos]"],  # the order of the score columns
    }
    assert list(result["labels"]) == ["llm_label", "refined_label"]
    assert result["labels"]["llm_label"]["confusion"] == [[1, 1], [0, 1]]
    assert result["labels"]["refined_label"]["missing_predictions"] == 1
    assert list(evaluate_file(table, "truth", ["llm_label", "absent"])["labels"]) == ["llm_label"]


def test_file_that_cannot_be_scored(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'gold'; its columns are 'text', 'truth'"):
        evaluate_file(table, "gold")
    with pytest.raises(InputError, match="none of the columns 'a', 'b'"):
        evaluate_file(table, "truth", ["a", "b"])
    with pytest.raises(InputError, match="column 'other' has 'no', 'yes', outside the classes"):
        evaluate_file(table, "other")
    plain = tmp_path / "plain.csv"
    plain.write_text("truth,llm_label,empty\npos,positive,\nneg,negative,\n")
    with pytest.raises(InputError, match="columns 'truth' and 'llm_label' have no label in common"):
        evaluate_file(plain, "truth")
    for columns in (("empty", ["llm_label"]), ("llm_label", ["empty"])):
        with pytest.raises(InputError, match="all 2 labels of column 'empty' are missing"):
            evaluate_file(plain, *columns)


def test_classes_are_sorted_without_score_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"truth": 10, "llm_label": "10"}\n{"truth": 9, "llm_label": 10}\n')
    result = evaluate_file(path, "truth")
    assert result["classes"] == ["9", "10"]
    assert result["labels"]["llm_label"]["accuracy"] == 0.5


def test_print(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = evaluate_file(table, "truth")
    out = io.StringIO()
    print_evaluation(result, console=Console(file=out, width=80))
    text = out.getvalue()
    assert "3 rows scored against 'truth'; 1 rows without truth left out" in text
    for word in ("llm_label", "refined_label", "0.6667", "missing (count as wrong)", "[pos]", "accuracy", "macro-F1"):
        assert word in text
    print_evaluation(result)
    assert "0.6667" in capsys.readouterr().out
    print_evaluation(result, as_json=True)
    assert json.loads(capsys.readouterr().out) == result


def test_many_classes_print_without_confusion() -> None:
    labels = [str(number) for number in range(20)]
    scores = evaluate(labels, labels)
    out = io.StringIO()
    result = {"file": "t.csv", "truth": "truth", **scores, "labels": {"llm_label": scores}}
    print_evaluation(result, console=Console(file=out, width=80))
    assert "truth \\" not in out.getvalue()
