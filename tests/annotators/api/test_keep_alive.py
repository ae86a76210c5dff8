"""Requests over connections that stay open: a response is the same, however the server frames it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from types import SimpleNamespace

import pytest

from silr.annotators.api.keep_alive import KeepAlive

JSON = '{"words": "grün und schön"}'
BODY = JSON.encode()
LONG = b'"' + b"x" * 100_000 + b'"'  # more than a buffer holds


def framed(body: bytes, *headers: bytes, status: bytes = b"200 OK", version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"HTTP/%b %b" % (version, status), b"Retry-After: 7", *headers, b"", body])


def length(body: bytes) -> bytes:
    return b"content-length: %d" % len(body)


@contextmanager
def answering(*parts: bytes, closes: bool = False) -> Iterator[tuple[KeepAlive, list[int]]]:
    """Connections to a server that sends these parts, one after another, and the numbers of connections it had."""
    connections = list[int]()

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(len(connections))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with connection, suppress(OSError):
                    while asked(connection):
                        for part in parts:
                            connection.sendall(part)
                        if closes:
                            break

    def asked(connection: socket.socket) -> bool:
        received = b""
        while not received.endswith(b"\r\n\r\n{}"):
            if not (more := connection.recv(4096)):
                return False
            received += more
        return True

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"
        first = SimpleNamespace(request=SimpleNamespace(url=url, headers={"Host": "127.0.0.1"}))
        keep_alive = KeepAlive(first, 5.0)
        yield keep_alive, connections
        keep_alive.abort()
        listener.shutdown(socket.SHUT_RDWR)


def halves(data: bytes) -> list[bytes]:
    return [data[:10], data[10 : len(data) // 2], data[len(data) // 2 :]]


@pytest.mark.parametrize(
    "parts",
    [
        [framed(BODY, length(BODY))],
        [framed(BODY, b"Content-Length:%d" % len(BODY), b"Connection: keep-alive", b"Content-Type: application/json")],
        [framed(BODY, b"CONTENT-TYPE: text/plain; charset=utf-8", length(BODY))],
        halves(framed(BODY, length(BODY))),
        [framed(b"", length(BODY)), BODY],
        [framed(JSON.encode("latin-1"), b"content-type: text/plain; charset=latin-1", length(JSON.encode("latin-1")))],
        [framed(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), b"Transfer-Encoding: chunked")],
        [framed(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), b"Transfer-Encoding: chunked", length(BODY))],
        [framed(BODY, length(BODY), b"X-Folded: one", b" content-length: 3")],
        [b"HTTP/1.1 100 Continue\r\n\r\n", framed(BODY, length(BODY))],
        [framed(BODY, length(BODY), status=b"200")],
    ],
)
def test_every_framing_gives_the_same_over_one_connection(parts: list[bytes]) -> None:
    with answering(*parts) as (keep_alive, connections):
        for _ in range(3):
            response = keep_alive.post({})
            assert (response.status_code, response.text) == (200, JSON)
            assert {name.lower(): value for name, value in response.headers.items()}["retry-after"] == "7"
        assert len(connections) == 1


@pytest.mark.parametrize(
    "parts",
    [
        [framed(BODY, length(BODY), b"Connection: close")],
        [framed(BODY)],  # its end is that of the connection
        [framed(BODY, length(BODY), version=b"1.0")],
    ],
)
def test_a_connection_that_ends_with_a_response_is_opened_again(parts: list[bytes]) -> None:
    with answering(*parts, closes=True) as (keep_alive, connections):
        assert [keep_alive.post({}).text for _ in range(3)] == [JSON] * 3
        assert len(connections) == 3


def test_a_body_longer_than_a_buffer_is_read_whole() -> None:
    with answering(framed(LONG, length(LONG))) as (keep_alive, connections):
        assert [keep_alive.post({}).text for _ in range(2)] == [LONG.decode()] * 2
        assert len(connections) == 1


@pytest.mark.parametrize("parts", [[framed(BODY[:9], length(BODY))], [b"HTTP/1.1"], [b""]])
def test_a_response_that_is_cut_is_an_error(parts: list[bytes]) -> None:
    with answering(*parts, closes=True) as (keep_alive, _):
        for _ in range(2):
            with pytest.raises((OSError, HTTPException)):
                keep_alive.post({})


def test_another_status_comes_with_its_words() -> None:
    with answering(framed(BODY, length(BODY), status=b"429 Too Many Requests")) as (keep_alive, _):
        response = keep_alive.post({})
        assert (response.status_code, response.text, response.headers["Retry-After"]) == (429, JSON, "7")
