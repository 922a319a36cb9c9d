"""Other Python interpreters: what they are, and which models they can run.

Runs them once each before a run. Must not know what is measured under them.
"""

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import UserError
from bench.measure.models import ASK_TIMEOUT_S, WORDS, models_in
from bench.measure.profile import Model

OLDEST = (3, 11)
# Runs on any Python that there is, so that an old one can be told by its version.
_QUESTION = """
import json, platform, sys, sysconfig
print(json.dumps({
    "version": platform.python_version(),
    "numbers": list(sys.version_info[:2]),
    "implementation": platform.python_implementation(),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """One that was named with --python; `label` is what its targets have after the `@`."""

    asked: str
    executable: str
    version: str
    implementation: str
    free_threaded: bool
    label: str = ""

    @property
    def short(self) -> str:
        """`3.13`, `3.13t` for a free-threaded build, `pypy3.11`."""
        name = "" if self.implementation == "CPython" else self.implementation.lower()
        numbers = ".".join(self.version.split(".")[:2])
        return f"{name}{numbers}{'t' if self.free_threaded else ''}"

    def how_to_complete(self) -> str:
        """What to do where it lacks a library."""
        return (
            f"what Python {self.label} lacks comes with an environment of its own: make setup "
            f"VENV=.venv-{self.label} PYTHON={self.asked}, "
            f"then --python .venv-{self.label}/bin/python"
        )


def ask_interpreters(asked: Sequence[str]) -> list[Interpreter]:
    """What the executables are, each with a label of its own. UserError for what will not do."""
    found: list[Interpreter] = []
    for name in asked:
        each = _ask(name)
        if any(other.executable == each.executable for other in found):
            raise UserError(f"--python {name}: is given twice")
        taken = {other.label for other in found}
        choices = [each.short, each.version + ("t" if each.free_threaded else "")]
        choices += [f"{each.short}-{number}" for number in range(2, len(asked) + 2)]
        found.append(replace(each, label=next(c for c in choices if c not in taken)))
    return found


def models_under(
    interpreter: Interpreter, models: Mapping[str, Model], folder: Path
) -> dict[str, Model]:
    """The models as the interpreter can run them, by names as `uvloop@3.13`.

    `folder` is that of `servers_alone`.
    """
    done = _run(interpreter.executable, [*WORDS, "--list"], environment(folder))
    label = interpreter.label
    here: Mapping[str, Model] = {} if done.returncode else models_in(json.loads(done.stdout))
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    found = {}
    for name, model in models.items():
        if name in here and here[name].available:
            why = None
        elif name in here:
            lacking, _, _ = (here[name].why_unavailable or "").partition(": pip")
            why = f"{lacking}, which Python {label} lacks"
        else:
            why = f"the servers do not run under Python {label}: {said}"
        there = f"{name}@{label}"
        found[there] = replace(model, name=there, available=why is None, why_unavailable=why)
    return found


def servers_alone(folder: Path) -> Path:
    """Put the package of our servers, and nothing else, into a folder for PYTHONPATH."""
    spec = importlib.util.find_spec("servers")
    where = list((spec.submodule_search_locations if spec else None) or [])
    if not where:
        raise UserError("the package 'servers' is not installed: make setup")
    (folder / "servers").symlink_to(Path(where[0]).resolve())
    return folder


def environment(folder: Path | None) -> dict[str, str]:
    """Our environment, where an interpreter finds the folder's packages besides its own."""
    ours = ("PYTHONHOME", "PYTHONPATH")
    kept = {key: value for key, value in os.environ.items() if key not in ours}
    return kept if folder is None else {**kept, "PYTHONPATH": str(folder)}


def _ask(name: str) -> Interpreter:
    found = shutil.which(name)
    if found is None:
        raise UserError(f"--python {name}: there is no such program")
    done = _run(found, ["-c", _QUESTION], environment(None))
    try:
        answer = json.loads(done.stdout)
        numbers = tuple(answer.pop("numbers"))
        # Not resolved: what a link in an environment points to knows nothing of the environment.
        each = Interpreter(asked=name, executable=str(Path(found).absolute()), **answer)
    except (ValueError, TypeError, KeyError, AttributeError):
        said = next(iter(done.stderr.strip().splitlines()), "it said nothing")
        what = f"does not answer as a Python does: {said}"
        raise UserError(f"--python {name}: {what}") from None
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UserError(f"--python {name}: is Python {each.version}; crossover needs {oldest}")
    return each


def _run(
    executable: str, words: Sequence[str], env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [executable, *words],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ASK_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"--python {executable}: cannot be run: {error}") from None
