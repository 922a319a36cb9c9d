"""The files of a run: the boundary between measuring and concluding.

Measuring writes through `RunWriter`, analysing reads through `read_run`; neither side sees the
other. This module knows the layout of a run's folder and the keys that name a cell. It must not
know how a number was measured, nor what it means.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError, cannot_write
from bench.shapes import RUN, TRACES, TRIAL, WAIT, mismatch

SCHEMA = 1
RESULTS = Path("results")
RUN_FILE = "run.json"
TRIALS_FILE = "trials.jsonl"
VERDICTS_FILE = "verdicts.json"
WAITS_FILE = "waits.jsonl"
TRACE_FILE = "trace.json"

POINT_KEYS = (
    "work",
    "delay_s",
    "connection",
    "connections",
    "workers",
    "units",
    "server_cores",
)
CELL_KEYS = ("target", *POINT_KEYS)

# How the verdict on a slice says that the generator could ask for no more.
GENERATOR_BUSY = "the generator was busy"

OTHER_OUT = "choose another --out"
OTHER_FOLDER = "copy the run to a folder that can be written"


@dataclass(frozen=True)
class Run:
    """A run as its files tell it: `info` is run.json, `trials` has one entry per slice.

    `torn` says that the last line of trials.jsonl was cut off and left out.
    """

    folder: Path
    info: dict[str, Any]
    trials: list[dict[str, Any]]
    torn: bool

    @property
    def name(self) -> str:
        """The run's own name, whatever its folder is called today."""
        return str(self.info["name"])

    @property
    def config(self) -> dict[str, Any]:
        """The profile as it was resolved when the run started."""
        return dict(self.info["config"])


class RunWriter:
    """Writes one run's folder; each call is on disk when it returns.

    Every method raises UserError when the disk refuses.
    """

    def __init__(self, folder: Path, info: Mapping[str, Any]) -> None:
        self.folder = folder
        self._info = {"schema": SCHEMA, **info}

    @classmethod
    def create(cls, folder: Path, run: Mapping[str, Any]) -> RunWriter:
        """Start a run in a new or empty folder; UserError if a run is there already.

        Of two runs that start in one folder at the same moment, one gets it.
        """
        writer = cls(folder, run)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _claim(folder)
        except OSError as error:
            raise cannot_write(folder, error, OTHER_OUT) from error
        try:
            writer.update()
        except Exception:
            (folder / TRIALS_FILE).unlink()
            raise
        return writer

    @classmethod
    def reopen(cls, run: Run) -> RunWriter:
        """Go on with a run; half a line at its end is taken away, since the next would spoil it."""
        writer = cls(run.folder, {key: value for key, value in run.info.items() if key != "schema"})
        for name in (TRIALS_FILE, WAITS_FILE):
            path = run.folder / name
            try:
                if path.exists():
                    _cut_torn_line(path)
            except OSError as error:
                raise cannot_write(path, error, OTHER_FOLDER) from error
        return writer

    def update(self, **fields: Any) -> None:
        """Change fields of run.json; a reader sees the old file or the new one, never half."""
        self._info.update(fields)
        text = json.dumps(self._info, allow_nan=False, indent=1)
        _replace(self.folder / RUN_FILE, text, OTHER_OUT)

    def append(self, trial: Mapping[str, Any]) -> None:
        """Add one slice as one line. ValueError if it holds a NaN or an infinity."""
        self._append(TRIALS_FILE, trial)

    def append_waits(self, waits: Mapping[str, Any]) -> None:
        """Add how late the waits of one target ended under one load, as one line."""
        self._append(WAITS_FILE, waits)

    def _append(self, name: str, content: Mapping[str, Any]) -> None:
        line = json.dumps(content, allow_nan=False, separators=(",", ":")) + "\n"
        path = self.folder / name
        try:
            with path.open("ab") as file:
                _write_or_take_back(file.fileno(), line.encode())
        except OSError as error:
            raise cannot_write(path, error, OTHER_OUT) from error


def is_lower_bound(trial: Mapping[str, Any]) -> bool:
    """Whether nothing is wrong with a slice but that the generator could ask for no more.

    Then its target gives at least what was seen.
    """
    reasons = trial.get("invalid_reasons") or ()
    return bool(reasons) and all(reason.startswith(GENERATOR_BUSY) for reason in reasons)


def reading_order(point: Mapping[str, Any]) -> tuple[Any, ...]:
    """A sort key for points and cells, as people read them: by delay, then by connections."""
    known = (point["delay_s"] or 0, point["work"], point["workers"] or 0, point["units"] or 0)
    return (*known, point["server_cores"] or 0, point["connections"])


def read_run(folder: Path | str) -> Run:
    """Read a run from its folder, from its name in results/, or the newest one for `latest`.

    A torn last line of trials.jsonl is left out. UserError for anything else that is missing,
    corrupted or of a schema that this version does not know.
    """
    path = find_run(Path(folder))
    info = _read_info(path / RUN_FILE)
    trials, torn = _read_lines(path / TRIALS_FILE, TRIAL)
    return Run(path, info, trials, torn)


def read_waits(run: Run) -> list[dict[str, Any]]:
    """How late the waits of each target ended, one entry per target and load; none: not measured.

    UserError for a file that is corrupted.
    """
    path = run.folder / WAITS_FILE
    return _read_lines(path, WAIT)[0] if path.exists() else []


