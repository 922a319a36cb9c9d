"""What a fetch came to, in figures for scripts and in words for a terminal. Pure."""

from collections.abc import Sequence
from typing import Any

from clients.fetch.arrivals import Piece, interleaving
from clients.fetch.document import Document

_ROW = "{:>10} {:>10} {:>12} {:>8} {:>13} {:>11}"
_HEADINGS = ("document", "bytes", "characters", "pieces", "first piece", "total")


def in_figures(
    documents: Sequence[Document],
    pieces: Sequence[Piece],
    *,
    with_pieces: bool = False,
    with_texts: bool = False,
) -> dict[str, Any]:
    """The outcome as JSON has it; pieces are [seconds since the start, document, bytes]."""
    order = interleaving([piece.document for piece in pieces])
    figures: dict[str, Any] = {
        "documents": [_document(document, with_texts) for document in documents],
        "total_s": max(document.ended_s for document in documents),
        "switches": order.switches,
        "switches_least": order.least,
        "switches_most": order.most,
        "interleaved": order.share,
    }
    if with_pieces:
        figures["pieces"] = [[piece.at_s, piece.document, piece.size_bytes] for piece in pieces]
    return figures


def _document(document: Document, with_text: bool) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "number": document.number,
        "url": document.url,
        "bytes": document.size_bytes,
        "characters": len(document.text),
        "pieces": document.pieces,
        "first_piece_s": document.first_piece_s,
        "total_s": document.total_s,
        "failure": document.failure,
    }
    return figures | {"text": document.text} if with_text else figures


def in_words(
    documents: Sequence[Document], pieces: Sequence[Piece], *, with_texts: bool = False
) -> str:
    """The outcome as a table, with the documents below it where they are asked for."""
    figures = in_figures(documents, pieces)
    rows = figures["documents"]
    lines = [_ROW.format(*_HEADINGS), *map(_row, rows)]
    sums = (sum(row[name] for row in rows) for name in ("bytes", "characters", "pieces"))
    lines += [_ROW.format("all", *sums, "", _seconds(figures["total_s"])), "", _order(figures)]
    if with_texts:
        lines += [f"\n--- document {each.number}: {each.url}\n{each.text}" for each in documents]
    return "\n".join(lines)


def _row(row: dict[str, Any]) -> str:
    text = _ROW.format(
        row["number"],
        row["bytes"],
        row["characters"],
        row["pieces"],
        _seconds(row["first_piece_s"]),
        _seconds(row["total_s"]),
    )
    return f"{text}  failed: {row['failure']}" if row["failure"] else text


def _order(figures: dict[str, Any]) -> str:
    share = figures["interleaved"]
    return (
        f"switches from one document to another: {figures['switches']} "
        f"(at least {figures['switches_least']}, at most {figures['switches_most']}); "
        f"interleaved {'-' if share is None else f'{share:.0%}'}"
    )


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.3f} s"
