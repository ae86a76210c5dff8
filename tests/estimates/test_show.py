"""Estimates on the terminal, as CSV and as LaTeX, and what is said of input that will not do."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.cells import cell_len

from silr.errors import InputError
from silr.estimates.estimate import estimate
from silr.estimates.files import write_csv
from silr.estimates.latex import escape, latex
from silr.estimates.methods import methods
from silr.estimates.result import Estimates, Row
from silr.estimates.show import cut, print_estimates, table_lines
from silr.estimates.show_regression import print_regression
from silr.estimates.tables import tables_of
from silr.estimates.words import headline, points, share_with_limits
from silr.label.draw import draw_texts

ODD = ["50 % off_&", "naïve, \u4e16\u754c #1", "x^2 ~ {y}\\z"]


def table(classes: list[str], n: int = 600, n_gold: int = 80, groups: int = 3, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    names, truth = np.array([*classes, None], dtype=object), rng.integers(len(classes), size=n)
    llm = np.where(rng.random(n) < 0.3, len(classes) - 1, truth)
    rows, weights = draw_texts(llm, n_gold, seed)
    gold, weight = np.full(n, -1), np.full(n, np.nan)
    gold[rows], weight[rows] = truth[rows], weights
    frame = pd.DataFrame({"text": [f"text {row}" for row in range(n)], "llm_label": names[llm], "gold": names[gold]})
    frame["gold_weight"], frame["truth"] = weight, names[truth]
    return frame.assign(party=[f"party {number}" for number in rng.integers(groups, size=n)], row=np.arange(n))


@pytest.fixture(scope="module")
def two() -> Estimates:
    return estimate(table(["calm", "hostile"]), "party")


@pytest.fixture(scope="module")
def odd() -> Estimates:
    return estimate(table(ODD), "party")


def test_the_first_line_says_it(two: Estimates) -> None:
    row = next(each for each in two.shares if each.class_name == "hostile" and each.group is None)
    first, second, third = headline(two)
    whole = f"{100 * row.value:.0f} % of the texts are \u201chostile\u201d (95 % interval {100 * row.low:.0f} to "
    assert first == f"{whole}{100 * row.high:.0f})."
    assert second == f"Counting the LLM's labels says {100 * (row.naive or 0):.0f} %."
    assert third.startswith(f"For the share of \u201chostile\u201d, 80 gold labels are worth {row.worth:,.0f}:")


def test_what_counting_says(two: Estimates) -> None:
    frame = table(["calm", "hostile"])
    by_group = frame.groupby("party")["llm_label"].apply(lambda labels: (labels == "hostile").mean())
    for row in two.shares:
        if row.class_name == "hostile" and row.group:
            assert row.naive == pytest.approx(by_group[row.group.removeprefix("party=")])
    difference = two.differences[1]
    first, less = (by_group[str(name).removeprefix("party=")] for name in (difference.group, difference.less))
    assert difference.class_name == "hostile" and difference.naive == pytest.approx(first - less)
    assert {row.naive for row in two.quality} == {None}


@pytest.mark.parametrize("name", ["two", "odd"])
def test_nothing_is_wider_than_80_columns(
    name: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    result = request.getfixturevalue(name)
    print_estimates(result)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, lines)) <= 80 and len(lines) > 30
    for each in tables_of(result, compact=True):
        for row, line in zip(each.rows, table_lines(each)[4:], strict=False):
            assert all(cell in line for cell in row[each.words :])  # a number is never cut


def test_of_two_classes_the_second_is_shown(two: Estimates, odd: Estimates) -> None:
    shares, differences, quality, by_class = tables_of(two)
    assert (
        len(shares.rows) == 4
        and shares.title == "Share of \u201chostile\u201d by party"
        and "class" not in shares.headings
    )
    assert [row[:2] for row in differences.rows] == [
        ["party 1", "party 0"],
        ["party 2", "party 0"],
        ["party 2", "party 1"],
    ]
    assert [row[0] for row in quality.rows] == ["LLM"] and len(by_class.rows) == 2
    assert len(tables_of(odd)[0].rows) == 4 * 3


def test_very_long_and_wide_names_are_cut_in_their_middle() -> None:
    assert cut("llm_one_and_the_same_1", 9) == "llm_\u2026me_1"
    assert cell_len(cut("\u4e16\u754c" * 20, 10)) <= 10 and cut("short", 10) == "short"
    result = estimate(table(["a " * 200, "b" * 300, "c"]), "party")
    for each in tables_of(result, compact=True):
        assert max(map(cell_len, table_lines(each)[1:])) <= 80


def test_many_classes_have_no_table_by_class(capsys: pytest.CaptureFixture[str]) -> None:
    result = estimate(table([f"class {number:02}" for number in range(13)], n_gold=200))
    assert [each.name for each in tables_of(result)] == ["shares", "quality"]
    print_estimates(result)
    assert "Precision, recall and F1 of 13 classes: --json or --csv." in capsys.readouterr().out
    assert sum(row.measure == "recall" for row in result.quality) == 13


def test_numbers() -> None:
    row = Row("share", 0.449, 0.373, 0.527, 100)
    assert share_with_limits(row) == "44.9 % (37.3 to 52.7)"
    assert share_with_limits(replace(row, value=np.nan, low=np.nan)) == "unknown"
    assert [points(0.0891), points(-0.0001), points(None)] == ["+8.9", "+0.0", ""]


def test_csv_has_every_row(odd: Estimates, tmp_path: Path) -> None:
    paths = write_csv(odd, tmp_path / "a" / "b")
    assert [path.name for path in paths] == ["shares.csv", "differences.csv", "quality.csv"]
    read = [row for path in paths for row in csv.DictReader(path.open(encoding="utf-8", newline=""))]
    assert len(read) == len(odd.rows)
    for line, row in zip(read, odd.rows, strict=True):
        assert line["class_name"] == (row.class_name or "") and float(line["value"]) == row.value
    assert [path.name for path in write_csv(replace(odd, differences=[]), tmp_path)] == ["shares.csv", "quality.csv"]


def test_latex_is_escaped(odd: Estimates) -> None:
    assert escape("50 % off_& #$ {x} ~^\\ <|> \n y") == (
        r"50 \% off\_\& \#\$ \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{} "
        r"\textless{}\textbar{}\textgreater{} y"
    )
    text = latex(odd)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert body.count(r"\begin{table}") == body.count(r"\end{table}") == body.count(r"\toprule") == 4
    assert r"50 \% off\_\&" in body and "naïve, \u4e16\u754c \\#1" in body
    assert not re.search(r"(?<!\\)[%#$_](?![-+\d])", re.sub(r"\$[-+]\$|\\label\{.*\}", "", body))
    for block in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\bottomrule", body, re.DOTALL):
        rows = [line for line in block[1].splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(block[0])}


def test_methods_have_the_numbers(two: Estimates) -> None:
    words = " ".join(methods(two, "The LLM's labels are those of gpt-x."))
    assert (
        "600 texts in 2 classes (\u201ccalm\u201d, \u201chostile\u201d). The LLM's labels are those of gpt-x. 80 texts"
        in words
    )
    assert f"power-tuning weight of the predictions is {two.power:.2f}" in words and "known probabilities" in words
    unknown = estimate(table(["calm", "hostile"]).drop(columns="gold_weight"))
    assert "taken as drawn at random" in " ".join(methods(unknown)) and "Newcombe" not in " ".join(methods(unknown))


def test_texts_without_a_value_are_counted_and_said() -> None:
    frame = table(["calm", "hostile"])
    frame.loc[:99, "party"] = None
    frame.loc[100:119, "party"] = " "
    assert estimate(frame, "party").remarks == [
        "120 texts have no value in 'party': they are in no group, and count for all texts"
    ]


def test_values_of_groups_are_read_as_labels_are() -> None:
    frame = table(["calm", "hostile"])
    frame["year"] = [(2, 2.0, "2 ", 10)[row % 4] for row in range(len(frame))]
    groups = [row.group for row in estimate(frame, ["year", "party"]).shares if row.class_name == "calm"]
    assert groups[1:] == [f"year={year}, party=party {number}" for year in (2, 10) for number in range(3)]


def test_a_group_without_gold_borrows_and_says_so() -> None:
    frame = table(["calm", "hostile"])
    frame["party"] = np.where(frame["gold"].isna() & (frame["row"] < 60), "tiny", "rest")
    (shares, *_) = tables_of(estimate(frame, "party"))
    row = next(row for row in shares.rows if row[0] == "tiny")
    assert row[-2:] == ["0*", ""]
    assert shares.notes == [
        "* tiny: no gold label here, so the correction of all texts is borrowed; 5 more would give its own."
    ]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            "text",
            "'text' is the column of the texts; --by takes a column of groups; columns of groups may be truth, party",
        ),
        ("gold", "'gold' is what is estimated"),
        ("gold_weight", "'gold_weight' has a value on gold texts only, which are not drawn evenly"),
        ("row", "'row' makes 600 groups, for which 80 gold labels are too few: cut the numbers into a few ranges"),
        ("word", "'word' makes 600 groups, for which 80 gold labels are too few: take a column with at most 50 values"),
        ("one", "'one' has one value only, 'x'; groups need at least two"),
        ("none", "'none': all 600 texts are without a value"),
        ("nothing", "has no column 'nothing'; its columns are llm_label, gold"),
        ("lists", "column 'lists' does not hold one value a text"),
        ("refined_label", "'refined_label' has the gold labels inside"),
    ],
)
def test_columns_that_make_no_groups(column: str, said: str) -> None:
    frame = table(["calm", "hostile"]).assign(one="x", none=None, refined_label="calm")
    frame["word"], frame["lists"] = frame["text"] + "!", [["a"]] * len(frame)
    with pytest.raises(InputError, match=re.escape(said)):
        estimate(frame, column)


def test_many_groups_with_gold_enough() -> None:
    frame = table(["calm", "hostile"], n=3000, n_gold=600, groups=60)
    assert len({row.group for row in estimate(frame, "party").shares}) == 61


def test_too_few_gold_labels() -> None:
    frame = table(["calm", "hostile"], n_gold=9)
    with pytest.raises(InputError, match="the table has 9 gold labels that judge; estimates need at least 10"):
        estimate(frame)
    for without in (frame.drop(columns=["gold", "gold_weight"]), frame.assign(gold=None)):
        with pytest.raises(InputError, match="the table has 0 gold labels that judge"):
            estimate(without)


def test_other_columns() -> None:
    frame = table(["calm", "hostile"]).rename(columns={"llm_label": "gpt", "gold": "by_hand"})
    result = estimate(frame, gold_column="by_hand", label_columns=["gpt"])
    assert {row.labels for row in result.quality} == {"gpt"} and result.gold == 80


def test_json_has_all(two: Estimates) -> None:
    values = json.loads(json.dumps(two.to_dict(), allow_nan=False))
    assert len(values["shares"]) == 8 and values["counted"] == "the LLM's labels"
    assert values["shares"][0]["naive"] == two.shares[0].naive


def test_a_regression_is_in_every_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = estimate(table(["calm", "hostile"]), formula="hostile ~ party + row")
    assert result.regression is not None
    assert write_csv(result, tmp_path)[-1] == tmp_path / "regression.csv"
    text = latex(result)
    assert r"\caption{Linear regression: hostile \textasciitilde{} party + row}" in text
    assert not re.search(r"& [-+]|to -", text)  # a minus, not a hyphen
    print_regression(result.regression)
    assert max(map(cell_len, capsys.readouterr().out.splitlines())) <= 80
