"""A thread per document: each waits by itself, and the system decides which one runs."""

import threading
from collections.abc import Sequence

from clients.fetch.document import Document
from clients.fetch.sequential import fetch_one


def fetch(documents: Sequence[Document], timeout_s: float) -> None:
    """Fetch every document; give up on one of which nothing comes for `timeout_s`."""
    threads = []
    for document in documents:
        # A daemon: Ctrl-C need not wait for it.
        thread = threading.Thread(target=fetch_one, args=(document, timeout_s), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread left
            document.fail(error)
        else:
            threads.append(thread)
    for thread in threads:
        thread.join()
