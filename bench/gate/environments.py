"""An environment of its own for each side of a gate, where their dependencies differ.

Environments are kept between gates, named after the content of what they are made from. Must not
know what is measured in them.
"""

import hashlib
import json
import os
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.gate.git import clean, make_folder
from bench.measure.interrupts import held_back
from bench.measure.process import Process

BUILD_TIMEOUT_S = 1800.0
NAME_LETTERS = 12
KEPT = 24
COMPLETE = ".complete"
MARK = ".crossover-setup-"
_LISTS = ("requirements*.txt", "constraints*.txt", "requirements/*.txt")
# What tells of dependencies that only another tool can install.
_FOREIGN = ("poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock", "setup.py", "setup.cfg")


def dependencies_of(folder: Path) -> dict[str, str]:
    """The content of all that tells the dependencies of a checkout, by file."""
    files = [file for pattern in (*_LISTS, *_FOREIGN) for file in sorted(folder.glob(pattern))]
    found = {str(file.relative_to(folder)): file.read_text(errors="replace") for file in files}
    if project := _project(folder):
        wanted = {key: project.get(key) for key in ("dependencies", "optional-dependencies")}
        found["pyproject.toml"] = json.dumps(wanted, sort_keys=True)
    return found


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The files in which the dependencies of two checkouts differ."""
    return [file for file in sorted({*one, *other}) if one.get(file) != other.get(file)]


def environment_for(
    side: str,
    folder: Path,
    cache: Path,
    setup: str | None,
    extras: Sequence[str],
    commit: str,
    checkout: Path,
) -> Path:
    """A virtual environment with the dependencies of a checkout, made where it is not kept.

    `setup` is the user's own command for it, run by a shell in the checkout; what that does may
    depend on every file, so the environment is this commit's alone. What it wrote into the checkout
    is kept too, and what has come there since is removed. Raises UserError with the last output of
    what failed.
    """
    dependencies = dependencies_of(folder)
    content = [
        sys.version,
        sorted(dependencies.items()),
        setup,
        commit if setup else sorted(extras),
    ]
    name = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:NAME_LETTERS]
    environment = cache / f"e-{name}"
    complete, made = environment / COMPLETE, checkout / f"{MARK}{name}"
    if setup is None or not complete.exists() or not _is_as_made(checkout, made):
        clean(checkout)
    if complete.exists() and (setup is None or made.exists()):
        environment.touch()
        return environment
    shutil.rmtree(environment, ignore_errors=True)
    make_folder(environment.parent)
    _drop_oldest(environment.parent)
    try:
        _run(side, [sys.executable, "-m", "venv", str(environment)], folder, os.environ)
        if setup:
            _run(side, ["/bin/sh", "-c", setup], folder, inside(environment, os.environ))
            made.write_text(json.dumps(_files_in(checkout)))
        else:
            for words in _installations(side, folder, extras, dependencies):
                pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
                _run(side, [*pip, *words], folder, inside(environment, os.environ))
        complete.touch()
    except BaseException:
        shutil.rmtree(environment, ignore_errors=True)
        raise
    return environment


def _is_as_made(checkout: Path, made: Path) -> bool:
    """Whether all is there as the set-up left it; what has come since is removed.

    What has changed since has to be made anew.
    """
    try:
        known: dict[str, list[int]] = json.loads(made.read_text())
    except (OSError, ValueError):
        return False
    there = _files_in(checkout)
    del there[made.name]
    for file in there.keys() - known.keys():
        (checkout / file).unlink()
    return all(there.get(file) == seen for file, seen in known.items())


def _files_in(folder: Path) -> dict[str, list[int]]:
    """Every file below a folder but git's, with its size and when it was changed, in ns."""
    found = {}
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for name in files:
            file = Path(at) / name
            if name != ".git":
                stat = file.lstat()
                found[str(file.relative_to(folder))] = [stat.st_size, stat.st_mtime_ns]
    return found


def _drop_oldest(cache: Path) -> None:
    known = sorted(cache.glob("e-*"), key=lambda folder: folder.stat().st_mtime)
    for folder in known[: max(0, len(known) - KEPT + 1)]:
        shutil.rmtree(folder, ignore_errors=True)


def inside(environment: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables as they are in an activated environment."""
    path = f"{environment / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}"
    return {**variables, "PATH": path, "VIRTUAL_ENV": str(environment)}


def _installations(
    side: str, folder: Path, extras: Sequence[str], dependencies: Mapping[str, str]
) -> list[list[str]]:
    """What pip is asked for. The project itself is not installed: it runs from its checkout."""
    limits = [w for file in sorted(folder.glob("constraints*.txt")) for w in ("-c", file.name)]
    lists = [w for file in sorted(folder.glob("requirements*.txt")) for w in ("-r", file.name)]
    project = _project(folder)
    wanted = list(project.get("dependencies", ()))
    optional = project.get("optional-dependencies", {})
    for extra in extras:
        if extra not in optional:
            raise UserError(f"[gate] extras: {side}'s pyproject.toml has no extra {extra!r}")
        wanted += optional[extra]
    if not lists and not wanted:
        named = ", ".join(dependencies)
        raise UserError(
            f"{side}: its dependencies are its own ({named}), and nothing says how to install "
            'them: give [gate] a setup, such as setup = "pip install ."'
        )
    return [[*limits, *lists, *wanted]]


def _project(folder: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    project = content.get("project", {})
    return project if isinstance(project, dict) else {}


def _run(side: str, words: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
    shown = words[-1] if words[:2] == ["/bin/sh", "-c"] else " ".join(words)
    with ExitStack() as stack:
        with held_back():
            process = Process(side, words, env=variables, cwd=folder)
            stack.callback(process.kill)
        if code := process.wait_ended(BUILD_TIMEOUT_S):
            raise UserError(process.complaint(f"cannot be built: {shown} ended with {code}"))
