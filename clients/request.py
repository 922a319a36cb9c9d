"""What is sent: a URL turned into an address and the bytes of one request. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from clients.errors import LoadError

_HOST = re.compile(r"[!-~]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Request:
    """Where one request goes and its exact bytes; `to_head` when no body will follow the reply."""

    host: str
    port: int
    payload: bytes
    to_head: bool


def build_request(url: str, *, keep_alive: bool = True, method: str = "GET") -> Request:
    """The request for an `http://` URL. Raises LoadError with what is wrong with the URL."""
    try:
        parts = urlsplit(url if _SCHEME.match(url) else f"http://{url}")
        port = parts.port if parts.port is not None else 80
    except ValueError as error:
        raise LoadError(f"cannot use the URL {url!r}: {error}") from None
    if parts.scheme != "http":
        raise LoadError(f"cannot use the URL {url!r}: only http:// is supported")
    if not parts.hostname or not 0 < port < 65_536:
        raise LoadError(f"cannot use the URL {url!r}: it needs a host and a port from 1 to 65535")
    if not _HOST.fullmatch(parts.hostname):
        raise LoadError(f"cannot use the URL {url!r}: the host must be plain ASCII without spaces")
    target = quote(parts.path or "/", safe="/%:=,~()!$&'*+;@-._")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:=,~()!$&'*+;@-._?")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    authority = host if port == 80 else f"{host}:{port}"
    closing = "" if keep_alive else "Connection: close\r\n"
    head = f"{method} {target} HTTP/1.1\r\nHost: {authority}\r\n{closing}\r\n"
    return Request(parts.hostname, port, head.encode("ascii"), method == "HEAD")
