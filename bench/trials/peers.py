"""The least that an ASGI and a WSGI application can do, for the production servers."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

BODY = b"ok\n"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
WSGI_HEADERS = [(name.decode(), value.decode()) for name, value in HEADERS]


async def asgi(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:  # noqa: ARG001
    """Answer every HTTP request with BODY."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


def wsgi(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:  # noqa: ARG001
    """Answer every request with BODY."""
    start_response("200 OK", WSGI_HEADERS)
    return [BODY]
