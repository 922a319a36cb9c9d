"""Targets that are commands: `[targets.NAME]` of crossover.toml and stacks.toml, or `--target`.

Reads and checks them. Must not know how they are started or measured.
"""

import importlib.util
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.measure.foreign import command_words
from bench.measure.profile import Kind, Model
from bench.measure.quantities import MOST_WORKERS, parse_budget_s, whole
from bench.measure.tables import known_keys, read_toml, text

OWN_FILE = Path("crossover.toml")
FAMILIES = ("sync", "async")
CHECKS = ("body", "status")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*", re.ASCII)
_PATH = re.compile(r"/[!-~]*", re.ASCII)
_MOST_THREADS = 1_000_000


@dataclass(frozen=True)
class Stanza:
    """One command to measure; `path` is what it is asked, with `{work}` or `{delay_ms}` in it.

    `ready` is the path that is polled until it answers with success. `check`: whether every reply
    must have the body of the first one, or a good status alone will do. `workers` and `threads`
    are what the command runs with, where they are known.
    """

    name: str
    words: tuple[str, ...]
    cwd: Path
    kind: Kind = "command"
    family: str = "unknown"
    env: Mapping[str, str] = field(default_factory=dict)
    path: str = "{work}"
    ready: str = "/"
    ready_timeout_s: float = 10.0
    workers: int | None = None
    threads: int | None = None
    libraries: tuple[str, ...] = ()
    serves_one_at_a_time: bool = False
    check: str = "body"
    title: str | None = None

    def fills_in(self, name: str) -> bool:
        """Whether `{name}` stands in the command, or in its environment.

        A number of workers that stands in the environment alone is told, not asked for.
        """
        told = () if name == "workers" else self.env.values()
        return any(f"{{{name}}}" in text for text in (*self.words, *told))

    @property
    def is_fixed(self) -> bool:
        """Whether it is asked the same at all points."""
        return "{work}" not in self.path and "{delay_ms}" not in self.path

    def notes(self, settings: Collection[str]) -> list[str]:
        """What a reader of the run should know; `settings` are the numbers that the points set."""
        notes = []
        if self.is_fixed:
            notes.append(
                f"{self.name} is asked for {self.path} at every point: its throughput is not held "
                "against the delay"
            )
        notes += [
            f"{self.name} has no {{{axis}}} in its command: at every point it has its own"
            for axis in settings
            if not self.fills_in(axis)
        ]
        return notes

    def model(self) -> Model:
        """How a table of models describes it."""
        workers = self.workers or (1 if self.fills_in("workers") else None)
        packages = [library.partition(".")[0] for library in self.libraries]
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        lacking = f"it needs {', '.join(missing)}: pip install {' '.join(missing)}"
        return Model(
            self.name,
            self.family,
            self.serves_one_at_a_time,
            not missing,
            lacking if missing else None,
            default_workers=workers,
            kind=self.kind,
        )


def read_stacks() -> dict[str, Stanza]:
    """The stacks that come with the servers, by name; none where the servers have no such file."""
    spec = importlib.util.find_spec("servers")
    folders = (spec.submodule_search_locations if spec else None) or []
    files = [Path(folder) / "stacks.toml" for folder in folders]
    return next((read_stanzas(file, "stack") for file in files if file.is_file()), {})


def read_stanzas(file: Path, kind: Kind = "command") -> dict[str, Stanza]:
    """All `[targets.NAME]` of a file, by name; `[env]` is the environment of them all.

    FileNotFoundError if there is no such file. UserError names the file, the stanza and the key.
    """
    table = read_toml(file)
    known_keys(table, {"targets", "env", "gate"}, str(file))
    targets, env = table.get("targets", {}), table.get("env", {})
    _environment(env, f"{file}: [env]")
    if not isinstance(targets, dict):
        raise UserError(f"{file}: targets must be tables: write [targets.NAME]")
    stanzas = (_stanza(name, each, file, kind) for name, each in targets.items())
    return {each.name: replace(each, env={**env, **each.env}) for each in stanzas}


