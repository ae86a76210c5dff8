"""The file itself: hostile input stays text, nothing asks for another host, and it stays small."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hostile import HOSTILE, NAMES
from reporting import Page, make_run

from silr.io.words import visible
from silr.report.texts import LONGEST
from silr.report.write import write_report


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("hostile")
    run = make_run(folder, 300, sorted(NAMES), texts=HOSTILE * 12, errors=(0.6, 0.3, 0.2), n_gold=60)
    return Page(write_report(run, truth="answer"))


def test_hostile_texts_are_shown_as_they_are(hostile: Page) -> None:
    shown = {row[1] for name in ("changed-texts", "unsure-texts") for row in hostile.tables[name]}
    for text in HOSTILE:
        expected = visible(text[:LONGEST]).strip() or "(empty text)"
        assert any(
            each.replace("\u2026", "").startswith(expected[:200]) and expected[-50:] in each.replace("\u2026", "")
            for each in shown
        ), text[:40]
    assert "nul \u2400 bell \u2407 escape \u241b[31m delete \u2421" in shown
    assert any("it has 50,000 characters" in each for each in shown)


def test_hostile_names_and_texts_make_no_element(hostile: Page) -> None:
    names = [tag for tag, _ in hostile.tags]
    assert names.count("script") == 1 and names.count("style") == 1
    assert not {"img", "b", "iframe", "object", "form", "base"} & set(names)
    allowed = {"lang", "charset", "content", "http-equiv", "name", "rel", "href", "id", "class", "aria-labelledby"}
    allowed |= {"aria-label", "aria-hidden", "role", "tabindex", "hidden", "for", "type", "autocomplete", "spellcheck"}
    allowed |= {"scope", "dir", "viewbox", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "d", "width"}
    allowed |= {"height", "text-anchor"}
    found = {attribute for _, given in hostile.tags for attribute in given if not attribute.startswith("data-")}
    assert found <= allowed  # no style, and no handler of any event


def test_nothing_from_any_other_host(hostile: Page) -> None:
    addresses = [given[name] for _, given in hostile.tags for name in ("href", "src") if name in given]
    assert addresses and all(str(address).startswith(("#", "data:,")) for address in addresses)
    visible_part = re.sub(r"<(script|style)>.*?</\1>", "", hostile.source, flags=re.S)
    assert "://" not in visible_part and "url(" not in hostile.source and "@import" not in hostile.source


def test_policy_allows_this_style_and_this_script_only(hostile: Page) -> None:
    (policy,) = [given["content"] for tag, given in hostile.tags if tag == "meta" and "http-equiv" in given]
    for kind in ("script", "style"):
        (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", hostile.source, flags=re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    assert hostile.source.index("Content-Security-Policy") < hostile.source.index("<style>")


def test_links_inside_the_page_lead_somewhere(hostile: Page) -> None:
    ids = [given["id"] for _, given in hostile.tags if "id" in given]
    assert len(ids) == len(set(ids))
    for _, given in hostile.tags:
        for name in ("aria-labelledby", "for"):
            assert set(str(given.get(name) or ids[0]).split()) <= set(ids), given
        if str(given.get("href")).startswith("#"):
            assert str(given["href"])[1:] in ids


def test_names_keep_their_direction_inside_a_sentence(hostile: Page) -> None:
    assert "labelled \u2068" + sorted(NAMES)[-1][:23] + "\u2026\u2069" in hostile.by_id["iterations"]


def test_charts_are_whole_and_named(hostile: Page) -> None:
    charts = re.findall(r'<svg viewBox[^>]*role="img".*?</svg>', hostile.source, flags=re.S)
    assert len(charts) >= 8
    for each in charts:
        root = ElementTree.fromstring(each)
        title, description = root[0], root[1]
        assert title.tag == "title" and title.text and description.tag == "desc" and description.text
        for element in root.iter():
            for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy"):
                assert -1 <= float(element.get(name, 0)) <= 425


def test_many_texts_make_a_small_report(tmp_path: Path) -> None:
    """Each as long as the page shows, of characters that take most room."""
    texts = [f"{number} " + "'\"" * (LONGEST // 2) for number in range(30_000)]
    run = make_run(tmp_path, 30_000, texts=texts, errors=(0.7, 0.3, 0.2, 0.15, 0.1, 0.1))
    assert write_report(run).stat().st_size < 2_000_000
