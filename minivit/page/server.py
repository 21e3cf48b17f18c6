"""The server of the page: Starlette and uvicorn on this machine's own address, for the browser of this machine.

Every address begins with a token that only the printed URL tells. Besides, a request is refused unless its Host is this
machine (a foreign name that was pointed here is not) and its Origin is the page itself; bodies are limited; the files
that can be asked for are a fixed table. No answer allows other sites to read it.
"""

import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as WebRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import ConfigError, MinivitError
from . import assets, requests
from .session import Session

ADDRESS = "127.0.0.1"
LARGEST_BODY = 1 << 20  # bytes
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Guard:
    """Refuses what does not come from the page, and bodies that are too large, before anything looks at them."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        problem = _refused(scope["method"], headers)
        if problem is not None:
            return await _error(*problem)(scope, receive, send)
        await self._app(scope, receive, send)


def make_app(session: Session, token: str) -> Any:
    """The application: the page under /TOKEN/, and what it asks for under /TOKEN/api/."""
    files = {name: assets.text(name).encode() for name in assets.names()}

    def file(name: str) -> Callable[[WebRequest], Response]:
        return lambda request: Response(files[name], media_type=assets.media_type(name), headers=HEADERS)

    def ask(answer: Callable[[Any], Any]) -> Callable[[WebRequest], Awaitable[Response]]:
        async def asked(request: WebRequest) -> Response:
            try:
                body = json.loads(await request.body())
            except (ValueError, RecursionError):
                return _error(400, "the body is no JSON")
            try:
                return JSONResponse(await run_in_threadpool(answer, body), headers=HEADERS)
            except MinivitError as error:
                return _error(400, str(error))

        return asked

    def run(body: Any) -> Any:
        return {**session.run(requests.read_request(body)), "number": requests.read_number(body)}

    routes: dict[str, Callable[[Any], Any]] = {
        "run": run,
        "check": lambda body: session.check(requests.read_request(body)),
        "tensors": lambda body: session.tensors(requests.read_request(body), requests.read_names(body)),
        "slope": lambda body: session.slope(requests.read_request(body), *requests.read_entry(body)),
        "sources": lambda body: session.sources(*(requests.read_text(body, name) for name in ("model", "bug"))),
        "surprise": lambda body: {"bug": session.surprise(requests.read_text(body, "after"))},
        "point": lambda body: session.point(requests.read_text(body, "bug"), *requests.read_line(body)),
        "reveal": lambda body: session.reveal(requests.read_text(body, "bug")),
        "picture": lambda body: {
            "pixels": session.picture(requests.read_text(body, "model"), requests.read_grey(body))
        },
    }
    looked: dict[str, Callable[[], Any]] = {"meta": session.meta, "watch": session.watch}

    def look(answer: Callable[[], Any]) -> Callable[[WebRequest], Response]:
        return lambda request: JSONResponse(answer(), headers=HEADERS)

    return Guard(
        Starlette(
            routes=[
                *(Route(f"/{token}/{'' if name == assets.PAGE else name}", file(name)) for name in files),
                *(Route(f"/{token}/api/{name}", ask(answer), methods=["POST"]) for name, answer in routes.items()),
                *(Route(f"/{token}/api/{name}", look(answer)) for name, answer in looked.items()),
            ],
            exception_handlers={
                404: lambda request, error: _error(404, "there is no such page"),
                405: lambda request, error: _error(405, "not by this method"),
            },  # fmt: skip
        )
    )


def listen(port: int) -> socket.socket:
    """A socket that listens on this machine only. Port 0: a free one. Raises ConfigError if it is taken."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((ADDRESS, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise ConfigError(f"port {port} cannot be used ({error}): choose another --port") from None
    listening.listen()
    return listening


def server_of(app: Any) -> uvicorn.Server:
    """The server; its `run(sockets=[...])` serves until Ctrl-C, which is then raised again."""
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", ws="none", server_header=False,
                            timeout_graceful_shutdown=1)  # fmt: skip
    return uvicorn.Server(config)


def _refused(method: str, headers: dict[str, str]) -> tuple[int, str] | None:
    """Why a request is not from the page, or None."""
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in (ADDRESS, "localhost") or not host.rpartition(":")[2].isdigit():
        return 403, f"this server is {ADDRESS}, not {host[:100]!r}"
    if headers.get("origin", f"http://{host}") != f"http://{host}":
        return 403, "requests come from the page itself only"
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return 403, "requests come from the page itself only"
    if method == "POST":
        if headers.get("content-type", "").split(";")[0].strip() != "application/json":
            return 415, "a body is application/json"
        length = headers.get("content-length", "")
        if not length.isdecimal() or "transfer-encoding" in headers:
            return 411, "a body says how long it is"
        if len(length) > 12 or int(length) > LARGEST_BODY:
            return 413, f"a body holds at most {LARGEST_BODY:,} bytes"
    return None


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status, headers=HEADERS)
