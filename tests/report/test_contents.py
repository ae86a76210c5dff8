"""What the page says against the run's own files, computed another way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reporting import Page
from safetensors.numpy import load_file
from scipy.stats import beta

from command_line import Commands, Result
from synthetic import Corpus, make_corpus

NONE = "\u2013"
QUICK = ("--method", "uu", "--epochs", 10, "--iterations", 3, "--device", "cpu", "--features", "tfidf")


@pytest.fixture(scope="module")
def small() -> Corpus:
    return make_corpus(600, n_gold=80, seed=2)


@pytest.fixture(scope="module")
def refined(commands: Commands, small: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A real run, and what `silr refine` printed."""
    folder = tmp_path_factory.mktemp("report")
    done = commands("refine", small.write(folder), "-o", folder / "run", *QUICK, "--truth", "truth")
    assert (done.code, done.err) == (0, "")
    return folder / "run", done


@pytest.fixture(scope="module")
def page(refined: tuple[Path, Result]) -> Page:
    return Page(refined[0] / "report.html")


@pytest.fixture(scope="module")
def labels(refined: tuple[Path, Result]) -> pd.DataFrame:
    """With the classifier's own labels and scores of gold texts, for which labels.csv has the gold label and 1."""
    frame = pd.read_csv(refined[0] / "labels.csv", keep_default_na=False)
    stored = load_file(refined[0] / "iteration-3" / "labels.safetensors")
    own = np.array(["negative", "positive"], dtype=object)[stored["labels"]]
    assert ((own == frame["refined_label"]) | (frame["gold"] == frame["refined_label"])).all()
    frame["refined_label"] = own
    drawn = frame["gold"] != ""
    assert (frame["refined_score"][drawn] == 1).all()
    frame.loc[drawn, "refined_score"] = stored["scores"].max(axis=1)[drawn]
    return frame


def test_refine_says_where_the_report_is(refined: tuple[Path, Result]) -> None:
    run, done = refined
    assert f"written: {run / 'labels.csv'} and {run / 'report.html'}" in done.out


def test_accuracies_are_those_that_refine_printed(refined: tuple[Path, Result], page: Page) -> None:
    printed = re.findall(r"estimated accuracy (\d+\.\d% \(\d+% to \d+%\))", refined[1].out)
    rows = page.table("The same in numbers. Signal")
    assert len(printed) == 4 and [row[1] for row in rows[1:]] == printed
    changed = re.findall(r"([\d,]+) labels changed", refined[1].out)
    assert [row[4] for row in rows[2:]] == changed
    assert [row[0] for row in rows[1:]] == ["the LLM", "iteration 1", "iteration 2", "iteration 3 result"]


def test_true_accuracies(refined: tuple[Path, Result], page: Page, small: Corpus, labels: pd.DataFrame) -> None:
    rows = page.table("The same in numbers. Signal")
    assert rows[0][2] == "Right, true"
    assert rows[1][2] == f"{small.llm_accuracy:.1%}"
    after = (labels["refined_label"] == labels["truth"]).mean()
    assert rows[-1][2] == f"{after:.1%}"
    assert f"it was {small.llm_accuracy:.1%} and is {after:.1%}" in " ".join(page.by_id["summary"].split())


def test_the_two_sentences(refined: tuple[Path, Result], page: Page, labels: pd.DataFrame) -> None:
    said = " ".join(page.by_id["summary"].split())
    first, last = (
        json.loads((refined[0] / f"iteration-{number}" / "iteration.json").read_text())["priors"] for number in (0, 3)
    )
    changed = (labels["refined_label"] != labels["llm_label"]).sum()
    assert "600 texts in 2 classes (negative, positive) and 80 gold labels" in said and "3 iterations" in said
    for priors in (first, last):
        low, high = priors["accuracy_interval"]
        assert f"{priors['accuracy']:.1%} ({low:.0%} to {high:.0%}" in said
    assert f"{changed:,} labels ({changed / 600:.1%}) changed" in said
    drawn = labels[labels["gold"] != ""]
    before, after = drawn["llm_label"] == drawn["gold"], drawn["refined_label"] == drawn["gold"]
    assert f"{(after & ~before).sum()} put right, {(before & ~after).sum()} made wrong" in said


