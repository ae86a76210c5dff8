"""Requests over connections that stay open, like one that the openai client sent, at a tenth of its work."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from importlib import import_module
from io import BufferedReader
from select import select
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_OWN_HEADERS = ("content-length", "accept-encoding", "transfer-encoding", "connection")
_JSON = json.JSONEncoder(ensure_ascii=False)
_OK = b"HTTP/1.1 200 "
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*(?:\r\n|\Z)", re.IGNORECASE)
_SPECIAL = re.compile(  # heads that are not read at a glance
    rb"\r\n(?:[ \t]|(?:transfer|content)-encoding:|connection:[^\r]*close|content-type:[^\r]*charset(?!=utf-8)"
    rb"|content-length:.*\r\ncontent-length:)",
    re.IGNORECASE | re.DOTALL,
)
_FRESH = 0.5  # seconds in which no server closes a connection that it has kept open before


class UnreachableError(Exception):
    """No connection came about, so nothing was sent."""


class Response(NamedTuple):
    """What a server sent."""

    status_code: int
    headers: Mapping[str, str]
    text: str


class KeepAlive:
    """Sends requests over connections of its own, one a thread, which stay open. Threads may share it.

    Address and headers are those of a request that the openai client sent, so all that it knows of keys, versions and
    headers holds here.

    Parameters
    ----------
    response : httpx.Response
        The response to that request. It needed no proxy and no redirection.
    timeout : float or None
        Seconds to wait for a connection, or for more of a response.

    Attributes
    ----------
    closed : bool
        The server redirects now, so these connections are of no use any more.
    """

    def __init__(self, response: Any, timeout: float | None) -> None:
        url, headers = urlsplit(str(response.request.url)), response.request.headers
        self._address, self._timeout = (url.hostname or "", url.port), timeout
        # openai has changed its HTTP library; both know which certificates to trust.
        library = import_module(type(response).__module__.partition(".")[0])
        self._context = library.create_ssl_context() if url.scheme == "https" else None
        target = url.path + (f"?{url.query}" if url.query else "")
        kept = [f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() not in _OWN_HEADERS]
        self._head = f"POST {target} HTTP/1.1\r\n{''.join(kept)}accept-encoding: identity\r\ncontent-length: ".encode()
        self._own, self._lock, self._connections = threading.local(), threading.Lock(), set[HTTPConnection]()
        self.closed = False  # set by any thread, read by all

    def post(self, body: Mapping[str, object]) -> Response:
        """Send JSON. An OSError or an HTTPException says that no whole response came."""
        data = _JSON.encode(body).encode("utf-8", "replace")
        connection = self._connection()
        try:
            connection.sock.sendall(b"%b%d\r\n\r\n%b" % (self._head, len(data), data))
            with HTTPResponse(connection.sock, method="POST") as response:
                if (plain := _plain(response.fp)) is not None:
                    self._own.fresh_until = time.monotonic() + _FRESH
                    return plain
                response.begin()
                received = response.read()
        except (OSError, HTTPException):
            connection.close()
            raise
        if response.will_close:
            connection.close()
        self.closed |= 300 <= response.status < 400
        self._own.fresh_until = time.monotonic() + _FRESH
        return Response(response.status, dict(response.headers), _text(response, received))

    def abort(self) -> None:
        """Cut all connections: whoever waits for a response gets an error."""
        with self._lock:
            for connection in self._connections:
                with suppress(OSError, AttributeError):  # closed, meanwhile or before
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def _connection(self) -> HTTPConnection:
        """Return this thread's connection; one that the server has closed is opened again."""
        connection: HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            host, port = self._address
            if self._context is None:
                connection = HTTPConnection(host, port, timeout=self._timeout)
            else:
                connection = HTTPSConnection(host, port, timeout=self._timeout, context=self._context)
            self._own.connection = connection
            with self._lock:
                self._connections.add(connection)
        elif connection.sock is not None and not self._is_open(connection):
            connection.close()
        if connection.sock is None:
            self._own.reused = False
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                raise UnreachableError(str(error)) from error
        return connection

    def _is_open(self, connection: HTTPConnection) -> bool:
        """Whether the server has not closed the connection; to look costs time, so it is left out where all is well."""
        is_proven, self._own.reused = self._own.reused, True
        if is_proven and time.monotonic() < self._own.fresh_until:
            return True
        return not select([connection.sock], [], [], 0)[0]


def _plain(file: BufferedReader) -> Response | None:
    """Read a response that came well, in UTF-8, of a known length; None of any other, of which nothing is taken.

    The parser of http.client takes as long as all other work on an answer.
    """
    head, end, _ = file.peek().partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not (end and length and head.startswith(_OK)) or _SPECIAL.search(head):
        return None
    received = file.read(len(head) + len(end) + int(length[1]))[len(head) + len(end) :]
    if len(received) < int(length[1]):
        raise IncompleteRead(received, int(length[1]) - len(received))
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return Response(200, {name: value.strip() for name, _, value in lines}, received.decode("utf-8", "replace"))


def _text(response: HTTPResponse, received: bytes) -> str:
    with suppress(LookupError):
        return received.decode(response.headers.get_content_charset("utf-8"), "replace")
    return received.decode("utf-8", "replace")
