"""A real server process over HTTP: who is let in, what hostile requests get, and that nothing is lost."""

import http.client
import signal
import subprocess
from pathlib import Path

import pytest
from labelling import Labelling, gold_of, make_table, weights_of

from silr.label.journal import journal_path

pytestmark = pytest.mark.slow

HOSTILE = [
    "<script>alert(1)</script>",
    '\u0645\u0631\u062d\u0628\u0627 <b>bold</b> & "quotes" \'',
    "\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467 \u202ereversed\u202c",
    "long " * 10_000,
    "",
    "line\r\nline\x00\x1b[31m\u2028\ud800",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return make_table(tmp_path_factory.mktemp("server") / "t.csv")


@pytest.fixture(scope="module")
def page(table):
    with Labelling(table) as page:
        yield page


def raw(page, method, path, headers, body=b""):
    connection = http.client.HTTPConnection("127.0.0.1", page.port)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders(body or None)
    answer = connection.getresponse()
    connection.close()
    return answer.status


def path_of(page, rest=""):
    return page.address.removeprefix(page.origin) + rest


def test_only_loopback(page):
    lines = Path("/proc/net/tcp").read_text().splitlines()
    listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    assert [where for where in listening if where.endswith(f":{page.port:04X}")] == [f"0100007F:{page.port:04X}"]


def test_wrong_tokens(page):
    token = path_of(page).strip("/")
    assert len(token) >= 32
    host = [("Host", f"127.0.0.1:{page.port}")]
    paths = [
        "/",
        "/setting",
        "/x/",
        f"/{token[:-1]}/",
        f"/{token}x/",
        f"/{token}",
        "//",
        f"/{token.swapcase()}/setting",
    ]
    for path in paths:
        assert raw(page, "GET", path, host) == 404, path
    assert raw(page, "GET", f"/{token}/", host) == 200
    assert (
        raw(page, "POST", "/x/do/undo", [*host, ("Origin", page.origin), ("Content-Type", "application/json")]) == 404
    )
    for path in ("../label.js", "%2e%2e/server.py", "..%2fserver.py", "server.py", "__init__.py", "do/label"):
        assert raw(page, "GET", f"/{token}/{path}", host) in (404, 405), path


def test_wrong_hosts(page):
    for hosts in ([], ["evil.example"], [f"evil.example:{page.port}"], ["127.0.0.1"], [f"127.0.0.1:{page.port}"] * 2):
        assert raw(page, "GET", path_of(page), [("Host", host) for host in hosts]) in (400, 403), hosts
    assert raw(page, "GET", path_of(page), [("Host", f"localhost:{page.port}")]) == 200


def test_foreign_origins(page):
    host = ("Host", f"127.0.0.1:{page.port}")
    kind = ("Content-Type", "application/json")
    for origin in ("http://evil.example", "null", "", f"https://127.0.0.1:{page.port}", "http://127.0.0.1"):
        assert raw(page, "POST", path_of(page, "do/undo"), [host, kind, ("Origin", origin)]) == 403, origin
        assert raw(page, "GET", path_of(page, "setting"), [host, ("Origin", origin)]) == 403, origin
    assert raw(page, "POST", path_of(page, "do/undo"), [host, kind]) == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        assert page.post("undo", {}, {"Content-Type": kind}).status_code == 403
    assert page.get(**{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert page.state()["turn"] == 0


def test_answers_have_strict_headers_and_ask_no_other_host(page):
    for name in ("", "label.js", "label.css", "icon.svg", "setting", "nothing"):
        answer = page.get(name)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers and "access-control-allow-origin" not in answer.headers
        if name != "icon.svg":
            assert (
                "http://" not in answer.text
                and "https://" not in answer.text
                and "//" not in answer.text.replace("// ", "")
            )


def test_bad_requests_change_nothing(page):
    before = page.state()
    turn, row = before["turn"], before["row"]
    for body in (b"", b"{", b"[]", b"\xff", b"1", b"{" + b" " * 5000 + b"}", b"[" * 4000):
        assert page.post("label", body).status_code == 400, body[:9]
    assert page.post("label", {}).status_code == 409
    for body in ({"row": row}, {"row": row, "label": 2}, {"row": row, "label": -1}, {"row": row, "label": "0"}):
        assert page.post("label", {"turn": turn, **body}).status_code == 422, body
    assert page.post("label", {"turn": turn, "row": row + 1, "label": 0}).status_code == 422
    assert page.post("label", {"turn": turn, "row": True, "label": False}).status_code == 422
    assert page.post("undo", {"turn": turn}).status_code == 422
    assert page.post("delete", {"turn": turn}).status_code == 404
    assert page.state() == before


def test_a_label_counts_once(page):
    """Two pages, or a key pressed twice: the second is told what is current now."""
    state = page.state()
    body = {"turn": state["turn"], "row": state["row"], "label": 1}
    assert page.post("label", body).json()["state"]["done"] == 1
    late = page.post("label", body)
    assert late.status_code == 409 and late.json()["state"]["done"] == 1
    assert page.act("undo")["done"] == 0


def test_hostile_texts_come_back_as_they_are(tmp_path):
    path = make_table(tmp_path / "t.jsonl", 6, texts=HOSTILE)
    with Labelling(path, "-n", 6) as page:
        answer = page.get()
        assert answer.headers["content-type"] == "application/json"
        seen = set()
        for _ in range(6):
            seen.add(page.state()["text"])
            state = page.act("label", label=0)
        assert seen == {*HOSTILE[:-1], HOSTILE[-1].replace("\ud800", "\ufffd")}
        assert state["row"] is None and len(gold_of(path)) == 6  # the table is written as soon as all is done


def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path):
    path = make_table(tmp_path / "t.csv")
    given = {}
    for _ in range(2):
        with Labelling(path, "-n", 30) as page:
            for number in range(5):
                row = page.state()["row"]
                given[row] = ("negative", "positive")[number % 2]
                page.act("label", label=number % 2)
            page.process.send_signal(signal.SIGKILL)
            page.process.wait()
    assert len(given) == 10
    with Labelling(path, "-n", 30) as page:
        assert "cut off: 5 label(s)" in "".join(page.said)  # the first five are in the table since the second start
        assert page.state()["done"] == 10 and gold_of(path) == given
        page.act("label", label=0)
        code, out, err = page.end(signal.SIGTERM)
    assert (code, err) == (130, "silr: interrupted; the same command goes on where it stopped\n")
    assert "11 gold labels" in out and "1 of them new" in out
    assert len(gold_of(path)) == 11 and sum(weights_of(path)) == pytest.approx(200)
    assert not journal_path(path).exists()


def test_finish_ends_the_process(tmp_path):
    path = make_table(tmp_path / "t.csv")
    with Labelling(path, "-n", 30) as page:
        for _ in range(12):
            page.act("label", label=1)
        state = page.state()
        result = page.post("finish", {"turn": state["turn"]}).json()["result"]
        code, out, err = page.wait()
    assert (code, err) == (0, "") and "12 gold labels (negative 0, positive 12), 12 of them new" in out
    assert result["gold"] == 12 and 0 <= result["llm_accuracy"] <= 1
    assert len(gold_of(path)) == 12


def test_a_full_disk_is_said_and_nothing_counts(tmp_path):
    path = make_table(tmp_path / "t.csv")
    with Labelling(path) as page:
        page.act("label", label=0)
        size = journal_path(path).stat().st_size
        subprocess.run(["prlimit", f"--pid={page.process.pid}", f"--fsize={size + 20}:"], check=True)
        state = page.state()
        answer = page.post("label", {"turn": state["turn"], "row": state["row"], "label": 0})
        assert answer.status_code == 422 and "cannot write" in answer.json()["error"]
        assert answer.json()["state"] == state and journal_path(path).stat().st_size == size
        subprocess.run(["prlimit", f"--pid={page.process.pid}", "--fsize=unlimited:"], check=True)
        assert page.act("label", label=0)["done"] == 2
        assert page.end(signal.SIGINT)[0] == 130
    assert len(gold_of(path)) == 2
