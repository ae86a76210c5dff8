"""The page in a real Chromium, driven as a person drives it, against a real `silr label` process."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from labelling import Labelling, draws_of, gold_of, label_in_rounds, make_table, weights_of

pytestmark = pytest.mark.browser

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no Chromium on the path", allow_module_level=True)

SHOTS = os.environ.get("SILR_SHOTS")  # a folder for screenshots to look at

REVIEWS = [
    "The battery lasts two full days and the screen is bright enough to read outside. I would buy it again.",
    "Stopped working after a week. Support told me to mail it in at my own cost, and that was that.",
    "It is fine for the price, though the strap feels cheap and the manual is of no help whatsoever.",
]
HOSTILE = [
    "<script>alert('owned')</script><img src=x onerror=alert(1)> &amp; <b>not bold</b>",
    "\u0647\u0630\u0627 \u0627\u0644\u0645\u0646\u062a\u062c "  # Arabic, then Hebrew
    "\u05d5\u05d2\u05dd \u05e2\u05d1\u05e8\u05d9\u05ea 123",
    "\U0001f44d\U0001f3fd\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f3f3\ufe0f\u200d\U0001f308 emoji \U0001f9e8",
    "A long text. " * 4000,
    "w" * 3000,
    "",
    "first line\n\n    second, indented\n\tthird",
]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """A function that opens a page; at the end no dialog, no error and no request elsewhere may have happened."""
    wrong, contexts = [], []

    def open_page(labelling, **options):
        context = browser.new_context(**{"viewport": {"width": 1100, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.set_default_navigation_timeout(30_000)  # a browser that starts beside other work
        page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(f"error {error}"))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("request", lambda sent: None if sent.url.startswith(labelling.address) else wrong.append(sent.url))
        page.goto(labelling.address)
        page.locator("#classes button").first.wait_for(state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    expected = re.compile(r"ERR_CONNECTION_REFUSED|status of 409")  # the server was killed; another page was faster
    assert [each for each in wrong if not expected.search(each)] == []


def shot(page, name):
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"label-{name}.png")


def text(page):
    return page.locator("#text").inner_text()


def labelled(page, n, target):
    sync_api.expect(page.locator("#done")).to_have_text(f"{n} of {target}")


def test_twenty_texts_by_keys_with_undo_skip_reload_kill_and_resume(tmp_path, open_page):
    path = make_table(tmp_path / "reviews.csv", texts=REVIEWS)
    asked = {}
    with Labelling(path, "-n", 20) as labelling:
        page = open_page(labelling)
        labelled(page, 0, 20)
        for number in range(12):
            asked[text(page)] = ("negative", "positive")[number % 2]
            page.keyboard.press(str(1 + number % 2))
            labelled(page, number + 1, 20)
        assert len(asked) == 12
        assert re.fullmatch(r"±\s\d+(\.\d)? points", page.locator("#precision").inner_text())
        assert re.fullmatch(r"\(±\s\d+(\.\d)? at 20\)", page.locator("#later").inner_text())
        assert page.locator("#left").inner_text() == "under 1 min"
        last = list(asked)[-1]
        page.keyboard.press("u")
        labelled(page, 11, 20)
        assert text(page) == last
        page.reload()
        labelled(page, 11, 20)
        assert text(page) == last
        page.keyboard.press("2")
        labelled(page, 12, 20)
        skipped = text(page)
        page.keyboard.press("s")
        sync_api.expect(page.locator("#skipped")).to_have_text("1")
        current = text(page)
        assert current != skipped
        labelling.process.send_signal(signal.SIGKILL)
        labelling.process.wait()
        page.keyboard.press("1")
        sync_api.expect(page.get_by_role("alert")).to_contain_text("Not saved")
        labelled(page, 12, 20)  # what is not saved does not look saved
        shot(page, "lost")
    with Labelling(path, "-n", 20) as labelling:
        assert "taken up" in "".join(labelling.said)
        page = open_page(labelling)
        labelled(page, 12, 20)
        assert text(page) == current
        for number in range(12, 20):
            assert text(page) not in asked and text(page) != skipped
            asked[text(page)] = "positive"
            page.keyboard.press("2")
            if number < 19:
                labelled(page, number + 1, 20)
        sync_api.expect(page.get_by_role("heading", name="20 texts are labelled")).to_be_focused()
        shot(page, "done")
        page.keyboard.press("u")
        labelled(page, 19, 20)
        page.keyboard.press("2")
        page.get_by_role("button", name="Save and finish").click()
        sync_api.expect(page.get_by_role("heading", name="Saved: 20 gold labels")).to_be_focused()
        assert "silr refine" in page.locator("#end-command").inner_text()
        shot(page, "saved")
        code, out, err = labelling.wait()
    assert (code, err) == (0, "") and "20 gold labels" in out
    rows = {f"{value}": label for value, label in asked.items()}
    texts = [*REVIEWS, *(f"text number {row}" for row in range(3, 200))]
    assert {texts[row]: label for row, label in gold_of(path).items()} == rows
    assert sum(weights_of(path)) == pytest.approx(200)


def test_hostile_texts_are_shown_as_they_are(tmp_path, open_page):
    n = len(HOSTILE)
    path = make_table(tmp_path / "hostile<b>.jsonl", n, texts=HOSTILE)
    seen = {}
    with Labelling(path, "-n", n, "--classes", "negative", "positive", "<img src=x onerror=alert(2)>") as labelling:
        page = open_page(labelling, viewport={"width": 360, "height": 640})
        for number in range(n):
            shown = page.locator("#text").evaluate(
                "e => [e.textContent, getComputedStyle(e).direction, e.children.length]"
            )
            seen[shown[0]] = shown[1]
            assert shown[2] == 0
            for selector in ("html", "#card"):
                wide = page.locator(selector).evaluate("e => e.scrollWidth - e.clientWidth")
                assert wide <= 0, (selector, shown[0][:30])
            for button in page.locator("#classes button").all():
                assert button.bounding_box()["y"] + button.bounding_box()["height"] <= 640
            if len(shown[0]) > 40_000:
                assert page.locator("#card").evaluate("e => e === document.activeElement && e.scrollHeight > 2000")
                page.keyboard.press("PageDown")
                sync_api.expect(page.locator("#card")).not_to_have_js_property("scrollTop", 0)
            shot(page, f"hostile-{number}")
            page.keyboard.press("1")
            labelled(page, number + 1, n) if number < n - 1 else None
        sync_api.expect(page.locator("#end-title")).to_be_visible()
    assert set(seen) == {text or "(this text is empty)" for text in HOSTILE}
    assert seen[HOSTILE[1]] == "rtl" and seen[HOSTILE[0]] == "ltr"


def test_without_a_mouse_and_by_screen_reader(tmp_path, open_page):
    path = make_table(tmp_path / "reviews.csv", texts=REVIEWS)
    with Labelling(path, "-n", 20) as labelling:
        page = open_page(labelling)
        assert page.evaluate("document.activeElement.id") == "card"
        names = []
        for _ in range(5):
            page.keyboard.press("Tab")
            names.append(page.evaluate("document.activeElement.innerText || document.activeElement.id"))
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert [name.split("\n")[-1].split()[-1] for name in names[:4]] == ["negative", "positive", "Skip", "stop"]
        assert names[4] == "keys"
        for role, name in (("group", "Label"), ("progressbar", "Labelled texts"), ("group", "Text to label")):
            assert page.get_by_role(role, name=name, exact=True).count() == 1
        for name in ("negative", "positive", "Undo", "Skip", "Save and stop"):
            assert page.get_by_role("button", name=name).count() == 1
        page.get_by_role("button", name="positive").focus()
        page.keyboard.press("Enter")
        labelled(page, 1, 20)
        sync_api.expect(page.get_by_role("status")).to_have_text("positive. 1 of 20.")
        assert page.evaluate("document.activeElement.id") == "card"
        page.keyboard.press("u")
        sync_api.expect(page.get_by_role("status")).to_have_text("Undone: positive. 0 of 20.")
        page.get_by_role("checkbox", name="One-key shortcuts").uncheck()
        page.keyboard.press("1")
        page.wait_for_timeout(200)
        labelled(page, 0, 20)
        page.get_by_role("checkbox", name="One-key shortcuts").check()
        for chord in ("Control+1", "Alt+1"):
            page.keyboard.press(chord)
        page.wait_for_timeout(200)
        labelled(page, 0, 20)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 740)])
def test_dark_light_wide_and_narrow(open_page, width, height, shown):
    phone = width < 500
    page = open_page(shown, viewport={"width": width, "height": height}, is_mobile=phone, has_touch=phone)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours = page.evaluate(
            """() => ['#text', '#card', 'dt', 'body', '#classes button'].map(name => {
              const style = getComputedStyle(document.querySelector(name));
              return [style.color, style.backgroundColor]})"""
        )
        (ink, _), (_, card), (quiet, _), (_, ground), (button, under) = colours
        assert (luminance(card) < 0.1) is (scheme == "dark")
        for front, back in ((ink, card), (quiet, ground), (button, under)):
            assert contrast(front, back) >= 4.5
        shot(page, f"{scheme}-{width}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight + 1")
    for button in page.locator("button:visible").all():
        box = button.bounding_box()
        assert box["height"] >= 43.5 and box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A session of fourteen labels, for pages that only look."""
    path = make_table(tmp_path_factory.mktemp("shown") / "reviews.csv", 100, texts=REVIEWS * 32)
    with Labelling(path, "-n", 50) as labelling:
        for number in range(14):
            labelling.act("label", label=number % 2)
        yield labelling


