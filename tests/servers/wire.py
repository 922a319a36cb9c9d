"""What the suites say to a server and hear from it, byte by byte."""

import socket
from collections.abc import Iterable
from contextlib import suppress

REASONS = {
    200: "OK",
    400: "Bad Request",
    405: "Method Not Allowed",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
}


def get(path: str = "/", *headers: str, version: str = "1.1", method: str = "GET") -> bytes:
    """Return a request with a Host header and no body."""
    lines = [f"{method} {path} HTTP/{version}", "Host: a", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def reply(
    status: int = 200,
    body: bytes = b"done\n",
    *extra: str,
    length: int | None = None,
) -> bytes:
    """Return the reply that the contract asks for, written down here once more."""
    head = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        "Content-Type: text/plain",
        f"Content-Length: {len(body) if length is None else length}",
        *extra,
    ]
    return "".join(f"{line}\r\n" for line in [*head, ""]).encode() + body


def read_to_end(client: socket.socket) -> bytes:
    """Return all that a server still sends."""
    received = bytearray()
    while data := client.recv(1 << 16):
        received += data
    return bytes(received)


def read_exactly(client: socket.socket, count: int) -> bytes:
    """Return the next `count` bytes, or fewer if the server ends."""
    received = bytearray()
    while len(received) < count and (data := client.recv(count - len(received))):
        received += data
    return bytes(received)


def say(client: socket.socket, pieces: Iterable[bytes]) -> bytes:
    """Send pieces, end our side, and return all that comes back.

    A server that has closed answers what still comes with a reset; its last reply arrives first.
    """
    received = bytearray()
    with client:
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                client.sendall(piece)
            with suppress(OSError):  # the server may have closed already
                client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while data := client.recv(1 << 16):
                received += data
    return bytes(received)
