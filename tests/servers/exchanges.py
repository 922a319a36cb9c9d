"""The exchanges that every model must answer alike: what is sent, what comes back."""

from dataclasses import dataclass

from tests.servers.wire import get, reply

CLOSE = "Connection: close"
KEEP = "Connection: keep-alive"
ALLOW = "Allow: GET, HEAD, POST"
CHUNKED = "Transfer-Encoding: chunked"
SIZE = "a whole number of bytes, KiB or MiB"
TIME = "is not a time: a number with us, ms or s, such as 20ms"
STEPS = "a path is made of delay, call, hold, block, spin, hash, body, drip"


@dataclass(frozen=True)
class Case:
    """Bytes sent in one go, and the replies: (status, body, extra header lines...)."""

    name: str
    sent: bytes
    replies: tuple[bytes, ...]


def ok(name: str, sent: bytes, *replies: bytes) -> Case:
    """An exchange after which the connection stays open."""
    return Case(name, sent, replies or (reply(),))


def asks_badly(path: str, reason: str) -> Case:
    """Work that does not exist: said in the body, and the connection stays."""
    return Case(f"bad work {path}", get(path), (reply(400, f"{reason}\n".encode()),))


def malformed(name: str, sent: bytes, reason: str) -> Case:
    """What is not HTTP/1.1: said in the body, and the connection ends."""
    return Case(name, sent, (reply(400, f"this is not HTTP/1.1: {reason}\n".encode(), CLOSE),))


def refused(name: str, sent: bytes, status: int, reason: str) -> Case:
    """HTTP/1.1 that cannot be served: said in the body, and the connection ends."""
    return Case(name, sent, (reply(status, f"{reason}\n".encode(), CLOSE),))


def post(*headers: str, body: bytes = b"", version: str = "1.1") -> bytes:
    """Return a POST request."""
    return get("/", *headers, method="POST", version=version) + body


BODY_LIMIT = "the body is too long; at most 1048576 bytes"
HEAD_LIMIT = "the header section is too long; at most 16384 bytes"
TARGET_LIMIT = "the target is too long; at most 8192 bytes"
UNKNOWN_X = f"unknown step 'x'; {STEPS}\n".encode()
NOT_ALLOWED = b"%b is not served here\n"