def choose_targets(
    asked: Sequence[str], models: Mapping[str, Model], stacks: Mapping[str, Stanza]
) -> dict[str, Stanza]:
    """The targets of `--target`, by name: `name=CMD {port}`, or a name in crossover.toml."""
    chosen: dict[str, Stanza] = {}
    for each in asked:
        name, is_command, command = each.partition("=")
        if name in chosen:
            raise UserError(f"--target: {name!r} is given twice")
        if is_command:
            _check_name(name, "--target")
            words = tuple(command_words(command, f"--target {name}"))
            chosen[name] = Stanza(name, words, Path.cwd())
        else:
            chosen[name] = stacks[name] if name in stacks else _own(name)
        if name in models and name not in stacks:
            raise UserError(f"--target: {name!r} is the name of a model; choose another")
        if is_command and name in stacks:
            raise UserError(f"--target: {name!r} is the name of a stack; choose another")
    return chosen


def _own(name: str) -> Stanza:
    try:
        known = read_stanzas(OWN_FILE)
    except FileNotFoundError:
        raise UserError(
            f"--target {name}: there is no {OWN_FILE} here; write a [targets.{name}] into it, "
            f"or give the command: --target '{name}=COMMAND --port {{port}}'"
        ) from None
    if name not in known:
        listed = ", ".join(known) or "none"
        raise UserError(f"--target {name}: {OWN_FILE} has no [targets.{name}]; it has {listed}")
    return known[name]


def _check_name(name: str, where: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{where}: {name!r} is no name for a target: use letters, digits and . _ + -"
        )


def _stanza(name: str, table: Any, file: Path, kind: Kind) -> Stanza:
    where = f"{file}: [targets.{name}]"
    _check_name(name, str(file))
    if not isinstance(table, dict):
        raise UserError(f"{where}: must be a table")
    known_keys(table, {"command", *_READERS}, where)
    if "command" not in table:
        raise UserError(f"{where}: 'command' is missing")
    words = command_words(text(table["command"], f"{where} command"), f"{where} command")
    options = {
        _FIELDS.get(key, key): read(table[key], f"{where} {key}")
        for key, read in _READERS.items()
        if key in table
    }
    folder = file.resolve().parent
    cwd = folder / options.pop("cwd", ".")
    if not cwd.is_dir():
        raise UserError(f"{where} cwd: there is no folder {table['cwd']!r} beside the file")
    stanza = Stanza(name, tuple(words), cwd, kind, **options)
    if stanza.fills_in("threads") and stanza.threads is None:
        raise UserError(f"{where}: the command has {{threads}} in it, so give 'threads' as well")
    return stanza


def _one_of(choices: Sequence[str]) -> Callable[[Any, str], str]:
    def read(value: Any, where: str) -> str:
        if value not in choices:
            raise UserError(f"{where}: must be one of {', '.join(choices)}, not {value!r}")
        return str(value)

    return read


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"{where}: must be true or false, not {value!r}")
    return value


def _environment(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise UserError(f'{where}: must be a table of texts, such as {{KEY = "value"}}')
    return value


def _path(value: Any, where: str) -> str:
    """A path as it is requested, `{work}` standing for one and `{delay_ms}` for a number."""
    plain = text(value, where).replace("{work}", "/").replace("{delay_ms}", "0")
    if "{" in plain:
        raise UserError(f"{where}: has {{work}} and {{delay_ms}} to fill in, no other: {value!r}")
    _plain_path(plain, where)
    return str(value)


def _plain_path(value: Any, where: str) -> str:
    path = text(value, where)
    if not _PATH.fullmatch(path):
        raise UserError(
            f"{where}: must begin with a slash, with spaces and all but plain ASCII as %XX, "
            f"not {path!r}"
        )
    return path


def _modules(value: Any, where: str) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if not all(part.isidentifier() for part in text(name, where).split(".")):
            raise UserError(f"{where}: must be the name of a module, or a list, not {name!r}")
    return tuple(names)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "family": _one_of(FAMILIES),
    "cwd": text,
    "env": _environment,
    "path": _path,
    "ready": _plain_path,
    "ready_timeout": lambda value, where: parse_budget_s(text(value, where), where),
    "workers": lambda value, where: whole(value, where, 1, MOST_WORKERS),
    "threads": lambda value, where: whole(value, where, 1, _MOST_THREADS),
    "library": _modules,
    "serves_one_at_a_time": _flag,
    "check": _one_of(CHECKS),
    "title": text,
}
_FIELDS = {"ready_timeout": "ready_timeout_s", "library": "libraries"}
