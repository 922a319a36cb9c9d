"""The same work as one WSGI and one ASGI application, for production servers to run.

Written for speed: what a path asks for is worked out once, and a request does nothing but its
steps. Knows no server; `servers.settings` says what it shares among requests.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

from servers.core.calls import Calls
from servers.core.replies import ALLOWED
from servers.core.service import Service
from servers.core.work import CALL, DELAY, HOLD, BadWorkError, Step, Work, parse
from servers.settings import read_settings
from servers.waits import asyncio_waits
from servers.waits.thread_waits import carry_out

_MOST_PATHS: Final = 64
_PIECE_BYTES: Final = 64 * 1024
_METHODS: Final = tuple(method.decode() for method in ALLOWED)
_BODILESS: Final = ("GET", "HEAD")
_NO_WORK: Final = Work()

settings: Final = read_settings(os.environ)
_call: Final = Calls(settings.upstream).call if settings.upstream else None

Headers = tuple[tuple[str, str], ...]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request takes: its steps, then a reply in pieces, with a wait between two."""

    steps: tuple[Step, ...]
    status: int
    headers: Headers
    pieces: tuple[bytes, ...]
    wait: Step | None
    wsgi_status: str
    asgi_headers: list[tuple[bytes, bytes]]


class _Waits(Protocol):
    """How tasks of one library wait for units and for the upstream."""

    async def hold(self, step: Step) -> None: ...

    async def call(self, step: Step) -> None: ...


def wsgi(environ: Mapping[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer a request in the thread, or greenlet, that a server gives it."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    query = environ.get("QUERY_STRING")
    answer = answer_to(method, f"{path}?{query}" if query else path)
    if method not in _BODILESS:
        while environ["wsgi.input"].read(_PIECE_BYTES):
            pass
    carry_out(answer.steps, settings.units)
    start_response(answer.wsgi_status, list(answer.headers))
    return answer.pieces if answer.wait is None else _dripped(answer.pieces, answer.wait)


async def asgi(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Answer a request in a task of asyncio or of trio."""
    if scope["type"] == "lifespan":
        return await _live(receive, send)
    method, path, query = scope["method"], scope["path"], scope["query_string"]
    answer = answer_to(method, f"{path}?{query.decode('latin-1')}" if query else path)
    if method not in _BODILESS:
        while (await receive()).get("more_body"):
            pass
    if answer.steps:
        await _carry_out(answer.steps)
    start = {"status": answer.status, "headers": answer.asgi_headers}
    await send({"type": "http.response.start", **start})
    *pieces, last = answer.pieces
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await _carry_out((answer.wait,) if answer.wait else ())
    return await send({"type": "http.response.body", "body": last})


@lru_cache(_MOST_PATHS)
def answer_to(method: str, path: str) -> Answer:
    """Work out what a request takes; bad work and methods get their answers as well."""
    if method not in _METHODS:
        return _answer(405, f"{method} is not served here\n".encode())
    head = method == "HEAD"
    try:
        work = parse(path, settings.rates, _call)
        _check_units(work)
    except BadWorkError as error:
        return _answer(400, f"{error}\n".encode("latin-1", "replace"), head=head)
    return _answer(200, work.body, work, head=head)


def _check_units(work: Work) -> None:
    if settings.processes > 1 and any(step.kind is HOLD for step in work.steps):
        raise BadWorkError("a hold needs a single process: those of this server share no units")


def _answer(status: int, body: bytes, work: Work = _NO_WORK, *, head: bool = False) -> Answer:
    headers: Headers = (("Content-Type", "text/plain"), ("Content-Length", str(len(body))))
    if status == 405:
        headers += (("Allow", ", ".join(_METHODS)),)
    pieces: tuple[bytes, ...] = (b"" if head else body,)
    wait = None
    if work.drip and body and not head:
        size, wait = work.drip.piece_bytes, work.drip.wait
        pieces = tuple(body[at : at + size] for at in range(0, len(body), size))
    in_bytes = [(name.lower().encode(), value.encode()) for name, value in headers]
    line = f"{status} {HTTPStatus(status).phrase}"
    return Answer(work.steps, status, headers, pieces, wait, line, in_bytes)


def _dripped(pieces: Iterable[bytes], wait: Step) -> Iterator[bytes]:
    first, *rest = pieces
    yield first
    for piece in rest:
        wait.run()
        yield piece


async def _live(receive: Receive, send: Send) -> None:
    """Follow the server's start and end: there is nothing to do at either."""
    event = ""
    while event != "lifespan.shutdown":
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})


async def _carry_out(steps: Iterable[Step]) -> None:
    sleep, waits = _idiom()
    for step in steps:
        if step.kind is DELAY:
            await sleep(step.seconds)
        elif step.kind is HOLD:
            await waits.hold(step)
        elif step.kind is CALL:
            await waits.call(step)
        else:
            step.run()


@cache
def _idiom() -> tuple[Callable[[float], Awaitable[None]], _Waits]:
    """How the library whose task this is waits: a process has only one."""
    service = cast(Service, settings)  # of which the waits need the units and the upstream
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        import trio

        from servers.waits import trio_waits

        return trio.sleep, trio_waits.Waits(service)
    return asyncio.sleep, asyncio_waits.Waits(service)
