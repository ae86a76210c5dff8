"""The page in a real Chromium, opened from the disk as a person opens it."""

from __future__ import annotations

import os
import re
import shutil
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE, NAMES
from reporting import make_run

from silr.report.calibration import EDGES, axis_name
from silr.report.charts import Series, line_chart
from silr.report.write import write_report

pytestmark = pytest.mark.browser

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no Chromium on the path", allow_module_level=True)

SHOTS = os.environ.get("SILR_SHOTS")  # a folder for screenshots to look at
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}

REVIEWS = [
    "The battery lasts two full days and the screen is bright enough to read outside. I would buy it again. " * 4,
    "Stopped working after a week. Support told me to mail it in at my own cost, and that was that.",
    "It is fine for the price, though the strap feels cheap and the manual is of no help whatsoever.",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    texts = [REVIEWS[number % 3].replace(".", f" ({number}).", 1) for number in range(600)]
    run = make_run(folder, 600, texts=texts, missing=10, errors=(0.7, 0.25, 0.2, 0.15, 0.12, 0.12))
    return write_report(run, truth="answer", by=["answer"])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    run = make_run(folder, 300, sorted(NAMES), texts=HOSTILE * 12, errors=(0.6, 0.3, 0.2), n_gold=60)
    return write_report(run, truth="answer", by=["answer"])


@pytest.fixture(scope="module")
def browser() -> Any:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Any:
    """A function that opens a report; at the end nothing may have gone wrong, and no request left for a host."""
    wrong: list[str] = []
    contexts = []

    def open_page(path: Path, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": WIDE, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.set_default_navigation_timeout(30_000)  # a browser that starts beside other work
        page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(f"error {error}"))
        page.on("console", lambda said: wrong.append(said.text))  # violations of the policy are among these
        asked = re.compile(f"{re.escape(path.as_uri())}|data:,")
        page.on("request", lambda sent: None if asked.match(sent.url) else wrong.append(sent.url))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def shot(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"report-{name}.png", full_page=True)


def column(page: Any, number: int) -> list[str]:
    found: list[str] = page.locator("#changed-texts tbody tr:visible").evaluate_all(
        f"rows => rows.map(row => row.cells[{number}].textContent.trim())"
    )
    return found


def test_search(report: Path, open_page: Any) -> None:
    page = open_page(report)
    everything = column(page, 1)
    field, status = page.locator("#changed-texts-find"), page.locator("#changed .find [role=status]")
    assert status.inner_text() == f"{len(everything)} texts"
    field.fill("  STRAP feels ")
    wanted = [text for text in everything if "strap feels" in text]
    assert 0 < len(wanted) < len(everything)
    sync_api.expect(status).to_have_text(f"{len(wanted)} of {len(everything)} texts")
    assert column(page, 1) == wanted
    shot(page, "search")
    field.fill("no such words")
    sync_api.expect(status).to_have_text(f"0 of {len(everything)} texts")
    assert column(page, 1) == []
    field.fill("")
    assert column(page, 1) == everything


def test_sort_by_mouse_and_by_keys(report: Path, open_page: Any) -> None:
    page = open_page(report)
    before = column(page, 4)
    assert before == sorted(before, key=float, reverse=True)
    head = page.locator("#changed-texts th", has_text="Score")
    page.locator("#changed-texts").get_by_role("button", name="Score").click()
    assert column(page, 4) == sorted(before, key=float)
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert column(page, 4) == before and head.get_attribute("aria-sort") == "descending"
    page.locator("#changed-texts").get_by_role("button", name="Row").press("Enter")
    rows = [int(re.match(r"\d+", cell)[0]) for cell in column(page, 0)]
    assert rows == sorted(rows) and head.get_attribute("aria-sort") is None
    page.locator("#changed-texts").get_by_role("button", name="LLM").click()
    assert column(page, 2) == sorted(column(page, 2))
    page.locator("#changed-texts-find").fill("battery")
    assert all("battery" in text for text in column(page, 1)) and column(page, 2) == sorted(column(page, 2))


def test_without_script(report: Path, open_page: Any) -> None:
    page = open_page(report, java_script_enabled=False)
    assert page.locator("#changed-texts tbody tr").count() > 50
    assert page.locator(".find:visible").count() == 0
    assert page.locator("button").count() == 0


def test_long_texts_open(report: Path, open_page: Any) -> None:
    page = open_page(report)
    long = page.locator("#changed-texts details").first
    assert "characters)" in long.inner_text()
    closed = long.bounding_box()["height"]
    long.locator("summary").click()
    assert long.bounding_box()["height"] > closed and "characters)" not in long.inner_text()


def test_hostile_input(hostile: Path, open_page: Any) -> None:
    for size in (WIDE, PHONE):
        page = open_page(hostile, viewport=size)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("document.scripts.length") == 1
        for name in ("changed-texts", "unsure-texts"):
            inside = page.locator(f"#{name} .text *").evaluate_all("all => all.map(each => each.tagName)")
            assert set(inside) <= {"DETAILS", "SUMMARY", "SPAN", "EM"}
        rtl = page.locator(".text", has_text="\u0627\u0644\u0645\u0646\u062a\u062c").first
        assert rtl.evaluate("each => getComputedStyle(each).direction") == "rtl"
        page.locator("#changed-texts-find").fill("<script>")
        assert page.locator("#changed-texts tbody tr:visible").count() >= 1
        shot(page, f"hostile-{size['width']}")


def test_the_policy_stops_what_is_not_the_pages_own(report: Path, browser: Any) -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(report.as_uri())
    ran = page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.owned = 1";
          document.body.append(script);
          const image = new Image(); image.src = "http://127.0.0.1:9/x.png"; document.body.append(image);
          document.body.setAttribute("style", "opacity: .5");
          return [window.owned, getComputedStyle(document.body).opacity];
        }"""
    )
    page.wait_for_timeout(200)
    assert ran == [None, "1"]
    assert sum("Content Security Policy" in line for line in said) >= 3
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE, {"width": 320, "height": 640}], ids=["wide", "phone", "narrow"])
def test_dark_light_wide_and_narrow(report: Path, open_page: Any, scheme: str, size: dict[str, int]) -> None:
    small = size["width"] < 500
    page = open_page(report, viewport=size, color_scheme=scheme, is_mobile=small, has_touch=small)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if not small:
        for region in page.locator(".scroll").all():
            assert region.evaluate("each => each.scrollWidth <= each.clientWidth + 1")
    for caption in page.locator(".scroll caption span").all():
        assert caption.evaluate("each => each.getBoundingClientRect().right <= innerWidth")
    width = {1200: "", 390: "phone", 320: "narrow"}[size["width"]]
    shot(page, f"{width}-{scheme}" if small and scheme == "dark" else width or scheme)
    ground = colours(page, "body")[1]
    assert (luminance(ground) < 0.1) is (scheme == "dark")
    for selector, behind in (
        (".lead", "body"),
        (".tiles dt", ".tiles div"),
        (".tiles .good dd", ".tiles .good"),
        (".warnings .note", ".warnings .note"),
        (".card p", ".card"),
        ("nav a", "body"),
        ("caption", ".scroll"),
        (".best td", ".best td"),
        (".tag", ".tag"),
        (".texts .quiet", ".tall"),
        (".heat-10", ".heat-10"),
        (".facts th", ".facts"),
    ):
        front, back = colours(page, selector)[0], colours(page, behind)[1]
        assert contrast(front, back) >= 4.5, selector
    for kind in ("s0", "s1", "s2"):
        mark = page.locator(f".mark.{kind}").first.evaluate("each => getComputedStyle(each).fill")
        assert contrast(mark, colours(page, ".card")[1]) >= 3
    text = page.locator(".card svg text").first.evaluate("each => getComputedStyle(each).fill")
    assert contrast(text, colours(page, ".card")[1]) >= 4.5


def test_print(report: Path, open_page: Any) -> None:
    page = open_page(report, color_scheme="dark", viewport={"width": 794, "height": 1123})
    page.emulate_media(media="print")
    assert luminance(colours(page, "body")[1]) > 0.9 and luminance(colours(page, ".card")[1]) > 0.9
    assert page.locator("nav").is_hidden() and page.locator(".find").first.is_hidden()
    assert page.locator("#changed-texts tbody tr:visible").count() == 25
    assert "Printed are the first 25" in page.locator("#changed .printed").inner_text()
    for region in page.locator(".scroll").all():
        assert region.evaluate("each => each.scrollWidth <= each.clientWidth + 1")
    assert page.locator(".confusion tfoot").evaluate("each => getComputedStyle(each).display") == "table-row-group"
    shot(page, "print")


def test_the_axis_of_the_finest_calibration_is_readable(open_page: Any, tmp_path: Path) -> None:
    names = [axis_name(low, high) for low, high in pairwise(EDGES)]
    series = [Series("claimed", [0.5] * len(names))]
    style = (files("silr.report") / "static" / "report.css").read_text()
    chart = line_chart("c", "Calibration", "", names, series, "refined score (%)")
    (tmp_path / "chart.html").write_text(f"<meta charset=utf-8><style>{style}</style>{chart}")
    page = open_page(tmp_path / "chart.html")
    boxes = page.locator("svg text").evaluate_all(
        "all => all.map(each => [each.textContent, each.getBBox().x, each.getBBox().width])"
    )
    ends = [(x, x + width) for name in names for words, x, width in boxes if words == name]
    assert len(ends) == len(EDGES) - 1
    assert all(one[1] + 3 < two[0] for one, two in pairwise(ends))


def test_by_screen_reader_and_keys(report: Path, open_page: Any) -> None:
    page = open_page(report)
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(each => Number(each.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert page.locator("table").count() == page.locator("table > caption").count() > 8
    for name in (
        "Accuracy by iteration",
        "What the sets are made of, by iteration",
        "Calibration of the refined score",
    ):
        assert page.get_by_role("img", name=name).count() == 1
    assert page.get_by_role("searchbox", name="Search").count() == 3  # doubtful, changed and unsure texts
    assert page.get_by_role("main").count() == page.get_by_role("banner").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.textContent.slice(0, 12)"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert {"Summary", "Reproduce", "changed-texts-find"} <= seen


def colours(page: Any, selector: str) -> tuple[str, str]:
    """Text and ground of the first such element; `color-mix` is computed by drawing it."""
    found: tuple[str, str] = page.locator(selector).first.evaluate(
        """each => {
          const style = getComputedStyle(each);
          const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
          return [style.color, style.backgroundColor].map(colour => {
            canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
            return "rgb " + canvas.getImageData(0, 0, 1, 1).data.slice(0, 3).join(" ");
          });
        }"""
    )
    return found


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)
