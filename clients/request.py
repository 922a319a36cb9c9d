"""What is sent: a URL turned into an address and the bytes of requests. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from clients.draws import Distribution, parse_distribution, uniform
from clients.errors import LoadError

_HOST = re.compile(r"[!-~]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DRAWN = re.compile(r"~\w+\([^()]*\)")
_PATH_SAFE = "/%:=,~()!$&'*+;@-._"
# So many different requests are made of a URL that has a distribution in it; then they repeat.
DRAWN_REQUESTS = 10_000
LONGEST_DRAWN_S = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """Where requests go and their exact bytes; `to_head` when no body will follow the reply.

    There are several payloads where something is drawn for each: request k sends payload k.
    """

    host: str
    port: int
    payloads: tuple[bytes, ...]
    to_head: bool

    @property
    def payload(self) -> bytes:
        """The first of them."""
        return self.payloads[0]


def build_request(
    url: str,
    *,
    keep_alive: bool = True,
    method: str = "GET",
    headers: Sequence[str] = (),
    body: bytes | None = None,
    seed: int = 0,
) -> Request:
    """The request for an `http://` URL. Raises LoadError with what is wrong with what is asked.

    `headers` are lines like `Accept: text/plain`. Where the path or the query holds distributions
    (`/delay=~exp(20ms)`), a time is drawn for each request.
    """
    try:
        parts = urlsplit(url if _SCHEME.match(url) else f"http://{url}")
        port = parts.port if parts.port is not None else 80
    except ValueError as error:
        raise LoadError(f"cannot use the URL {url!r}: {error}") from None
    if parts.scheme != "http":
        raise LoadError(f"cannot use the URL {url!r}: only http:// is supported")
    if not parts.hostname or not 0 < port < 65_536:
        raise LoadError(f"cannot use the URL {url!r}: it needs a host and a port from 1 to 65535")
    if parts.username is not None:
        raise LoadError(
            f"cannot use the URL {url!r}: give a name and a password as a header, "
            "-H 'Authorization: Basic ...'"
        )
    if not _HOST.fullmatch(parts.hostname):
        raise LoadError(f"cannot use the URL {url!r}: the host must be plain ASCII without spaces")
    if not _TOKEN.fullmatch(method) or method == "CONNECT":
        raise LoadError(f"cannot use the method {method!r}")
    target = quote(parts.path or "/", safe=_PATH_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_PATH_SAFE + "?")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    lines = _header_lines(headers)
    if not any(line.lower().startswith("host:") for line in lines):
        lines.insert(0, f"Host: {host if port == 80 else f'{host}:{port}'}")
    if not keep_alive:
        lines.append("Connection: close")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    rest = "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + (body or b"")
    payloads = tuple(
        f"{method} {drawn} HTTP/1.1\r\n".encode("ascii") + rest for drawn in _drawn(target, seed)
    )
    return Request(parts.hostname, port, payloads, method == "HEAD")


def _header_lines(headers: Sequence[str]) -> list[str]:
    lines = []
    for line in headers:
        name, colon, value = line.partition(":")
        clean = value.strip(" \t")
        if not colon or not _TOKEN.fullmatch(name) or not _is_plain(clean):
            raise LoadError(f"cannot use the header {line!r}: write it as 'Name: value'")
        if name.lower() in ("content-length", "transfer-encoding", "connection"):
            raise LoadError(f"cannot use the header {line!r}: the generator sets it itself")
        lines.append(f"{name}: {clean}")
    return lines


def _is_plain(value: str) -> bool:
    return all((" " <= char <= "ÿ" and char != "\x7f") or char == "\t" for char in value)


def _drawn(target: str, seed: int) -> list[str]:
    """The target itself, or as many as are made of it, with a time for each distribution."""
    texts = _DRAWN.findall(target)
    if not texts:
        return [target]
    try:
        distributions = [parse_distribution(text) for text in texts]
    except ValueError as error:
        raise LoadError(f"cannot use the URL: {error}") from None
    pieces = _DRAWN.split(target)
    return [
        pieces[0]
        + "".join(
            _time(distribution, uniform(seed, index * len(texts) + place)) + piece
            for place, (distribution, piece) in enumerate(
                zip(distributions, pieces[1:], strict=True)
            )
        )
        for index in range(DRAWN_REQUESTS)
    ]


def _time(distribution: Distribution, u: float) -> str:
    """A time as a path names it, in whole us."""
    return f"{round(min(distribution.quantile(u), LONGEST_DRAWN_S) * 1e6)}us"
