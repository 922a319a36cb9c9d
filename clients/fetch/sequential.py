"""One document after another: the program waits wherever a server keeps it waiting."""

import socket
from collections.abc import Sequence

from clients.fetch.document import RECEIVE_BYTES, Document


def fetch(documents: Sequence[Document], timeout_s: float) -> None:
    """Fetch every document; give up on one of which nothing comes for `timeout_s`."""
    for document in documents:
        fetch_one(document, timeout_s)


def fetch_one(document: Document, timeout_s: float) -> None:
    """Fetch one document on a blocking socket."""
    request = document.request
    with (
        document.fetching(),
        socket.create_connection((request.host, request.port), timeout_s) as sock,
    ):
        sock.sendall(request.payload)
        while not document.receive(sock.recv(RECEIVE_BYTES)):
            pass