def test_theta_and_shares_by_class(refined: tuple[Path, Result], page: Page, labels: pd.DataFrame) -> None:
    rows = page.table("By class")
    drawn = labels[labels["gold"] != ""].astype({"gold_weight": float})
    for name, row in zip(("negative", "positive"), rows[1:], strict=True):
        share, theta = re.match(r"([\d.]+%) ?(.*)", row[-1]).groups()
        assert share == f"{(labels['refined_label'] == name).mean():.1%}"
        inside = drawn[drawn["refined_label"] == name]
        right = inside["gold_weight"][inside["gold"] == name].sum() / inside["gold_weight"].sum()
        assert float(re.match(r"\d+", theta)[0]) / 100 == pytest.approx(right, abs=0.03)  # theta is smoothed


def test_confusion(page: Page, labels: pd.DataFrame) -> None:
    expected = pd.crosstab(labels["llm_label"], labels["refined_label"])
    rows = page.table("Texts by LLM label")
    for name, row in zip(expected.index, rows[1:-1], strict=True):
        total = expected.loc[name].sum()
        cells = [f"{count:,}{count / total:.0%}" for count in expected.loc[name]]
        assert [row[0], *(cell.replace(" ", "") for cell in row[1:-1]), row[-1]] == [name, *cells, f"{total:,}"]
    assert rows[-1] == ["All", *(f"{count:,}" for count in expected.sum()), "600"]


def test_histograms_count_every_text_once(page: Page, labels: pd.DataFrame) -> None:
    said = [text for name, text in page.by_id.items() if name.startswith("scores-") and name.endswith("-d")]
    counts = [re.findall(r"[\d,]+(?= texts kept| did not)", text) for text in said]
    assert len(counts) == 4
    changed = labels["refined_label"] != labels["llm_label"]
    expected = [
        [str((~changed[labels[column] == name]).sum()), str(changed[labels[column] == name].sum())]
        for column in ("llm_label", "refined_label")
        for name in ("negative", "positive")
    ]
    assert counts == expected


