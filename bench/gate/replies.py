"""Do both sides answer alike? Some replies of each, looked at before anything is measured.

What makes a good reply beyond its status is the user's to say; but a head that sends nothing where
base sends something does other work, and is not to be called fast.
"""

import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

ASKED = 3
READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Reply:
    """The status of a reply, and how long its body is."""

    status: int
    body_bytes: int


def replies_from(url: str, timeout_s: float) -> list[Reply]:
    """Some replies to a URL, one after the other; none where one does not come in time."""
    try:
        return [_reply_from(url, timeout_s) for _ in range(ASKED)]
    except (OSError, http.client.HTTPException):
        return []


def common_status(replies: Sequence[Reply]) -> int | None:
    """The status that all of them have, if it says success."""
    found = {reply.status for reply in replies}
    return found.pop() if len(found) == 1 and 200 <= min(found) < 400 else None


def is_empty_only_in_head(base: Sequence[Reply], head: Sequence[Reply]) -> bool:
    """Whether head always sends an empty body, and base never does."""
    return bool(
        base
        and head
        and all(reply.body_bytes for reply in base)
        and not any(reply.body_bytes for reply in head)
    )


def difference(base: Sequence[Reply], head: Sequence[Reply]) -> str | None:
    """How the replies of the two differ, where those of each are alike."""
    ours, theirs = set(base), set(head)
    if len(ours) != 1 or len(theirs) != 1 or ours == theirs:
        return None
    (one,), (other,) = ours, theirs
    if one.status != other.status:
        return f"head answers with status {other.status}, base with {one.status}"
    return f"head's replies have {other.body_bytes} bytes of body, base's {one.body_bytes}"


def _reply_from(url: str, timeout_s: float) -> Reply:
    parts, deadline_s = urlsplit(url), time.monotonic() + timeout_s
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", url[url.index(parts.netloc) + len(parts.netloc) :])
        reply, size = connection.getresponse(), 0
        while piece := reply.read1(READ_BYTES):
            size += len(piece)
            if time.monotonic() > deadline_s:
                raise TimeoutError
        return Reply(reply.status, size)
    finally:
        connection.close()
