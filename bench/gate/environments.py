"""An environment of its own for each side of a gate, where their dependencies differ.

Environments are kept between gates, named after the content of what they are made from. Must not
know git, nor what is measured in them.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError

BUILD_TIMEOUT_S = 1800.0
LAST_LINES = 20
NAME_LETTERS = 12
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
    side: str, folder: Path, cache: Path, setup: str | None, extras: Sequence[str], commit: str
) -> Path:
    """A virtual environment with the dependencies of a checkout, made where it is not kept.

    `setup` is the user's own command for it, run by a shell in the checkout; what that does may
    depend on every file, so the environment is this commit's alone. Raises UserError with the last
    output of what failed.
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
    # What a set-up has made in the checkout goes when that is made anew.
    marks = [environment / COMPLETE, *([folder / f"{MARK}{name}"] if setup else [])]
    if all(mark.exists() for mark in marks):
        return environment
    shutil.rmtree(environment, ignore_errors=True)
    environment.parent.mkdir(parents=True, exist_ok=True)
    _run(side, [sys.executable, "-m", "venv", str(environment)], folder, os.environ)
    if setup:
        _run(side, ["/bin/sh", "-c", setup], folder, inside(environment, os.environ))
    else:
        for words in _installations(side, folder, extras, dependencies):
            pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            _run(side, [*pip, *words], folder, inside(environment, os.environ))
    for mark in marks:
        mark.touch()
    return environment


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
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{side}: {shown} did not end within {BUILD_TIMEOUT_S:g} s") from None
    if done.returncode:
        lines = done.stdout.strip().splitlines()[-LAST_LINES:]
        said = "; its last output:\n  " + "\n  ".join(lines) if lines else "; it printed nothing"
        raise UserError(f"{side} cannot be built: {shown} ended with {done.returncode}{said}")
