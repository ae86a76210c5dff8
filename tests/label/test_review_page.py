"""The pages of texts in doubt in a real Chromium, against real `silr label` processes."""

from __future__ import annotations

import signal

import pytest
from labelling import Labelling, gold_of, make_table
from test_page import HOSTILE, browser, open_page, shot, sync_api, text

from silr.io.corpus import read_table
from silr.io.reviews import reviews_path

__all__ = ["browser", "open_page"]  # fixtures
pytestmark = pytest.mark.browser

WIDE = "<img src=x onerror=alert(3)>"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
N = 8
TEXTS = [HOSTILE[0], HOSTILE[3], HOSTILE[4]]  # markup, a long text, a long word


@pytest.fixture
def path(tmp_path):
    """Six of eight texts are disputed: by two of three persons, or by both of two."""
    votes = {
        "vote_ann": ["negative"] * N,
        "vote_ben": ["positive"] * 6 + ["negative"] * 2,
        "vote_cleo-with-a-long-name_of-a-person": ["positive"] * 3 + [None] * 5,
    }
    gold = ["positive"] * 3 + [None] * 3 + ["negative"] * 2
    return make_table(tmp_path / "disputed<b>.jsonl", N, texts=TEXTS, gold=gold, **votes)


def decided(page, n, of):
    sync_api.expect(page.locator("#done")).to_have_text(f"{n} of {of}", timeout=30_000)


def adjudicated(path):
    return {row: label for row, label in enumerate(read_table(path).get("adjudicated", [])) if label}


def fits(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight + 1")
    for button in page.locator("#classes button:visible").all():
        box = button.bounding_box()
        assert box["height"] >= 43.5 and box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"]
        assert box["y"] + box["height"] <= page.viewport_size["height"]


def test_votes_side_by_side_decided_by_key_and_click_through_undo_and_kill(path, open_page):
    with Labelling(path, "--adjudicate", "--classes", "negative", "positive", WIDE) as labelling:
        page = open_page(labelling)
        decided(page, 0, 6)
        assert page.title() == "Disputed texts: disputed<b>.jsonl"
        assert text(page) == "text number 3"  # all pairs disagree
        said = page.locator("#said section")
        assert said.all_inner_texts() == ["negative\nann", "positive\nben"]
        fits(page)
        shot(page, "adjudicate-desktop")
        page.keyboard.press("3")
        decided(page, 1, 6)
        sync_api.expect(page.get_by_role("status")).to_have_text(f"{WIDE}. 1 of 6.")
        page.keyboard.press("u")
        decided(page, 0, 6)
        assert text(page) == "text number 3"
        page.get_by_role("button", name="negative").click()
        decided(page, 1, 6)
        page.keyboard.press("s")
        sync_api.expect(page.locator("#skipped")).to_have_text("1")
        page.keyboard.press("2")
        decided(page, 2, 6)
        labelling.process.send_signal(signal.SIGKILL)
        labelling.process.wait()
    assert adjudicated(path) == {}
    with Labelling(path, "--adjudicate", "--classes", "negative", "positive", WIDE) as labelling:
        assert "cut off: 2 decision(s)" in "".join(labelling.said)
        assert adjudicated(path) == {3: "negative", 5: "positive"}
        page = open_page(labelling, **PHONE)
        decided(page, 0, 4)
        assert text(page) == "text number 4"
        page.keyboard.press("1")
        decided(page, 1, 4)
        for number in range(1, 4):
            shown = page.locator("#text").evaluate("e => [e.textContent, e.children.length]")
            assert shown == [TEXTS[number - 1], 0]
            assert page.locator("#said").locator("b, img, script").count() == 0
            assert page.locator("#classes button.present").inner_text().startswith("positive")
            fits(page)
            shot(page, f"adjudicate-phone-{number}")
            page.keyboard.press("1")
            decided(page, number + 1, 4) if number < 3 else None
        sync_api.expect(page.get_by_role("heading", name="4 texts are decided")).to_be_focused()
        assert len(adjudicated(path)) == 6  # the table is written as soon as all is decided
        page.get_by_role("button", name="Save and finish").click()
        sync_api.expect(page.get_by_role("heading", name="Saved: 4 decisions")).to_be_focused()
        assert "in adjudicated and gold. 3 gold labels changed." in page.locator("#end-text").inner_text()
        shot(page, "adjudicate-saved")
        code, out, err = labelling.wait()
    assert (code, err) == (0, "")
    assert "4 of 4 disputed texts decided (3 changed, 1 new)" in out and "written:" in out
    assert gold_of(path)[0] == "negative" and list(read_table(path)["vote_ben"])[:6] == ["positive"] * 6


def test_look_at_these_again(made_run, open_page):
    table, run = made_run
    with Labelling(table, "--again", run) as labelling:
        page = open_page(labelling)
        n = labelling.state()["target"]
        assert labelling.get(Origin="http://evil.example").status_code == 403
        for headers in ({"Origin": "http://evil.example"}, {"Content-Type": "text/plain"}, {"Host": "evil.example"}):
            assert labelling.post("label", {"turn": 0, "row": 0, "label": 0}, headers).status_code == 403
        assert "default-src 'none'" in labelling.get("review.js").headers["content-security-policy"]
        decided(page, 0, n)
        fits(page)
        shot(page, "again-desktop")
        page.set_viewport_size({"width": 390, "height": 844})
        fits(page)
        shot(page, "again-phone")
        present = page.locator("#classes button.present")
        assert present.count() == 1 and "the gold label" in page.locator("#said").inner_text()
        present.click()
        decided(page, 1, n) if n > 1 else None
        out = labelling.end()[1]
    assert "1 kept" in out and reviews_path(table).exists()


@pytest.fixture
def made_run(tmp_path):
    """A table and a run of it; the LLM says the contrary of three gold labels, and so do the texts."""
    from silr.refine.table import refine_table

    words = {"negative": "awful broken dreadful", "positive": "lovely splendid fine"}
    truth = ["negative", "positive"] * 60
    texts = [f"{words[label]} thing {row % 7}" for row, label in enumerate(truth)]
    gold = [label if row < 40 else None for row, label in enumerate(truth)]
    gold[3], gold[8], gold[11] = "negative", "positive", "negative"
    table = make_table(tmp_path / "t.csv", 120, texts=texts, llm_label=truth, gold=gold)
    frame = read_table(table).drop(columns=["llm_score_negative", "llm_score_positive"])
    frame.to_csv(table, index=False)
    refine_table(table, tmp_path / "run", features="tfidf")
    return table, tmp_path / "run"
