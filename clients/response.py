"""Sans-I/O response framing: the bytes of one connection, cut into replies.

Must not know sockets, clocks or what a reply is for. The generator keeps one request outstanding
per connection, so at most one final reply is due at a time and bytes after it are an error.
Framing follows RFC 9112, section 6.3.
"""

from collections.abc import Callable
from dataclasses import dataclass

HEAD_LIMIT_BYTES = 65_536
_HEAD_MEMO_LIMIT = 64
_CHUNK_LINE_LIMIT_BYTES = 4_096
_HEX_DIGITS = b"0123456789abcdefABCDEF"
_BODILESS_STATUS = frozenset({204, 304})


class ProtocolError(Exception):
    """The peer sent bytes that are not the HTTP/1.x reply that is due."""


class TruncatedError(Exception):
    """The peer closed the connection before the reply was complete."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete final reply: status, whether the connection may be reused, sizes in bytes.

    `body` is None unless the framer was told to keep bodies.
    """

    status: int
    keep_alive: bool
    head_bytes: int
    body_bytes: int
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    keep_alive: bool
    content_length: int | None
    chunked: bool


_head_memo: dict[bytes, _Head] = {}


class ResponseFramer:
    """Cuts the bytes of one connection into replies, wherever the network split them.

    `to_head` says that the requests are HEAD requests, to which no body is sent.
    """

    __slots__ = (
        "_body",
        "_body_bytes",
        "_buffer",
        "_head",
        "_head_bytes",
        "_keep_body",
        "_left",
        "_step",
        "_to_head",
    )

    def __init__(self, *, keep_body: bool = False, to_head: bool = False) -> None:
        self._keep_body = keep_body
        self._to_head = to_head
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next bytes start a new reply."""
        self._buffer = b""
        self._start_reply()

    def feed(self, data: bytes) -> Reply | None:
        """Take the next bytes; give the reply when it is complete, None while it is not.

        Raises ProtocolError on bytes that are no HTTP/1.x reply, or that follow a complete one.
        """
        self._buffer = self._buffer + data if self._buffer else data
        while self._step():
            if self._step == self._finished:
                return self._take_reply()
        return None

    def end(self) -> Reply:
        """Take the end of the stream: completes a close-delimited reply.

        Raises TruncatedError where the framing says that more was to come.
        """
        if self._step == self._until_close:
            return self._take_reply()
        raise TruncatedError("the connection was closed before the reply was complete")

    def take_body(self) -> bytes:
        """Give what has come of a body that is kept; `body` of the reply will be the rest of it."""
        taken = bytes(self._body)
        self._body.clear()
        return taken

    def _start_reply(self) -> None:
        self._step: Callable[[], bool] = self._in_head
        self._head: _Head | None = None
        self._head_bytes = 0
        self._body = bytearray()
        self._body_bytes = 0
        self._left = 0

    def _take_reply(self) -> Reply:
        head = self._head
        assert head is not None
        if self._buffer:
            raise ProtocolError(f"{len(self._buffer)} bytes follow the complete reply")
        reply = Reply(
            head.status,
            head.keep_alive and self._step == self._finished,
            self._head_bytes,
            self._body_bytes,
            bytes(self._body) if self._keep_body else None,
        )
        self._start_reply()
        return reply

    # Each step consumes from the buffer and returns True when the next step may run.

    def _in_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        raw = self._buffer if end < 0 else self._buffer[: end + 4]
        _check_start(raw)
        if end < 0:
            return False
        self._buffer = self._buffer[len(raw) :]
        head = _parse_head_memoised(raw)
        if 100 <= head.status < 200:
            if head.status == 101:
                raise ProtocolError("the server switched protocols though nobody asked it to")
            return bool(self._buffer)
        self._head, self._head_bytes = head, len(raw)
        self._step = self._body_step(head)
        return True

    def _body_step(self, head: _Head) -> Callable[[], bool]:
        if self._to_head or head.status in _BODILESS_STATUS:
            return self._finished
        if head.chunked:
            return self._chunk_size
        if head.content_length is None:
            return self._until_close
        self._left = head.content_length
        return self._counted

    def _counted(self) -> bool:
        if self._take_body():
            self._step = self._finished
        return self._step == self._finished

    def _until_close(self) -> bool:
        self._left = len(self._buffer)
        self._take_body()
        return False

    def _chunk_size(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        digits = line.split(b";", 1)[0].strip(b" \t")
        if not 0 < len(digits) <= 15 or digits.strip(_HEX_DIGITS):
            raise ProtocolError(f"bad chunk size {line[:40]!r}")
        self._left = int(digits, 16)
        self._step = self._chunk_data if self._left else self._trailers
        return True

    def _chunk_data(self) -> bool:
        if self._take_body():
            self._step = self._chunk_end
            return True
        return False

    def _chunk_end(self) -> bool:
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise ProtocolError("a chunk is longer than its size says")
        self._buffer = self._buffer[2:]
        self._step = self._chunk_size
        return True

    def _trailers(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        if not line:
            self._step = self._finished
        return True

    def _finished(self) -> bool:
        return True

    def _take_line(self) -> bytes | None:
        line, found, rest = self._buffer.partition(b"\r\n")
        if len(line) > _CHUNK_LINE_LIMIT_BYTES:
            raise ProtocolError("a line of the chunked body does not end")
        if not found:
            return None
        self._buffer = rest
        return line

    def _take_body(self) -> bool:
        """Consume up to `_left` body bytes; True when none is missing any more."""
        piece = self._buffer[: self._left]
        self._buffer = self._buffer[len(piece) :]
        self._left -= len(piece)
        self._body_bytes += len(piece)
        if self._keep_body:
            self._body += piece
        return self._left == 0


def _check_start(buffer: bytes) -> None:
    """Raise as soon as the first bytes of a head, or all of it, cannot be one."""
    if not b"HTTP/1.".startswith(buffer[:7]) and not buffer.startswith(b"HTTP/1."):
        raise ProtocolError(f"expected an HTTP/1.x status line, got {buffer[:40]!r}")
    if len(buffer) > HEAD_LIMIT_BYTES:
        raise ProtocolError(f"the head of the reply exceeds {HEAD_LIMIT_BYTES} bytes")


def _parse_head_memoised(raw: bytes) -> _Head:
    head = _head_memo.get(raw)
    if head is None:
        head = _parse_head(raw)
        if len(_head_memo) >= _HEAD_MEMO_LIMIT:
            _head_memo.clear()
        _head_memo[raw] = head
    return head


def _parse_head(raw: bytes) -> _Head:
    status_line, *lines = raw[:-4].split(b"\r\n")
    version, _, rest = status_line.partition(b" ")
    code = rest[:3]
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(code) != 3 or not code.isdigit():
        raise ProtocolError(f"expected an HTTP/1.x status line, got {status_line[:40]!r}")
    if rest[3:4] not in (b"", b" ") or code < b"100":
        raise ProtocolError(f"bad status in {status_line[:40]!r}")
    fields = _fields(lines)
    chunked = (
        fields.get(b"transfer-encoding", b"").lower().rsplit(b",", 1)[-1].strip() == b"chunked"
    )
    if b"transfer-encoding" in fields and not chunked:
        raise ProtocolError("the transfer coding does not end in chunked")
    length = None if chunked else _content_length(fields)
    tokens = {t.strip() for t in fields.get(b"connection", b"").lower().split(b",")}
    keep_alive = b"close" not in tokens and (version == b"HTTP/1.1" or b"keep-alive" in tokens)
    return _Head(int(code), keep_alive, length, chunked)


def _fields(lines: list[bytes]) -> dict[bytes, bytes]:
    """Header fields by lower-case name; repeated ones joined by commas (RFC 9110, 5.3)."""
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name[-1:] in b" \t" or name[:1] in b" \t":
            raise ProtocolError(f"bad header line {line[:40]!r}")
        key, value = name.lower(), value.strip(b" \t")
        fields[key] = fields[key] + b"," + value if key in fields else value
    return fields


def _content_length(fields: dict[bytes, bytes]) -> int | None:
    if b"content-length" not in fields:
        return None
    values = {v.strip() for v in fields[b"content-length"].split(b",")}
    value = values.pop()
    if values or not value.isdigit() or len(value) > 18:
        raise ProtocolError(f"bad Content-Length {fields[b'content-length'][:40]!r}")
    return int(value)
