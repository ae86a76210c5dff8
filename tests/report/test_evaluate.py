"""Labels scored against the truth, by hand-counted examples and on tables."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from silr.errors import InputError
from silr.report.evaluate import evaluate, evaluate_file, gain, print_evaluation


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
    with pytest.raises(InputError, match="no column 'absent'; its columns are 'text', 'truth'"):
        evaluate_file(table, "absent")
    with pytest.raises(InputError, match="no column 'hand'; its columns"):
        evaluate_file(table, "truth", gold_column="hand")
    with pytest.raises(InputError, match="none of the columns 'a', 'b'"):
        evaluate_file(table, "truth", ["a", "b"])
    with pytest.raises(InputError, match=r"row 1: 'other' is 'no', outside the classes .* \(so is 'yes'\)"):
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
    print_evaluation(result, console=Console(file=out, width=100))
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


GOLD = "text,llm_label,gold,refined_label,truth\n"
GOLD += "a,n,p,p,p\nb,n,n,n,n\nc,n,,p,p\nd,p,,p,p\ne,p,,n,p\nf,n,,n,n\ng,p,p,p,\nh,n,,p,p\n"


def test_rows_with_a_gold_label_are_no_merit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text(GOLD)
    result = evaluate_file(tmp_path / "t.csv", "truth")
    assert (result["rows"], result["gold_rows"], result["missing_truth"]) == (5, 2, 0)
    assert result["labels"]["refined_label"]["accuracy"] == 4 / 5
    assert result["labels"]["llm_label"]["accuracy"] == 3 / 5
    low, high = result["labels"]["refined_label"]["accuracy_interval"]
    assert 0.2 < low < 0.8 < high < 1
    found = result["gains"]["llm_label"]
    assert (found["difference"], found["mended"], found["spoilt"]) == (pytest.approx(1 / 5), 2, 1)
    print_evaluation(result)
    said = capsys.readouterr().out
    assert "2 rows with a gold label left out" in said and "refined_label minus llm_label: +20.0 points (" in said
    with pytest.raises(InputError, match="--truth gold: these labels were given to the refinement"):
        evaluate_file(tmp_path / "t.csv", "gold")
    with pytest.raises(InputError, match="--truth hand: these labels"):
        evaluate_file(tmp_path / "t.csv", "hand", gold_column="hand")
    plain = GOLD.replace("refined_label", "other")  # nothing is refined, so that nothing repeats the gold labels
    (tmp_path / "plain.csv").write_text(plain)
    assert evaluate_file(tmp_path / "plain.csv", "truth")["rows"] == 7
    (tmp_path / "all.csv").write_text("text,llm_label,gold,refined_label,truth\na,n,p,p,p\nb,n,n,n,n\n")
    with pytest.raises(InputError, match="all 2 rows with a true label have a gold label too"):
        evaluate_file(tmp_path / "all.csv", "truth")


def test_a_gain_by_hand() -> None:
    """Of 100 texts 12 mended and 4 spoilt: (12 - 4) / 102, give or take 1.96 sqrt(17 - 64 / 102) / 102."""
    truth = ["a"] * 100
    before = ["b"] * 12 + ["a"] * 4 + ["a"] * 84
    after: list[str | None] = ["a"] * 12 + [None] * 4 + ["a"] * 84
    found = gain(truth, before, after)
    assert (found["difference"], found["mended"], found["spoilt"]) == (0.08, 12, 4)
    half = 1.959964 * (17 - 64 / 102) ** 0.5 / 102
    assert found["interval"] == pytest.approx([8 / 102 - half, 8 / 102 + half])
    assert gain(truth, after, before)["interval"] == pytest.approx([-8 / 102 - half, -8 / 102 + half])


def _scored(tmp_path: Path, truth: list[str], guess: list[str], **options: Any) -> dict[str, Any]:
    path = tmp_path / "truth.csv"
    rows = [f"t{row},{true},{label}" for row, (true, label) in enumerate(zip(truth, guess, strict=True))]
    path.write_text("\n".join(["text,truth,llm_label", *rows]) + "\n")
    return evaluate_file(path, "truth", **options)


@pytest.mark.parametrize("other", ["Negative", "\uff4eegative", "negatve"])
def test_a_true_label_that_looks_like_a_class_is_refused(tmp_path: Path, other: str) -> None:
    truth, guess = ["negative", other, "positive"], ["negative", "negative", "positive"]
    with pytest.raises(InputError, match=f"row 2: 'truth' is '{other}'.*--classes"):
        _scored(tmp_path, truth, guess)
    if other == "Negative":
        assert _scored(tmp_path, truth, guess, classes=["negative", "positive"])["labels"]["llm_label"]["accuracy"] == 1
    named = _scored(tmp_path, truth, guess, classes=["negative", "positive", other])
    assert named["labels"]["llm_label"]["accuracy"] == pytest.approx(2 / 3)


def test_true_labels_are_numbers_by_value(tmp_path: Path) -> None:
    found = _scored(tmp_path, ["1e0", "-0.0", "+1", "0.00"], ["1", "0", "1", "0"])
    assert (found["labels"]["llm_label"]["accuracy"], found["classes"]) == (1, ["0", "1"])


def test_a_class_that_no_llm_ever_gave_counts_as_wrong_and_is_said(tmp_path: Path) -> None:
    found = _scored(tmp_path, ["a", "neutral", "b", "neutral"], ["a", "a", "b", "b"])
    assert found["only_in_truth"] == {"neutral": 2} and found["labels"]["llm_label"]["accuracy"] == 0.5
    console = Console(file=io.StringIO(), width=100)
    print_evaluation(found, console=console)
    assert "2 true labels are of a class that no label column has ('neutral') and count as wrong" in (
        console.file.getvalue().replace("\n", " ")  # type: ignore[attr-defined]
    )