def test_many_classes(tmp_path, open_page):
    classes = ["negative", "positive", *(f"a class with a longer name {number}" for number in range(12))]
    path = make_table(tmp_path / "t.csv", texts=REVIEWS)
    with Labelling(path, "--classes", *classes, "--show-llm-label") as labelling:
        page = open_page(labelling, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
        assert page.locator("#hint").inner_text().startswith("The LLM says: ")
        assert page.locator("#card").bounding_box()["height"] > 150
        shot(page, "many-360")
        page.set_viewport_size({"width": 1280, "height": 800})
        shot(page, "many-1280")
        page.keyboard.press("q")
        sync_api.expect(page.get_by_role("status")).to_have_text("a class with a longer name 8. 1 of 100.")
        page.get_by_role("button", name="Save and stop").click()
        sync_api.expect(page.get_by_role("heading", name="Saved: 1 gold label")).to_be_visible()
        assert labelling.wait()[0] == 0
    assert list(gold_of(path).values()) == [classes[10]]


def test_two_pages_do_not_label_twice(tmp_path, open_page):
    path = make_table(tmp_path / "t.csv")
    with Labelling(path, "-n", 20) as labelling:
        one, two = open_page(labelling), open_page(labelling)
        one.keyboard.press("1")
        labelled(one, 1, 20)
        with two.expect_response(re.compile("do/label")) as answer:
            two.keyboard.press("1")
        assert answer.value.status == 409
        sync_api.expect(two.get_by_role("alert")).to_contain_text("behind")
        assert text(two) == text(one)
        labelled(two, 1, 20)
        assert json.loads(labelling.get().text)["state"]["done"] == 1


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, two):
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_adaptive_draws_on_the_page(tmp_path, open_page):
    """The text on the page stays what it was, after a reload, an undo and a kill; the draws are in the table."""
    path = make_table(tmp_path / "t.csv")
    rows = label_in_rounds(path)
    with Labelling(path, "-n", 44) as labelling:
        page = open_page(labelling)
        labelled(page, 40, 44)
        first = text(page)
        page.keyboard.press("1")
        labelled(page, 41, 44)
        second = text(page)
        page.keyboard.press("u")
        labelled(page, 40, 44)
        assert text(page) == first
        page.reload()
        labelled(page, 40, 44)
        assert text(page) == first
        page.keyboard.press("2")
        labelled(page, 41, 44)
        assert text(page) == second
        labelling.process.send_signal(signal.SIGKILL)
        labelling.process.wait()
    with Labelling(path, "-n", 44) as labelling:
        page = open_page(labelling)
        labelled(page, 41, 44)
        assert text(page) == second
        for number in range(41, 44):
            page.keyboard.press("1")
            if number < 43:
                labelled(page, number + 1, 44)
        page.get_by_role("button", name="Save and finish").click()
        sync_api.expect(page.get_by_role("heading", name="Saved: 44 gold labels")).to_be_focused()
        code, out, _ = labelling.wait()
    assert code == 0 and "24 of them drawn by how unsure their label was" in out
    new = {row: draw for row, (_, draw, _) in draws_of(path).items() if row not in rows}
    assert sorted(new.values()) == [21, 22, 23, 24]
    assert gold_of(path)[int(first.split()[-1])] == "positive"


