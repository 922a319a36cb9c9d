"""A trio task per document, in one nursery: it gives way at `await`."""

from collections.abc import Sequence

import trio

from clients.fetch.document import RECEIVE_BYTES, Document


def fetch(documents: Sequence[Document], timeout_s: float) -> None:
    """Fetch every document; give up on one of which nothing comes for `timeout_s`."""
    try:
        trio.run(_fetch_all, documents, timeout_s)
    except BaseExceptionGroup as group:  # a nursery wraps Ctrl-C as it wraps everything
        if group.subgroup(KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


async def _fetch_all(documents: Sequence[Document], timeout_s: float) -> None:
    async with trio.open_nursery() as nursery:
        for document in documents:
            nursery.start_soon(_fetch, document, timeout_s)


async def _fetch(document: Document, timeout_s: float) -> None:
    with document.fetching():
        try:
            with trio.fail_after(timeout_s) as patience:
                await _receive(document, patience, timeout_s)
        except trio.TooSlowError:
            raise TimeoutError from None
        except trio.BrokenResourceError as error:
            raise ConnectionError from error


async def _receive(document: Document, patience: trio.CancelScope, timeout_s: float) -> None:
    request = document.request
    async with await trio.open_tcp_stream(request.host, request.port) as stream:
        await stream.send_all(request.payload)
        while not document.receive(await stream.receive_some(RECEIVE_BYTES)):
            patience.deadline = trio.current_time() + timeout_s
