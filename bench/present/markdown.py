"""A comparison of runs as Markdown for a pull request: what differs first, the rest folded.

GitHub's flavour: tables, and <details> for what is folded. Knows nothing of how it was concluded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import cannot_write
from bench.present.compare import ComparedRuns

# GitHub takes that many characters a comment, so tables are cut to as many rows as fit.
MOST_CHARACTERS = 65_536
_MOST_ROWS = (400, 200, 100, 50, 25, 10, 3)
_MARKS = re.compile(r"([\\`*_{}\[\]<>#+!|~&$])")
_BEGINS_A_LIST = re.compile(r"^(\d*)([-=]|[.)](?=\s|$))")


def as_markdown(compared: ComparedRuns) -> str:
    """The comparison as Markdown, ending in a line break, short enough for one comment."""
    head, tables = _head(compared), _tables(compared)
    texts = (_text(head, tables, most) for most in _MOST_ROWS)
    return next((t for t in texts if len(t) <= MOST_CHARACTERS), _text(head, tables, 1))


def _head(compared: ComparedRuns) -> list[str]:
    return [
        f"### {escape(compared.title)}",
        "\n".join(f"- {escape(sentence)}" for sentence in compared.sentences),
        f"> {escape(compared.caution)}",
        escape(compared.reading),
        "#### What differs",
    ]


def _tables(compared: ComparedRuns) -> list[_Table]:
    """What differs, and what is folded."""
    columns = [name for name in _RATIOS if name != "run" or len(compared.pairs) > 1]
    differ, every = (
        [[str(getattr(row, name)) for name in columns] for row in rows]
        for rows in (compared.what_differs, compared.rows)
    )
    environment = [(name, *values) for name, values in compared.differences]
    return [
        _Table("", columns, differ),
        _Table(f"All {len(every)} ratios", columns, every),
        _Table("Cells that only one run has", _CELLS, compared.alone_rows),
        _Table("Invalid slices", (*_CELLS, "invalid", "reasons"), compared.invalid_rows),
        _Table(
            "What differs between the runs' machines, versions and settings",
            ("name", *compared.names),
            environment,
        ),
    ]


@dataclass(frozen=True)
class _Table:
    summary: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


_CELLS = ("run", "target", "connection", "work", "connections")
_NUMBERS = ("connections", "base", "other", "ratio", "interval", "rounds")
_RATIOS = ("target", "connection", "work", "connections", "metric", "run", *_NUMBERS[1:], "says")


def _text(head: Sequence[str], tables: Sequence[_Table], most: int) -> str:
    first, *folded = tables
    shown = _rows(first, most) if first.rows else "No cell differs by more than its noise."
    rest = [_folded(table.summary, _rows(table, most)) for table in folded if table.rows]
    return "\n\n".join([*head, shown, *rest]) + "\n"


def write_markdown(compared: ComparedRuns, file: Path) -> Path:
    """Write it to a file. UserError if that cannot be written."""
    try:
        file.write_text(as_markdown(compared), encoding="utf-8", errors="replace")
    except OSError as error:
        raise cannot_write(file, error, "choose another --markdown") from error
    return file


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line: marks escaped, also within a table.

    A number or dash at its start would begin a list, so that is escaped too.
    """
    line = _MARKS.sub(r"\\\1", " ".join(text.split()))
    return _BEGINS_A_LIST.sub(r"\1\\\2", line)


def _rows(table: _Table, most: int) -> str:
    right = set(_NUMBERS) & set(table.columns) if "ratio" in table.columns else set()
    rules = ["---:" if column in right else "---" for column in table.columns]
    lines = [_line(map(escape, table.columns)), _line(rules)]
    lines += [_line(map(escape, row)) for row in table.rows[:most]]
    more = len(table.rows) - most
    left_out = f"\n\nand {more} more, which the page (`--html`) has." if more > 0 else ""
    return "\n".join(lines) + left_out


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _folded(summary: str, content: str) -> str:
    """Blank lines within, or what is folded would not be read as Markdown."""
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"
