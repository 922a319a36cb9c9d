"""An HTTP/1.1 connection without its socket: bytes in, exchanges out.

Knows nothing of sockets, clocks or models. llhttp, through httptools, parses every request; the
rules here are those that it leaves open: which versions and hosts are accepted, how large a
request may be, and which errors end the connection.
"""

from collections.abc import Iterator
from typing import Any, Final

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from servers.core.limits import Limits
from servers.core.replies import CLOSE, CONTINUE, KEEP, KEEP_1_0, Catalogue, Exchange, refusal

_NOTED: Final = {b"connection", b"content-length", b"expect", b"transfer-encoding", b"upgrade"}
_SLACK_BYTES: Final = 64 * 1024


class _RefusedError(Exception):
    """A request that cannot be answered, nor read to its end: (status, reason)."""


class Connection:
    """The server's side of one connection.

    `waiting`: the driver waits for bytes; False while it works on exchanges.
    `partial`: bytes have come for a request that is not complete.
    `requests`: how many were complete so far.
    `unread`: the connection ends while the client may still be sending, so a plain close could
    destroy the last reply on its way.
    The methods named on_... are called by httptools alone.
    """

    __slots__ = (
        "_body_bytes",
        "_catalogue",
        "_closing",
        "_connection",
        "_head_bytes",
        "_hosts",
        "_keep_alive",
        "_limits",
        "_noted",
        "_parser",
        "_ready",
        "_silent_bytes",
        "_target",
        "partial",
        "requests",
        "unread",
        "waiting",
    )

    def __init__(self, catalogue: Catalogue, limits: Limits, *, keep_alive: bool = True) -> None:
        self._catalogue = catalogue
        self._limits = limits
        self._keep_alive = keep_alive
        self._parser: Any = HttpRequestParser(self)
        self._ready: list[Exchange] = []
        self._noted: dict[bytes, bytes] | None = None
        self._connection = CLOSE
        self._closing = False
        self._silent_bytes = 0
        self.waiting = True
        self.partial = False
        self.unread = False
        self.requests = 0

    def receive(self, data: bytes) -> Iterator[Exchange]:
        """Take what the client sent and yield, in order, what to do about it.

        An exchange with `close` set is the last; whatever follows it is ignored. Never raises.
        """
        self.waiting = False
        self._feed(data)
        if not self._ready:
            self._note_silence(len(data))
        ready, self._ready = self._ready, []
        if self._closing:
            self._parser = None  # it refers to this object: together they are a cycle
        yield from ready
        self.waiting = True

    def _feed(self, data: bytes) -> None:
        while not self._closing:
            try:
                self._parser.feed_data(data)
                return
            except HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]  # ignored: the rest is read as further requests
                self.unread = self._closing
            except HttpParserError as error:
                self._fail(error)

    def _fail(self, error: HttpParserError) -> None:
        self.unread = True
        if self._closing:
            return
        cause = error.__context__
        if isinstance(error, HttpParserCallbackError) and isinstance(cause, _RefusedError):
            self._refuse(*cause.args)
        else:
            self._refuse(400, f"this is not HTTP/1.1: {error}")

    def _refuse(self, status: int, reason: str) -> None:
        self._closing = self.unread = True
        self._ready.append(refusal(status, reason))

    def _note_silence(self, data_bytes: int) -> None:
        """Count bytes that complete nothing: an endless header line raises no event at all.

        A large piece may hold progress as well, so it counts as no more than the slack.
        """
        self.partial = True
        self._silent_bytes += min(data_bytes, _SLACK_BYTES)
        if self._silent_bytes > self._limits.head_bytes + _SLACK_BYTES and not self._closing:
            self._refuse(431, self._head_too_long())

    def _body_too_long(self) -> str:
        return f"the body is too long; at most {self._limits.body_bytes} bytes"

    def _head_too_long(self) -> str:
        return f"the header section is too long; at most {self._limits.head_bytes} bytes"

    def on_message_begin(self) -> None:
        """Start a request."""
        if self._closing:
            self.unread = True
        self.partial = True
        self._target = b""
        self._hosts = self._head_bytes = self._body_bytes = self._silent_bytes = 0
        self._noted = None

    def on_url(self, fragment: bytes) -> None:
        """Collect the target, which may come in fragments."""
        self._target += fragment

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note the few headers that matter."""
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._limits.head_bytes:
            raise _RefusedError(431, self._head_too_long())
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name in _NOTED:
            if self._noted is None:
                self._noted = {}
            self._noted[name] = value

    def on_headers_complete(self) -> None:
        """Decide, before any body comes, whether and how the request is served."""
        # Not before: what is said of a bad target must not depend on where it was cut.
        if len(self._target) > self._limits.target_bytes:
            raise _RefusedError(
                414, f"the target is too long; at most {self._limits.target_bytes} bytes"
            )
        # Only HTTP/1.1 stays alive without a header that says so: nothing is left to check.
        if self._hosts == 1 and self._noted is None and self._parser.should_keep_alive():
            self._connection = KEEP if self._keep_alive else CLOSE
        elif not self._closing:
            self._check_head(self._parser.get_http_version(), self._noted or {})

    def _check_head(self, version: str, noted: dict[bytes, bytes]) -> None:
        if version not in ("1.0", "1.1"):
            raise _RefusedError(400, f"HTTP/{version} is not served here; use HTTP/1.1")
        if self._hosts > 1 or (self._hosts == 0 and version == "1.1"):
            raise _RefusedError(400, f"{self._hosts} Host headers; a request has exactly one")
        length = int(noted.get(b"content-length", 0))
        if length > self._limits.body_bytes:
            raise _RefusedError(413, self._body_too_long())
        has_body = length > 0 or b"transfer-encoding" in noted
        if has_body and version == "1.1" and noted.get(b"expect", b"").lower() == b"100-continue":
            self._ready.append(CONTINUE)
        if has_body and b"upgrade" in noted:
            self._keep_alive = False  # llhttp takes the body for the new protocol
        if not self._keep_alive or not self._parser.should_keep_alive():
            self._connection = CLOSE
        else:
            self._connection = KEEP if version == "1.1" else KEEP_1_0

    def on_chunk_header(self) -> None:
        """Count a chunk as progress."""
        self._silent_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Drain the body."""
        self._silent_bytes = 0
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            raise _RefusedError(413, self._body_too_long())

    def on_message_complete(self) -> None:
        """Answer the request."""
        self.partial = False
        if self._closing:
            return
        self.requests += 1
        exchanges = self._catalogue.exchanges(
            self._parser.get_method(), self._target, self._connection
        )
        self._ready += exchanges
        self._closing = exchanges[-1].close
