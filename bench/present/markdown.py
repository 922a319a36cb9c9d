"""A comparison of runs as Markdown for a pull request: what differs first, the rest folded.

GitHub's flavour: tables, and <details> for what is folded. Knows nothing of how it was concluded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.errors import cannot_write
from bench.present.compare import ComparedRuns
from bench.present.compare_words import CompareRow

# GitHub takes 65,536 characters a comment.
MOST_ROWS = 200
_MARKS = re.compile(r"([\\`*_{}\[\]<>#+!|~&$])")
_BEGINS_A_LIST = re.compile(r"^(\d*)([-=]|[.)](?=\s|$))")


def as_markdown(compared: ComparedRuns) -> str:
    """The comparison as Markdown, ending in a line break."""
    differ = compared.what_differs
    several = len(compared.pairs) > 1
    parts = [
        f"### {escape(compared.title)}",
        "\n".join(f"- {escape(sentence)}" for sentence in compared.sentences),
        f"> {escape(compared.caution)}",
        escape(compared.reading),
        "#### What differs",
        _ratios(differ, several) if differ else "No cell differs by more than its noise.",
        _folded(f"All {len(compared.rows)} ratios", _ratios(compared.rows, several)),
        _folded(
            "Cells that only one run has",
            _table(("run", "target", "connection", "work", "connections"), compared.alone_rows),
            bool(compared.alone_rows),
        ),
        _folded(
            "Invalid slices", _table(_INVALID, compared.invalid_rows), bool(compared.invalid_rows)
        ),
        _folded(
            "What differs between the runs' machines, versions and settings",
            _table(
                ("name", *compared.names),
                [(name, *values) for name, values in compared.differences],
            ),
            bool(compared.differences),
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_INVALID = ("run", "target", "connection", "work", "connections", "invalid", "reasons")


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


def _ratios(rows: Sequence[CompareRow], several: bool) -> str:
    columns = [
        ("target", "target", False),
        ("connection", "connection", False),
        ("work", "work", False),
        ("connections", "connections", True),
        ("metric", "metric", False),
        *([("run", "run", False)] if several else []),
        ("base", "base", True),
        ("other", "other", True),
        ("ratio", "ratio", True),
        ("interval", "interval", True),
        ("rounds", "rounds", True),
        ("says", "says", False),
    ]
    values = [[getattr(row, name) for _, name, _ in columns] for row in rows]
    return _table([name for name, _, _ in columns], values, {n for n, _, right in columns if right})


def _table(columns: Sequence[str], rows: Sequence[Iterable[str]], right: Iterable[str] = ()) -> str:
    rules = ["---:" if column in set(right) else "---" for column in columns]
    lines = [_line(map(escape, columns)), _line(rules)]
    lines += [_line(map(escape, row)) for row in rows[:MOST_ROWS]]
    more = len(rows) - MOST_ROWS
    return "\n".join(lines) + (f"\n\nand {more} more: see the page." if more > 0 else "")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _folded(summary: str, content: str, shown: bool = True) -> str:
    """Blank lines within, or what is folded would not be read as Markdown."""
    if not shown:
        return ""
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"
