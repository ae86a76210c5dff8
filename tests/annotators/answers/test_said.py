import pytest

from silr.annotators.answers.said import parse_confidence, read_said
from silr.annotators.said import Said, SaidFile, one_line


@pytest.mark.parametrize(
    ("value", "confidence"),
    [
        ("85", 0.85),
        ("85 %", 0.85),
        ("85%.", 0.85),
        ("0.85", 0.85),
        ("0,85", 0.85),
        ("1.0", 1.0),
        ("0", 0.0),
        ("100", 1.0),
        ("8/10", 0.8),
        ("85/100", 0.85),
        ("8.5 out of 10", 0.85),
        ("about 85", 0.85),
        ("~85%", 0.85),
        ("**85** ", 0.85),
        ("85 (fairly sure)", 0.85),
        ("1%", 0.01),
        ("92.5", 0.925),
        ("1", None),  # one per cent, or certainty
        ("120", None),
        ("-5", None),
        ("80-90", None),
        ("11/10", None),
        ("high", None),
        ("true", None),
        ("", None),
        ("85 or 90", None),
        ("0/0", None),
    ],
)
def test_a_confidence_in_many_words(value: str, confidence: float | None) -> None:
    assert parse_confidence(value) == (None if confidence is None else pytest.approx(confidence))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"label": "positive", "confidence": 85, "reason": "It praises."}', Said(0.85, "It praises.")),
        ('```json\n{"label": "x", "confidence_score": "85%", "explanation": "a\\tb"}\n```', Said(0.85, "a b")),
        ("Label: positive\nConfidence: 90\nReason: It praises: much.", Said(0.9, "It praises: much.")),
        ("positive\n**Confidence (0-100):** 70\n**Reasoning:** *fine*", Said(0.7, "fine")),
        ('<think>"confidence": 10</think>{"label": "x", "confidence": 0.4}', Said(0.4)),
        ('{"label": "x", "confidence": 77, "reason": "cut in the mid', Said(0.77, "cut in the mid")),
        ("positive", Said()),
        ('{"label": "x", "confidence": null, "reason": ""}', Said()),
        ("<think>no end", Said()),
    ],
)
def test_fields_and_lines(answer: str, said: Said) -> None:
    assert read_said(answer) == said


def test_a_reason_is_one_short_line() -> None:
    assert one_line(" a\x00b\r\n\u2028c\ud800 ") == "a b c"
    long = one_line("word " * 100)
    assert len(long) <= 300 and long.endswith("word…")
    assert len(one_line("x" * 400)) == 300


def test_of_several_answers() -> None:
    assert Said.of([Said(0.5), Said(None, "b"), Said(0.75, "c")]) == Said(0.625, "b")
    assert Said.of([]) == Said()


def test_a_torn_line_is_taken_away(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "said"
    SaidFile(path).add({1: Said(0.5, "é"), 2: None}, "free")
    with path.open("ab") as file:
        file.write(b'{"text": 3, "con')
    again = SaidFile(path)
    again.add({3: Said(None, "x")}, None)
    assert again.read() == {1: Said(0.5, "é"), 3: Said(None, "x")} and again.form() == "free"