WELL_FORMED = (
    ok("nothing to do", get()),
    ok("two pipelined", get() * 2, reply(), reply()),
    ok("steps in order", get("/delay=1ms/spin=10us/block=1ms/hold=1ms/hash=10us")),
    ok("zero times", get("/delay=0ms/spin=0us/block=0s/hold=0us")),
    ok("a body in pieces", get("/body=10/drip=4x1ms"), reply(200, b"x" * 10)),
    ok(
        "a body in pieces, then close",
        get("/body=9/drip=3x1ms", CLOSE),
        reply(200, b"x" * 9, CLOSE),
    ),
    ok("two in pieces, pipelined", get("/drip=1x1ms") * 2, reply(), reply()),
    ok(
        "HEAD of a body in pieces",
        get("/body=10/drip=4x1ms", method="HEAD"),
        reply(200, b"", length=10),
    ),
    ok("a body by size", get("/body=10"), reply(200, b"x" * 10)),
    ok("a body in KiB", get("/delay=1ms/body=2KiB"), reply(200, b"x" * 2048)),
    ok("an empty body", get("/body=0"), reply(200, b"")),
    ok("a body of 1 MiB", get("/body=1MiB"), reply(200, b"x" * (1 << 20))),
    ok("an absolute target", get("http://a:1/body=1"), reply(200, b"x")),
    ok("an absolute target without a path", get("http://a")),
    ok("HEAD", get("/body=10", method="HEAD"), reply(200, b"", length=10)),
    ok("HEAD for bad work", get("/x", method="HEAD"), reply(400, b"", length=len(UNKNOWN_X))),
    ok("GET after HEAD", get(method="HEAD") + get(), reply(200, b"", length=5), reply()),
    ok("POST with a length", post("Content-Length: 3", body=b"abc") + get(), reply(), reply()),
    ok("POST of nothing", post("Content-Length: 0") + get(), reply(), reply()),
    ok("POST without a length", post() + get(), reply(), reply()),
    ok("GET with a body", get("/", "Content-Length: 3") + b"abc" + get(), reply(), reply()),
    ok(
        "POST in chunks, with an extension and a trailer",
        post(CHUNKED, body=b"3;x=y\r\nabc\r\n10\r\n" + b"d" * 16 + b"\r\n0\r\nHost: t\r\n\r\n")
        + get(),
        reply(),
        reply(),
    ),
    ok("a body at its limit", post(f"Content-Length: {1 << 20}", body=bytes(1 << 20))),
    ok(
        "Expect",
        post("Content-Length: 3", "Expect: 100-continue", body=b"abc"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + reply(),
    ),
    ok("Expect without a body", get("/", "Expect: 100-continue")),
    ok("close", get("/", CLOSE), reply(200, b"done\n", CLOSE)),
    ok("close, and bytes that follow", get("/", CLOSE) + get(), reply(200, b"done\n", CLOSE)),
    ok("close among tokens", get("/", "Connection: x, Close"), reply(200, b"done\n", CLOSE)),
    ok("a token of no meaning", get("/", "Connection: x") * 2, reply(), reply()),
    ok("HTTP/1.0", get(version="1.0") * 2, reply(200, b"done\n", CLOSE)),
    ok("HTTP/1.0 without a host", b"GET / HTTP/1.0\r\n\r\n", reply(200, b"done\n", CLOSE)),
    ok(
        "HTTP/1.0 kept alive",
        get("/", KEEP, version="1.0") * 2,
        reply(200, b"done\n", KEEP),
        reply(200, b"done\n", KEEP),
    ),
    ok("blank lines first", b"\r\n\r\n" + get()),
    ok("an upgrade, ignored", get("/", "Connection: upgrade", "Upgrade: x") * 2, reply(), reply()),
    ok(
        "an upgrade with a body, whose end is not known",
        post("Connection: upgrade", "Upgrade: x", "Content-Length: 3", body=b"abc"),
        reply(200, b"done\n", CLOSE),
    ),
    ok("a header at half the limit", get("/", "X: " + "x" * 8192)),
)

UNSERVED = (
    asks_badly("/sleep=1ms", f"unknown step 'sleep=1ms'; {STEPS}"),
    asks_badly("/delay=1ms/", f"unknown step ''; {STEPS}"),
    asks_badly("/DELAY=1ms", f"unknown step 'DELAY=1ms'; {STEPS}"),
    asks_badly("/delay", f"'' {TIME}"),
    asks_badly("/delay=20", f"'20' {TIME}"),
    asks_badly("/delay=20m", f"'20m' {TIME}"),
    asks_badly("/delay=-1ms", f"'-1ms' {TIME}"),
    asks_badly("/delay=nans", f"'nans' {TIME}"),
    asks_badly("/delay=1ms?x", f"'1ms?x' {TIME}"),
    asks_badly("/delay=61s", "delay=61s is too long; a step takes at most 60s"),
    asks_badly("/body=1ms", f"'1ms' is not a size: {SIZE}"),
    asks_badly("/body=0.3", "'0.3' is not a whole number of bytes"),
    asks_badly("/body=17MiB", "body=17MiB is too large; a reply has at most 16MiB"),
    asks_badly("/body=1/body=1", "body is given twice; a reply has one"),
    asks_badly("/call=1ms", "call=1ms asks an upstream, and this server has none (--upstream)"),
    asks_badly("/drip=1", "drip=1 is not a size and a time, such as 1KiBx20ms"),
    asks_badly("*", f"unknown step '*'; {STEPS}"),
    ok(
        "bad work, then good",
        get("/x") + get(),
        reply(400, UNKNOWN_X),
        reply(),
    ),
    *(
        ok(
            method,
            get(method=method) + get(),
            reply(405, NOT_ALLOWED % method.encode(), ALLOW),
            reply(),
        )
        for method in ("PUT", "DELETE", "OPTIONS", "TRACE")
    ),
    ok(
        "PUT has its body drained",
        get("/", "Content-Length: 3", method="PUT") + b"abc" + get(),
        reply(405, NOT_ALLOWED % b"PUT", ALLOW),
        reply(),
    ),
    ok(
        "CONNECT",
        get("a:80", method="CONNECT") + b"xyz",
        reply(405, NOT_ALLOWED % b"CONNECT", ALLOW, CLOSE),
    ),
)

MALFORMED = (
    malformed(
        "garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "Invalid method encountered"
    ),
    malformed("an unknown method", get(method="FOO"), "Invalid method encountered"),
    Case(
        "garbage after a good request",
        get() + b"garbage\r\n\r\n",
        (reply(), reply(400, b"this is not HTTP/1.1: Invalid method encountered\n", CLOSE)),
    ),
    refused("HTTP/0.9", b"GET /\r\n\r\n", 400, "HTTP/0.9 is not served here; use HTTP/1.1"),
    refused("HTTP/2.0", get(version="2.0"), 400, "HTTP/2.0 is not served here; use HTTP/1.1"),
    malformed("HTTP/3.7", get(version="3.7"), "Invalid HTTP version"),
    malformed("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "Pause on PRI/Upgrade"),
    refused("no host", b"GET / HTTP/1.1\r\n\r\n", 400, "0 Host headers; a request has exactly one"),
    refused("two hosts", get("/", "Host: b"), 400, "2 Host headers; a request has exactly one"),
    malformed("a bare CR", get("/", "X: a\rb"), "Missing expected LF after header value"),
    malformed("bare LFs", b"GET / HTTP/1.1\nHost: a\n\n", "Expected CRLF after version"),
    malformed("NUL in a header", get("/", "X: a\0b"), "Invalid header value char"),
    malformed("NUL in the target", get("/\0"), "Invalid char in url path"),
    malformed(
        "a folded header", get("/", "X: a", " b"), "Unexpected whitespace after header value"
    ),
    malformed("a space before the colon", get("/", "X : a"), "Invalid header token"),
    malformed("a header without a name", get("/", ": a"), "Invalid header token"),
    malformed(
        "two lengths", post("Content-Length: 3", "Content-Length: 4"), "Duplicate Content-Length"
    ),
    malformed(
        "a negative length", post("Content-Length: -1"), "Invalid character in Content-Length"
    ),
    malformed("an endless length", post("Content-Length: " + "9" * 30), "Content-Length overflow"),
    malformed(
        "a length and chunks",
        post("Content-Length: 3", CHUNKED),
        "Transfer-Encoding can't be present with Content-Length",
    ),
    malformed(
        "chunks and a length",
        post(CHUNKED, "Content-Length: 3"),
        "Content-Length can't be present with Transfer-Encoding",
    ),
    malformed(
        "an unknown encoding",
        post("Transfer-Encoding: gzip", body=b"abc"),
        "Request has invalid `Transfer-Encoding`",
    ),
    malformed("an endless chunk", post(CHUNKED, body=b"f" * 17 + b"\r\n"), "Chunk size overflow"),
    malformed(
        "a chunk of no size", post(CHUNKED, body=b"x\r\n"), "Invalid character in chunk size"
    ),
    refused("a long target", get("/" + "x" * 8192), 414, TARGET_LIMIT),
    refused("a long header", get("/", "X: " + "x" * 16384), 431, HEAD_LIMIT),
    refused("many headers", get("/", *["X: " + "x" * 96] * 164), 431, HEAD_LIMIT),
    refused(
        "a long trailer",
        post(CHUNKED, body=b"0\r\nX: " + b"x" * 16384 + b"\r\n\r\n"),
        431,
        HEAD_LIMIT,
    ),
    refused("a header of 1 MiB", get("/", "X: " + "x" * (1 << 20)), 431, HEAD_LIMIT),
    refused("a header that never ends", get()[:-2] + b"X: " + b"x" * (1 << 20), 431, HEAD_LIMIT),
    refused("a long body by length", post(f"Content-Length: {(1 << 20) + 1}"), 413, BODY_LIMIT),
    refused(
        "a long body in chunks",
        post(CHUNKED, body=b"100001\r\n" + bytes((1 << 20) + 1) + b"\r\n0\r\n\r\n"),
        413,
        BODY_LIMIT,
    ),
)

CASES = (*WELL_FORMED, *UNSERVED, *MALFORMED)