def test_changed_texts(page: Page, labels: pd.DataFrame) -> None:
    changed = labels[labels["refined_label"] != labels["llm_label"]].drop_duplicates("text")
    rows = page.tables["changed-texts"][1:]
    assert len(rows) == min(200, len(changed)) > 50
    scores = [float(row[4]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx(sorted(changed["refined_score"], reverse=True)[: len(rows)], abs=6e-4)
    for number, text, llm, new, score, gold, truth in rows:
        source = labels.iloc[int(number) - 1]
        assert [text, llm, new, truth] == [source[name] for name in ("text", "llm_label", "refined_label", "truth")]
        assert gold == (source["gold"] or NONE)
        assert float(score) == pytest.approx(source["refined_score"], abs=6e-4)


def test_texts_to_check_are_the_most_uncertain_without_gold(page: Page, labels: pd.DataFrame) -> None:
    rows = page.tables["unsure-texts"][1:]
    drawn = set(labels["text"][labels["gold"] != ""])
    free = labels[~labels["text"].isin(drawn)].drop_duplicates("text")
    assert [float(row[4]) for row in rows] == pytest.approx(sorted(free["refined_score"])[:100], abs=6e-4)
    assert all(row[5] == NONE for row in rows)


def test_calibration(page: Page, labels: pd.DataFrame) -> None:
    rows = page.table("The same in numbers, with 95% intervals")
    drawn = labels[labels["gold"] != ""].astype({"gold_weight": float})
    edges = [0, *(float(row[0].split(" to ")[-1].removeprefix("up to ").rstrip("%")) / 100 for row in rows[1:])]
    assert edges[-1] == 1
    total = 0
    for row, low, high in zip(rows[1:], edges[:-1], edges[1:], strict=True):

        def inside(frame: pd.DataFrame, low: float = low, high: float = high) -> pd.DataFrame:
            return frame[(frame["refined_score"] >= low) & ((frame["refined_score"] < high) | (high == 1))]

        every, some = inside(labels), inside(drawn)
        total += len(every)
        assert int(row[1]) == pytest.approx(len(every), abs=1)  # labels.csv has rounded scores
        assert float(row[2].rstrip("%")) == pytest.approx(100 * every["refined_score"].mean(), abs=0.3)
        w = some["gold_weight"] / some["gold_weight"].sum()
        right = w @ (some["refined_label"] == some["gold"])
        assert len(some) >= 8 and f"{len(some)} labels" in row[3] and row[3].startswith(f"{right:.1%}")
        if 0.001 < right < 0.999:
            n = 1 / (w**2).sum()
            around = beta.ppf([0.025, 0.975], n * right + 0.5, n * (1 - right) + 0.5)
            assert f"{around[0]:.0%} to {around[1]:.0%}" in row[3]
        true = (every["refined_label"] == every["truth"]).mean()
        assert row[4].startswith(f"{true:.1%}")
    assert total == 600
    said = " ".join(page.by_id["calibration"].split())
    assert f"claim {labels['refined_score'].mean():.1%} on average" in said


def test_to_do_it_again(refined: tuple[Path, Result], page: Page, commands: Commands) -> None:
    """The command that the page gives makes the same labels."""
    run = refined[0]
    command = page.source.partition('id="again"')[2].partition('<pre tabindex="0"><code>')[2].partition("</code>")[0]
    words = command.replace("\\\n", "").split()
    assert words[:3] == ["silr", "refine", "../table.csv"] and words[words.index("-o") + 1] == "../run-again"
    done = commands(*words[1:], "--device", "cpu", cwd=run)
    assert (done.code, done.err) == (0, "")
    assert (run / "../run-again/labels.csv").read_bytes() == (run / "labels.csv").read_bytes()
    assert (run / "../run-again/report.html").read_bytes() == (run / "report.html").read_bytes()
    manifest = json.loads((run / "run.json").read_text())
    said = page.by_id["again"]
    for value in (manifest["identity"]["input"], *manifest["packages"].values(), manifest["hardware"]["system"]):
        assert value in said
    for words in ("Asano, Kozuno, Baba", "NeurIPS 2025", "2502.12565", "525 texts train, 75 choose the epoch"):
        assert words in said


def test_charts_show_the_numbers(refined: tuple[Path, Result], page: Page) -> None:
    """Points of the accuracy chart lie where its axis says."""
    svg = page.source.partition('aria-labelledby="accuracy-t')[2].partition("</svg>")[0]
    ticks = {float(name) / 100: float(y) - 4 for y, name in re.findall(r'y="([\d.]+)" text-anchor="end">(\d+)%', svg)}
    low, high = min(ticks), max(ticks)
    circles = [float(y) for y in re.findall(r'<circle class="mark s0" cx="[\d.]+" cy="([\d.]+)"', svg)]
    shown = [low + (y - ticks[low]) / (ticks[high] - ticks[low]) * (high - low) for y in circles]
    expected = [
        json.loads((refined[0] / f"iteration-{number}" / "iteration.json").read_text())["priors"]["accuracy"]
        for number in range(4)
    ]
    assert shown == pytest.approx(expected, abs=0.002)


def test_no_number_is_nan(page: Page) -> None:
    assert not re.search(
        r"\b(nan|inf|None|undefined)\b", re.sub(r"<(script|style)>.*?</\1>", "", page.source, flags=re.S)
    )
    assert np.isfinite(float(page.tables["changed-texts"][1][4]))
