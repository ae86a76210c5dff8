"""Local page: a few addresses on 127.0.0.1 behind a random token, and nothing from any other host.

A page of another site that the person has open could send requests to this machine too. It knows no token; and even
with one, its Origin is another, and a name of its own that it lets point here (DNS rebinding) is another Host.
"""

import asyncio
import json
import os
import secrets
import shlex
import socket
from collections.abc import Callable
from importlib.resources import files

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from silr.errors import InputError
from silr.label.codebook import panel, question_for
from silr.label.keys import class_keys, tool_keys
from silr.label.review import Review
from silr.label.session import Session

LOOPBACK = "127.0.0.1"
LONGEST_BODY = 4096
Work = Session | Review
FILES = {
    "": ("index.html", "text/html"),
    "label.css": ("label.css", "text/css"),
    "label.js": ("label.js", "text/javascript"),
    "review.js": ("review.js", "text/javascript"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def make_app(session: Work, token: str, port: int, stop: Callable[[], None]) -> ASGIApp:
    """Build the application.

    The token begins every address, and Host must name the port. `stop` is called once the person has finished and the
    table is written.
    """
    page = _Page(session, stop)
    routes = [
        Route(f"/{token}/", page.file),
        Route(f"/{token}/setting", page.setting),
        Route(f"/{token}/do/{{action}}", page.act, methods=["POST"]),
        Route(f"/{token}/{{name}}", page.file),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return _Guard(app, port)


ACTIONS: dict[str, Callable[[Work, dict[str, object]], None]] = {
    "label": lambda session, body: session.label(_number(body, "row"), _number(body, "label")),
    "skip": lambda session, body: session.skip(_number(body, "row")),
    "undo": lambda session, _: session.undo(),
    "more": lambda session, _: session.more(),
    "finish": lambda session, _: session.save(),
}


class _Page:
    """Answers of the page's addresses."""

    def __init__(self, session: Work, stop: Callable[[], None]) -> None:
        static = files("silr.label") / "static"
        self._content = {name: (static / file).read_bytes() for name, (file, _) in FILES.items()}
        self._question = question_for(session.table)
        self._session, self._stop = session, stop

    async def file(self, request: Request) -> Response:
        name = request.path_params.get("name", "")
        if name not in FILES:
            return PlainTextResponse("not found", 404)
        return Response(self._content[name], media_type=FILES[name][1])

    async def setting(self, _: Request) -> Response:
        """What stays the same while the page is open."""
        table, person = self._session.table, getattr(self._session, "person", None)
        pairs = zip(table.classes, class_keys(table.classes), strict=True)
        constant = {
            "table": table.output.name,
            "mode": self._session.mode,
            "question": self._question,
            "classes": [{"name": name, "key": key} for name, key in pairs],
            "tools": tool_keys(table.classes),
            "codebook": panel(table),
        }
        if person:
            constant["table"] = f"{table.output.name} · {person}"
        return JSONResponse(constant | self._now())

    async def act(self, request: Request) -> Response:
        """Do one thing: label, skip, undo, more or finish."""
        try:
            body = json.loads(await _body(request))
            if not isinstance(body, dict):
                raise ValueError
        except (ValueError, RecursionError):
            return JSONResponse({"error": "not a request of this page"}, 400)
        session, name = self._session, request.path_params["action"]
        if body.get("turn") != session.turn:
            return JSONResponse({"error": "this page was behind; it now shows the current text"} | self._now(), 409)
        if name not in ACTIONS:
            return PlainTextResponse("not found", 404)
        try:
            ACTIONS[name](session, body)
            if name == "finish":
                self._stop()
                output = session.table.output
                next_step = f"silr refine {shlex.quote(str(output))} -o run/"
                return JSONResponse({"result": {**session.result(), "name": output.name, "next": next_step}})
            if session.turn and session.done == session.target:
                session.save()
        except InputError as error:
            return JSONResponse({"error": str(error)} | self._now(), 422)
        return JSONResponse(self._now())

    def _now(self) -> dict[str, object]:
        return {"state": self._session.state()}


class _Guard:
    """Refuses requests that this page did not make, and puts the safe headers on every answer."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in (LOOPBACK, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        refusal = self._refusal(request)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            await send(message)

        answer: ASGIApp = PlainTextResponse(refusal, 403) if refusal else self._app
        await answer(scope, receive, send_safely)

    def _refusal(self, request: Request) -> str:
        host = request.headers.getlist("host")
        if len(host) != 1 or host[0] not in self._hosts:
            return "wrong Host"
        origin = request.headers.get("origin")
        if origin != f"http://{host[0]}" and (origin is not None or request.method != "GET"):
            return "wrong Origin"
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "another site"
        if request.method == "POST" and request.headers.get("content-type") != "application/json":
            return "not JSON"
        return ""


def listen(port: int = 0) -> socket.socket:
    """Return a socket on the loopback interface; port 0 is any free one. InputError if a port cannot be used."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name != "nt":  # where it would share the port with another program
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((LOOPBACK, port))
    except OSError as error:
        server.close()
        raise InputError(f"cannot listen on port {port}: {error.strerror}; choose another --port") from error
    return server


def serve(session: Work, port: int = 0, ready: Callable[[str], None] = lambda address: None) -> bool:
    """Serve the page until the person finishes (True) or interrupts (False); `ready` is called with its address."""
    with listen(port) as listener:
        port = listener.getsockname()[1]
        token = secrets.token_urlsafe(24)
        finished = False

        def stop() -> None:
            nonlocal finished
            finished = server.should_exit = True

        config = uvicorn.Config(
            make_app(session, token, port, stop),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            access_log=False,  # it would show the token
            log_level="error",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
        server = uvicorn.Server(config)

        async def run() -> None:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            ready(f"http://{LOOPBACK}:{port}/{token}/")
            await serving

        try:
            asyncio.run(run())
        except KeyboardInterrupt:
            return False
    return finished


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise ValueError
    return body


def _number(body: dict[str, object], name: str) -> int:
    value = body.get(name)
    if type(value) is not int:
        raise InputError(f"{name} is no number")
    return value
