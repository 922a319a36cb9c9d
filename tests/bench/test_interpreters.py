"""Other interpreters: real ones of this machine, and programs that are none."""

import sys
from pathlib import Path

import pytest
from harness import MODELS, grid, measure, tiny

from bench.errors import UserError
from bench.measure.interpreters import (
    Interpreter,
    ask_interpreters,
    environment,
    models_under,
    servers_alone,
)
from bench.measure.models import Rates, known_models
from bench.measure.targets import driver_target
from tests.conftest import complaints

VERSION = ".".join(map(str, sys.version_info[:2]))


def program(folder: Path, script: str) -> str:
    """A program of one's own in place of an interpreter."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def pretended(folder: Path, version: str, implementation: str, *, free: bool = False) -> str:
    folder.mkdir()
    numbers = [int(number) for number in version.split(".")[:2]]
    return program(
        folder,
        f'echo \'{{"version": "{version}", "numbers": {numbers}, '
        f'"implementation": "{implementation}", "free_threaded": {str(free).lower()}}}\'',
    )


def test_an_interpreter_is_asked_what_it_is() -> None:
    (here,) = ask_interpreters([sys.executable])
    assert (here.executable, here.label) == (sys.executable, VERSION)
    assert (here.version, here.implementation) == (sys.version.split()[0], "CPython")


def test_labels_tell_versions_builds_and_implementations_apart(tmp_path: Path) -> None:
    asked = [
        pretended(tmp_path / "a", "3.13.0", "CPython"),
        pretended(tmp_path / "b", "3.13.0", "CPython", free=True),
        pretended(tmp_path / "c", "3.13.1", "CPython"),
        pretended(tmp_path / "d", "3.13.1", "CPython"),
        pretended(tmp_path / "e", "3.11.9", "PyPy"),
    ]
    labels = [each.label for each in ask_interpreters(asked)]
    assert labels == ["3.13", "3.13t", "3.13.1", "3.13-2", "pypy3.11"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 0", "does not answer as a Python does: it said nothing"),
        ("echo 3.13", "does not answer as a Python does: it said nothing"),
        ("echo '[1]'", "does not answer as a Python does: it said nothing"),
        ('echo \'{"version": "3.13"}\'', "does not answer as a Python does: it said nothing"),
        ("echo oh no >&2; echo and more >&2; exit 3", "does not answer as a Python does: oh no"),
    ],
)
def test_a_program_that_is_no_python_is_told(tmp_path: Path, script: str, message: str) -> None:
    name = program(tmp_path, script)
    with pytest.raises(UserError) as caught:
        ask_interpreters([name])
    assert str(caught.value) == f"--python {name}: {message}"


def test_what_is_missing_broken_old_or_given_twice_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    old = pretended(tmp_path / "old", "3.10.13", "CPython")
    for asked, message in (
        (["no-such-python"], "--python no-such-python: there is no such program"),
        ([str(tmp_path)], f"--python {tmp_path}: there is no such program"),
        ([str(broken)], f"--python {broken}: cannot be run: "),
        ([old], f"--python {old}: is Python 3.10.13; crossover needs 3.11"),
        ([sys.executable] * 2, f"--python {sys.executable}: is given twice"),
    ):
        with pytest.raises(UserError) as caught:
            ask_interpreters(asked)
        assert str(caught.value).startswith(message)


def test_it_finds_the_servers_and_nothing_else_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even what PYTHONPATH has for us: it may be meant for our version alone."""
    monkeypatch.setenv("PYTHONPATH", "/some/where")
    folder = servers_alone(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["servers"]
    assert environment(folder)["PYTHONPATH"] == str(folder)
    assert "PYTHONPATH" not in environment(None)


def test_its_models_are_those_that_it_has_the_libraries_for(tmp_path: Path) -> None:
    (here,) = ask_interpreters([sys.executable])
    found = models_under(here, known_models(), servers_alone(tmp_path))
    assert {"threaded", "uvloop", "blocking"} <= {name.partition("@")[0] for name in found}
    assert all(name.endswith(f"@{VERSION}") and found[name].name == name for name in found)
    assert found[f"threaded@{VERSION}"].available


def test_a_missing_library_takes_its_model_and_says_how_to_get_it(tmp_path: Path) -> None:
    table = (
        '[{"name": "threaded", "family": "sync", "serves_one_at_a_time": false, '
        '"available": true, "why_unavailable": null}, '
        '{"name": "trio", "family": "async", "serves_one_at_a_time": false, "available": false, '
        '"why_unavailable": "model trio needs trio: pip install trio"}]'
    )
    answer = f"echo '{table}'"
    there = Interpreter("python9", program(tmp_path, answer), "9.1.0", "CPython", False, "9.1")
    models = {name: MODELS[name] for name in ("threaded", "trio", "uvloop")}
    found = models_under(there, models, tmp_path)
    assert found["threaded@9.1"].available
    assert found["trio@9.1"].why_unavailable == "model trio needs trio, which Python 9.1 lacks"
    said = "the servers do not run under Python 9.1: it said nothing"
    assert found["uvloop@9.1"].why_unavailable == said
    assert there.how_to_complete() == (
        "what Python 9.1 lacks comes with an environment of its own: make setup "
        "VENV=.venv-9.1 PYTHON=python9, then --python .venv-9.1/bin/python"
    )


def test_one_that_cannot_even_load_the_servers_has_none_and_says_why(tmp_path: Path) -> None:
    script = "echo Traceback >&2; echo 'ModuleNotFoundError: no httptools' >&2; exit 1"
    there = Interpreter("p", program(tmp_path, script), "9.1.0", "CPython", False, "9.1")
    found = models_under(there, MODELS, tmp_path)
    assert len(found) == len(MODELS)
    assert {model.why_unavailable for model in found.values()} == {
        "the servers do not run under Python 9.1: ModuleNotFoundError: no httptools"
    }


def test_a_model_runs_under_it_and_run_json_has_what_the_running_one_says(tmp_path: Path) -> None:
    (here,) = ask_interpreters([sys.executable])
    alone = tmp_path / "alone"
    alone.mkdir()
    name = f"threaded@{VERSION}"
    target = driver_target(name, MODELS["threaded"], Rates(10), here, servers_alone(alone))
    assert target.described()["command"][0] == f"python{VERSION}"
    assert target.described()["python"]["gil"] is None
    run = measure(tmp_path / "r", tiny(grid(name)), [target])
    assert [complaints(trial) for trial in run.trials] == [[]]
    (entry,) = run.info["targets"]
    assert (entry["name"], entry["model"]) == (name, "threaded")
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    assert entry["python"] == {
        "version": sys.version.split()[0],
        "implementation": "CPython",
        "gil": gil,
    }