def test_the_codebook_folds_and_stays_folded(tmp_path, open_page):
    path = make_table(tmp_path / "t.csv", 40, texts=HOSTILE)
    classes = [
        {"name": "negative", "definition": HOSTILE[0], "examples": [HOSTILE[6], HOSTILE[1]]},
        {"name": "positive", "in": ["<i>praise</i>"]},
    ]
    (tmp_path / "codebook.yaml").write_text(json.dumps({"question": "Is it <b>kind</b>?", "classes": classes}))
    with Labelling(path, "--codebook", tmp_path / "codebook.yaml") as labelling:
        page = open_page(labelling)
        panel = page.locator("#codebook-classes")
        sync_api.expect(panel).to_be_visible()
        sync_api.expect(page.locator("#question")).to_have_text("Is it <b>kind</b>?")
        assert panel.locator("h2").all_inner_texts() == ["1\nnegative", "2\npositive"]
        assert HOSTILE[0] in panel.inner_text() and "<i>praise</i>" in panel.inner_text()
        assert panel.locator("script, img, b, i").count() == 0
        shot(page, "codebook")
        assert text(page) not in (HOSTILE[6], HOSTILE[1])
        page.keyboard.press("?")
        sync_api.expect(panel).to_be_hidden()
        page.reload()
        sync_api.expect(page.locator("#codebook summary")).to_be_visible()
        sync_api.expect(panel).to_be_hidden()
        cookies = page.context.cookies()
        assert [(each["name"], each["value"]) for each in cookies] == [("silr_codebook", "folded")]
        page.get_by_text("Codebook").click()
        sync_api.expect(panel).to_be_visible()
        page.keyboard.press("2")
        labelled(page, 1, 100)
    with Labelling(path, "-n", 2) as labelling:  # no record has a codebook
        page = open_page(labelling)
        sync_api.expect(page.locator("#codebook")).to_be_hidden()
