"""The files of a gate: gate.json, and a line for every slice as it ends, so that nothing is lost.

Must not know what the figures mean.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.errors import UserError, cannot_write

SCHEMA = 1
GATE_FILE = "gate.json"
SLICES_FILE = "slices.jsonl"
RESULTS = Path("results")
_OTHERWISE = "choose another --out"


class Record:
    """One gate's folder; every method raises UserError when the disk refuses."""

    def __init__(self, folder: Path, info: Mapping[str, Any]) -> None:
        self.folder = folder
        self.info: dict[str, Any] = {"schema": SCHEMA, "state": "running", **info}
        if (folder / GATE_FILE).exists():
            raise UserError(f"{folder} holds a gate already: choose another --out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not any(folder.iterdir()):
                # A gate of the working tree must not find the results of the one before in it.
                (folder / ".gitignore").write_text("*\n")
            self._slices = os.open(
                folder / SLICES_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666
            )
        except OSError as error:
            raise cannot_write(folder, error, _OTHERWISE) from error
        self.update()

    def append(self, line: Mapping[str, Any]) -> None:
        """Write a slice down."""
        try:
            os.write(self._slices, json.dumps(line, allow_nan=False).encode() + b"\n")
        except OSError as error:
            raise cannot_write(self.folder / SLICES_FILE, error, _OTHERWISE) from error

    def update(self, **fields: Any) -> None:
        """Change fields of gate.json."""
        self.info.update(fields)
        write_text(self.folder / GATE_FILE, json.dumps(self.info, allow_nan=False, indent=1) + "\n")

    def close(self) -> None:
        """No more slices."""
        os.close(self._slices)


def new_folder(results: Path = RESULTS) -> Path:
    """A folder for a gate that begins now."""
    name = f"gate-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    taken = [folder.name for folder in results.glob(f"{name}*")] if results.is_dir() else []
    return results / (f"{name}-{len(taken) + 1}" if taken else name)


def require_writable(file: Path | None, option: str) -> None:
    """Refuse a file that could not be written in the end, before anything is measured.

    Makes the folder it is to be in.
    """
    if file is None:
        return
    if file.is_dir():
        raise UserError(f"{option} {file} is a folder: name a file in it")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(file, error, f"choose another file for {option}") from error
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UserError(f"{option} {file} cannot be written: choose another file")


def write_text(file: Path, content: str, *, append: bool = False) -> None:
    """Write a file, and the folder it is in. Raises UserError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if append else "w", encoding="utf-8") as stream:
            stream.write(content)
    except OSError as error:
        raise cannot_write(file, error, "choose another file") from error
