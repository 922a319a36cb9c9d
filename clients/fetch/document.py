"""One document on its way: what is sent for it, what has come, and why it failed if it did.

Knows no sockets: a client connects, sends `request.payload` and hands over what it receives.
"""

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager

from clients.errors import LoadError
from clients.fetch.arrivals import Arrivals
from clients.request import Request, build_request
from clients.response import ProtocolError, ResponseFramer, TruncatedError

RECEIVE_BYTES = 65_536


class StatusError(Exception):
    """The server sent something else than the document."""


FAILURES = (OSError, ProtocolError, TruncatedError, StatusError)
"""What may go wrong with one document and leaves the others alone."""


class Document:
    """One document of those to fetch, counted from 1.

    `failure` is None once all of it has come. Seconds count from when the client turned to it,
    except `ended_s`, which counts from the start of all. Raises LoadError for a bad URL.
    """

    def __init__(self, number: int, url: str, arrivals: Arrivals) -> None:
        self.number, self.url = number, url
        self.request = _request(url)
        self.failure: str | None = "not fetched"
        self.pieces = self.size_bytes = 0
        self.first_piece_s: float | None = None
        self.total_s = self.ended_s = 0.0
        self._begun_s = 0.0
        self._arrivals = arrivals
        self._framer = ResponseFramer(keep_body=True)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """The text, as far as it has come."""
        return "".join(self._texts)

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """The time in which a client fetches it. One of FAILURES ends it, and is noted."""
        self._begun_s = self._arrivals.now_s()
        try:
            yield
        except FAILURES as error:
            self.fail(error)
        self._texts.append(self._decoder.decode(b"", final=True))
        self.ended_s = self._arrivals.now_s()
        self.total_s = self.ended_s - self._begun_s

    def receive(self, data: bytes) -> bool:
        """Take what has come, nothing at the end of the stream; True once the document is complete.

        Raises ProtocolError, TruncatedError or StatusError.
        """
        reply = self._framer.feed(data) if data else self._framer.end()
        if piece := self._framer.take_body() if reply is None else reply.body:
            self._add(piece)
        if reply is None:
            return False
        if reply.status != 200:
            raise StatusError(f"status {reply.status}")
        self.failure = None
        return True

    def fail(self, error: Exception) -> None:
        """Note why it could not be fetched, unless it is complete already."""
        if self.failure is not None:
            self.failure = reason(error)

    def _add(self, piece: bytes) -> None:
        at_s = self._arrivals.add(self.number, len(piece)).at_s
        if self.first_piece_s is None:
            self.first_piece_s = at_s - self._begun_s
        self.pieces += 1
        self.size_bytes += len(piece)
        self._texts.append(self._decoder.decode(piece))


def _request(url: str) -> Request:
    request = build_request(url, keep_alive=False)
    try:
        request.host.encode("idna")
    except UnicodeError:
        raise LoadError(f"cannot use the URL {url!r}: no host has such a name") from None
    return request


def reason(error: BaseException) -> str:
    """Why it failed, in the same words whichever library it was that raised the error."""
    while isinstance(error.__cause__, Exception):  # the system's own error, which was wrapped
        error = error.__cause__
    if isinstance(error, ExceptionGroup):  # one for each address of the host
        return reason(error.exceptions[0])
    if not isinstance(error, OSError):
        return str(error)
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    if isinstance(error, TimeoutError):
        return "nothing came within --timeout"
    return error.strerror or str(error)
