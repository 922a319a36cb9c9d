"""A task per document on asyncio's event loop: it gives way at `await`."""

import asyncio
from collections.abc import Sequence
from contextlib import closing

from clients.fetch.document import RECEIVE_BYTES, Document


def fetch(documents: Sequence[Document], timeout_s: float) -> None:
    """Fetch every document; give up on one of which nothing comes for `timeout_s`."""
    asyncio.run(_fetch_all(documents, timeout_s))


async def _fetch_all(documents: Sequence[Document], timeout_s: float) -> None:
    async with asyncio.TaskGroup() as tasks:
        for document in documents:
            tasks.create_task(_fetch(document, timeout_s))


async def _fetch(document: Document, timeout_s: float) -> None:
    request = document.request
    now_s = asyncio.get_running_loop().time
    with document.fetching():
        async with asyncio.timeout(timeout_s) as patience:
            reader, writer = await asyncio.open_connection(request.host, request.port)
            with closing(writer):
                writer.write(request.payload)
                while not document.receive(await reader.read(RECEIVE_BYTES)):
                    patience.reschedule(now_s() + timeout_s)