def find_run(asked: Path, results: Path = RESULTS) -> Path:
    """The folder that `asked` means: a folder, a name in `results`, or `latest`."""
    try:
        for candidate in (asked, results / asked):
            if (candidate / RUN_FILE).is_file():
                return candidate
        is_folder = asked.is_dir()
    except OSError as error:
        raise UserError(f"cannot read {asked}: {error.strerror}") from error
    if asked == Path("latest"):
        return _latest(results)
    if is_folder:
        raise UserError(f"{asked} holds no {RUN_FILE}, so it is not a run; {_runs_in(asked)}")
    raise UserError(f"{asked}: no such run; {_runs_in(results)}")


def write_verdicts(folder: Path, verdicts: Mapping[str, Any]) -> Path:
    """Write verdicts.json, atomically, and return its path."""
    path = folder / VERDICTS_FILE
    _replace(path, json.dumps(verdicts, allow_nan=False, indent=1), OTHER_FOLDER)
    return path


def write_traces(
    folder: Path, head: Mapping[str, Any], traces: Sequence[Mapping[str, Any]]
) -> Path:
    """Write trace.json into a folder, made if it is new, a line for each trace; its path."""
    path = folder / TRACE_FILE
    lines = [
        f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)},"
        for key, value in {"schema": SCHEMA, **head}.items()
    ]
    each = ",\n".join(f"  {json.dumps(trace, allow_nan=False)}" for trace in traces)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error, OTHER_OUT) from error
    _replace(path, "\n".join(["{", *lines, ' "traces": [', each, " ]", "}"]), OTHER_OUT)
    return path


def read_traces(path: Path) -> dict[str, Any]:
    """Read a trace.json, by its own path or its folder's. UserError where it is none."""
    file = path / TRACE_FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file}: no such file; crossover trace writes one")
    content = _parse(_read(file), str(file))
    _require_schema(content, file)
    _require(content, TRACES, str(file))
    if not content["traces"] or not all(trace["tasks"] for trace in content["traces"]):
        raise UserError(f"{file} holds {'no task' if content['traces'] else 'no trace'}")
    return content


def _claim(folder: Path) -> None:
    """Take a folder for one run, by making the file of slices."""
    taken = folder / RUN_FILE
    if not taken.exists():
        taken = folder / TRIALS_FILE
        with suppress(FileExistsError):
            return taken.touch(exist_ok=False)
    raise UserError(f"{taken} exists: give the run another --out folder or delete it")


def _replace(path: Path, text: str, otherwise: str) -> None:
    temporary = path.with_name(path.name + ".new")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise cannot_write(path, error, otherwise) from error


def _sync_folder(folder: Path) -> None:
    """A rename is only durable when the folder is synced too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_or_take_back(descriptor: int, line: bytes) -> None:
    """Write and sync a whole line, or leave the file as it was: half a line spoils the next."""
    before = os.fstat(descriptor).st_size
    try:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, before)
        raise


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            file.truncate(whole)
            os.fsync(file.fileno())


def _read_info(path: Path) -> dict[str, Any]:
    info = _parse(_read(path), str(path))
    _require_schema(info, path)
    _require(info, RUN, str(path))
    return info


def _require_schema(content: Mapping[str, Any], path: Path) -> None:
    if content.get("schema") != SCHEMA:
        raise UserError(
            f"{path} has schema {content.get('schema')!r}, this version reads schema {SCHEMA}:"
            " use the version of crossover that wrote it"
        )


def _read_lines(path: Path, shape: Mapping[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """The objects of a file with one a line, and whether its last line is torn and left out."""
    *lines, last = _read(path).split("\n")
    numbered = enumerate(lines, 1)
    found = [_line(line, shape, f"{path} line {n}") for n, line in numbered if line.strip()]
    if not last:
        return found, False
    try:
        found.append(_line(last, shape, str(path)))
    except UserError:
        return found, True
    return found, False


def _line(line: str, shape: Mapping[str, Any], where: str) -> dict[str, Any]:
    content = _parse(line, where)
    _require(content, shape, where)
    return content


def _read(path: Path) -> str:
    """The text; bytes that are not UTF-8 become marks that cannot parse as JSON numbers or keys."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: the run's folder is not complete") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is corrupted: {error}; restore it or measure again") from error
    if not isinstance(value, dict):
        raise UserError(f"{where} is corrupted: it holds no JSON object")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _require(content: Mapping[str, Any], shape: Mapping[str, Any], where: str) -> None:
    if what := mismatch(content, shape):
        raise UserError(f"{where} {what}: damaged, or not written by crossover")


def _latest(results: Path) -> Path:
    runs = _runs(results)
    if not runs:
        raise UserError(f"no run to call the latest: {_runs_in(results)}")
    return runs[0]


def _runs(folder: Path) -> list[Path]:
    """The runs in a folder, newest first."""
    files = [(_started(file), file.parent) for file in folder.glob(f"*/{RUN_FILE}")]
    return [run for _, run in sorted(files, reverse=True)]


def _started(file: Path) -> str:
    """When a run started: a checkout or a copy changes a file's own time. Unreadable: oldest."""
    try:
        return str(_parse(_read(file), str(file)).get("started"))
    except UserError:
        return ""


def _runs_in(folder: Path, most: int = 8) -> str:
    names, shown = [run.name for run in _runs(folder)], f"{str(folder).rstrip('/')}/"
    if not names:
        return f"{shown} holds no runs (measure one with: crossover run)"
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"runs in {shown}, newest first: {', '.join(names[:most])}{rest}"
