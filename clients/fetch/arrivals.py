"""In which order the pieces of several documents came, and how interleaved that order is."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Piece:
    """What one read gave of a document's body, and when: since the start of all."""

    at_s: float
    document: int
    size_bytes: int


class Arrivals:
    """The pieces of all documents as they came. Its clock starts with it; threads may share it."""

    def __init__(
        self,
        on_piece: Callable[[Piece], None] | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pieces: list[Piece] = []
        self._on_piece = on_piece
        self._clock_s = clock_s
        self._start_s = clock_s()
        self._lock = threading.Lock()

    def now_s(self) -> float:
        """Seconds since the start."""
        return self._clock_s() - self._start_s

    def add(self, document: int, size_bytes: int) -> Piece:
        """Note that a piece of this document has just come."""
        with self._lock:
            piece = Piece(self.now_s(), document, size_bytes)
            self.pieces.append(piece)
            if self._on_piece:
                self._on_piece(piece)
        return piece


@dataclass(frozen=True, slots=True)
class Interleaving:
    """How often the next piece was of another document, and how often it could have been.

    The least is what a client has to do that takes one document after another.
    """

    switches: int
    least: int
    most: int

    @property
    def share(self) -> float | None:
        """From 0, one document after another, to 1; None where there was no other way."""
        if self.most == self.least:
            return None
        return (self.switches - self.least) / (self.most - self.least)


def interleaving(documents: Sequence[int]) -> Interleaving:
    """The interleaving of pieces, told the document of each in the order in which they came.

    The pieces of the longest document have gaps between them, and one at either end. A piece of
    another one in a gap makes two switches at most, and no order has more switches than gaps.
    """
    pieces = Counter(documents)
    if not pieces:
        return Interleaving(0, 0, 0)
    total, longest = pieces.total(), max(pieces.values())
    return Interleaving(
        switches=sum(one != other for one, other in pairwise(documents)),
        least=len(pieces) - 1,
        most=min(total - 1, 2 * (total - longest)),
    )
