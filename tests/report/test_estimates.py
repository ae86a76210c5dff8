"""The section of estimates: what it shows, and what it says where something is missing."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from hostile import NAMES
from reporting import Page, make_run

from silr.errors import InputError
from silr.estimates.estimate import estimate
from silr.io.corpus import write_table
from silr.io.tables import read_table
from silr.report.write import write_report


def page_of(run: Path, **options: object) -> Page:
    page = Page(write_report(run, **options))  # type: ignore[arg-type]
    for words in ("None", "nan", "{{", "{%"):
        assert words not in page.by_id["estimates"]
    return page


def section(page: Page) -> str:
    return " ".join(page.by_id["estimates"].split())


def with_column(run: Path, name: str, values: list[object]) -> Path:
    """The same run whose table has one more column."""
    frame = read_table(run / "labels.csv")
    frame[name] = values
    write_table(frame, run / "labels.csv")
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(tmp_path_factory.mktemp("estimates"), errors=(0.7, 0.1), posterior=True)
    return with_column(run, "party", [("left", "right", "", "left")[row % 4] for row in range(400)])


def test_agreement_of_two_people_is_said(run: Path, tmp_path: Path) -> None:
    assert "Agreement of the people" not in section(page_of(run))
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    gold = read_table(copy / "labels.csv")["gold"].fillna("").tolist()
    with_column(copy, "vote_ann", gold)
    with_column(copy, "vote_bob", gold)
    with_column(copy, "vote_cy", [label if row % 3 else "" for row, label in enumerate(gold)])
    said = section(page_of(copy))
    assert "Agreement of the people" in said and "alpha: 1.00" in said and "ann and cy 1.00" in said


def test_the_page_says_what_the_command_says(run: Path) -> None:
    result = estimate(run, "party")
    page = page_of(run, by=["party"])
    whole = next(row for row in result.shares if row.class_name == "positive" and row.group is None)
    said = section(page)
    assert said.startswith(
        f"Estimates for a paper {100 * whole.value:.0f}% of the texts are \u201cpositive\u201d (95% interval"
    )
    rows = page.table("Share of \u201cpositive\u201d by party")
    assert [row[0] for row in rows] == ["party", "all texts", "left", "right"]
    assert rows[1][1] == f"{whole.value:.1%} ({100 * whole.low:.1f} to {100 * whole.high:.1f})"
    assert rows[1][2:] == [f"{whole.naive:.1%}", "100", f"{whole.worth:,.0f}"]
    assert len(page.table("Differences of the share of \u201cpositive\u201d")) == 2
    assert [row[0] for row in page.table("Quality of labels by 100 gold labels")[1:]] == ["LLM", "refined"]
    assert page.by_id["forest-0-t"] == "Share of positive by party"
    assert "100 texts have no value in 'party'" in said
    assert f"The power-tuning weight of the predictions is {result.power:.2f}" in said and "arXiv 2311.01453" in said
    assert (
        list(page.by_id).index("summary") < list(page.by_id).index("estimates") < list(page.by_id).index("iterations")
    )


def test_the_commands_of_the_page_name_the_groups(run: Path) -> None:
    odd = with_column(run, "the party's", [row % 2 for row in range(400)])
    page = page_of(odd, by=["the party's", "party"])
    again = page.by_id["again"]
    line = next(line for line in again.splitlines() if line.startswith("silr report"))
    assert shlex.split(line) == ["silr", "report", "../run-again", "--by", "the party's", "--by", "party"]
    assert "silr report ../run-again" not in page_of(odd).by_id["again"]


def test_without_groups_there_is_no_forest(run: Path) -> None:
    page = page_of(run)
    assert "forest-0-t" not in page.by_id and len(page.table("Share of \u201cpositive\u201d in all texts")) == 2


@pytest.mark.parametrize("column", ["text", "nothing", "gold"])
def test_a_column_that_makes_no_groups_is_an_error(run: Path, column: str) -> None:
    with pytest.raises(InputError, match=column):
        write_report(run, by=[column])


def test_few_gold_labels_and_none(tmp_path: Path) -> None:
    few = section(page_of(make_run(tmp_path / "few", errors=(0.5, 0.2), n_gold=8)))
    assert "no estimates with intervals here. Labels.csv has 8 gold labels that judge" in few and "`silr label`" in few
    theta = [[0.9, 0.1], [0.3, 0.7]]
    none = section(page_of(make_run(tmp_path / "none", n_gold=0, theta=theta, errors=(0.7, 0.2))))
    assert "has 0 gold labels that judge" in none


def test_without_its_table(tmp_path: Path) -> None:
    run = make_run(tmp_path, errors=(0.7, 0.1), posterior=True)
    (run / "labels.csv").unlink()
    assert "Quality of labels" in section(page_of(run))  # the table that was refined is still there
    (tmp_path / "table.csv").unlink()
    assert "This run: its texts and gold labels cannot be found" in section(page_of(run))
    (run / "table.json").unlink()
    assert "it was made in Python, without a table" in section(page_of(run))
    with pytest.raises(InputError, match="its texts and gold labels cannot be found"):
        estimate(run)


def test_cut_off_stopped_and_kept_labels_of_the_llm(tmp_path: Path) -> None:
    cut = make_run(tmp_path / "cut", asked=5, errors=(0.7, 0.25, 0.15), finished=False)
    assert "Quality of labels" in section(page_of(cut))
    stopped = make_run(tmp_path / "stopped", stopped="too little signal", errors=(0.7, 0.3, 0.5))
    assert "Quality of labels" in section(page_of(stopped))
    kept = make_run(tmp_path / "kept", errors=(0.1, 0.4))
    assert [row[0] for row in page_of(kept).table("Quality of labels")[1:]] == ["LLM", "classifier"]
    at_once = make_run(tmp_path / "once", stopped="too little signal", errors=(0.7, 0.5), finished=False)
    assert "no estimates with intervals here" in section(page_of(at_once))


def test_hostile_names(tmp_path: Path) -> None:
    run = make_run(tmp_path, 300, sorted(NAMES), errors=(0.6, 0.2), n_gold=60, posterior=True)
    with_column(run, "group", [NAMES[row % 3] for row in range(300)])
    page = page_of(run, by=["group"])
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert len(page.table("Share of each class by group")) == 1 + 4 * 3
    assert all(f"forest-{number}-t" in page.by_id for number in range(3))


def test_the_page_is_the_same_wherever_run_and_table_lie(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.parent, tmp_path / "copy")) / run.name
    assert section(page_of(run, by=["party"])) == section(page_of(copy, by=["party"]))


def test_gold_labels_whose_drawing_is_unknown(tmp_path: Path) -> None:
    run = make_run(tmp_path, errors=(0.7, 0.1), posterior=True)
    frame = pd.read_csv(run / "labels.csv", keep_default_na=False).drop(columns="gold_weight")
    write_table(frame, run / "labels.csv")
    assert "Assumed: Nothing says how the gold labels were drawn" in section(page_of(run))
