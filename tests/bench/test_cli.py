"""The command line: wrong use is one clear line on stderr and exit code 2, never a traceback."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import odd_server
import pytest
from harness import CROSSOVER, ROOT, TINY_TOML, crossover, processes_below

from bench.cli import main
from bench.measure.stanza import Stanza
from bench.store import read_run
from tests.conftest import complaints

COMMANDS = ("run", "report", "compare", "predict", "gate", "load", "fetch", "serve", "trace")
HEAVY = ("matplotlib", "pandas", "scipy", "numpy", "jinja2", "uvloop", "trio", "clients", "servers")


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_TOML)
    return path


def complaint(capfd: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What a wrong use is told: the one line on stderr."""
    assert main([str(word) for word in words]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "crossover: say which command: see crossover --help"),
        (["measure"], "crossover measure: No such command 'measure'."),
        (["--fast"], "crossover: No such option: --fast"),
        (["run", "--fast"], "crossover run: No such option: --fast"),
        (["run", "--rounds"], "crossover run: Option '--rounds' requires an argument."),
        (["run", "--rounds", "x"], "crossover run: Invalid value for '--rounds'"),
        (["run", "--rounds", "0"], "crossover run: --rounds: must be a whole number from 1 to"),
        (["run", "extra"], "crossover run: Got unexpected extra argument"),
        (["run", "--models", ""], "crossover run: --models: names nothing; give one or more"),
        (["run", "--connections", ","], "crossover run: --connections: names nothing; give one"),
        (["run", "--out", "x" * 300], "crossover run: --out: cannot use xxx"),
        (["report", "x" * 300], "crossover report: cannot read xxx"),
        (["run", "--models", "uvlop"], "crossover run: --models: no model 'uvlop'; the models are"),
        (["run", "--delay", "5"], "crossover run: --delay: '5' is not a duration; write it like"),
        (["run", "--connections", "0"], "crossover run: --connections: must be a whole number"),
        (["run", "--budget", "0s"], "crossover run: --budget: must be more than nothing"),
        (["run", "--seed", "-1"], "crossover run: --seed: must be a whole number from 0 to"),
        (["run", "--server-cores", "0"], "crossover run: --server-cores: must be a whole number"),
        (["run", "--server-cores", "9999"], "crossover run: server cores: 9999 asked for, "),
        (["run", "--workers", "x"], "crossover run: --workers: must be a whole number from 1 to"),
        (["run", "--work", "/x"], "crossover run: --work: unknown step 'x' in /x; a path is made"),
        (["run", "--work", ","], "crossover run: --work: names nothing; give one or more"),
        (["run", "--target", "x=y"], "crossover run: --target x: give a command with {port} in it"),
        (["run", "--python", "nope"], "crossover run: --python nope: there is no such program"),
        (["run", "--profile", "nope"], "crossover run: no profile 'nope': the profiles are aa, "),
        (["gate"], "crossover gate: Missing option '--base'."),
        (["gate", "--pairs", "1"], "crossover gate: Invalid value for '--pairs'"),
        (["compare"], "crossover compare: Missing argument"),
    ],
)
def test_wrong_use_is_one_line(
    capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert complaint(capfd, *words).startswith(message)


def test_wrong_use_says_where_the_help_is(capfd: pytest.CaptureFixture[str]) -> None:
    assert complaint(capfd, "run", "--fast").endswith(" (see crossover run --help)")
    assert complaint(capfd, "measure").endswith(" (see crossover --help)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"--head": ""}, "--head: give a command with {port} in it, not ''"),
        ({"--base": "no-such-ref"}, "--base: 'no-such-ref' is no commit of the repository at"),
        ({"--head": "'{port}"}, '--head: cannot read the command "\'{port}": No closing'),
        ({"--budget": "5"}, "--budget: '5' is not a duration; write it like"),
        ({"--budget": "0s"}, "--budget: must be more than nothing"),
        ({"--margin": "0"}, "margin 0: give a share above 0, below 1: 0.02 for 2%"),
        ({"--margin": "1e300"}, "margin 1e+300: give a share above 0, below 1: 0.02 for 2%"),
        ({"--metrics": "speed"}, "--metrics: metrics 'speed': choose from throughput, cpu, p50"),
        ({"--model": "nope"}, "--model: no model 'nope'; see crossover serve --help"),
        ({"--figure": "gate.pdf"}, "--figure gate.pdf: name a file that ends with .png or .svg"),
        ({"--path": "delay=5ms"}, "--path: must begin with a slash, not 'delay=5ms'"),
        ({"--path": "/\u00fc"}, "--path: write spaces and all but plain ASCII as %XX, not '/"),
        ({"--path": "/a b"}, "--path: write spaces and all but plain ASCII as %XX, not '/a b'"),
        ({"--path": "/\r\nx: y"}, "--path: write spaces and all but plain ASCII as %XX, not '/"),
        ({"--pairs": "1" * 20}, "Invalid value for '--pairs'"),
    ],
)
def test_wrong_use_of_the_gate_is_one_line(
    capfd: pytest.CaptureFixture[str], options: dict[str, str], message: str
) -> None:
    fine = {"--base": "serve {port}", "--head": "serve {port}"}
    words = [word for pair in (fine | options).items() for word in pair]
    assert complaint(capfd, "gate", *words).startswith(f"crossover gate: {message}")


def test_a_malformed_profile_is_named_with_its_key(
    capfd: pytest.CaptureFixture[str], tiny: Path
) -> None:
    tiny.write_text(TINY_TOML.replace('"0ms"', '"0"'))
    line = complaint(capfd, "run", "--profile", tiny)
    assert line.startswith(f"crossover run: {tiny}: grid 1: delays: '0' is not a duration")


def test_a_run_is_never_written_over(
    capfd: pytest.CaptureFixture[str], tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    line = complaint(capfd, "run", "--profile", tiny, "--out", tmp_path / "run")
    assert line == (
        f"crossover run: {tmp_path}/run/run.json exists: "
        "give the run another --out folder or delete it"
    )
    assert (tmp_path / "run" / "run.json").read_text() == "{}"


def test_a_run_needs_a_folder(capfd: pytest.CaptureFixture[str], tiny: Path) -> None:
    line = complaint(capfd, "run", "--profile", tiny, "--out", tiny)
    assert line == f"crossover run: --out {tiny} is a file: give a folder that is new or empty"


def test_a_folder_that_cannot_be_made_is_told(
    capfd: pytest.CaptureFixture[str], tiny: Path
) -> None:
    """Nobody, not even root, makes a folder in /proc."""
    line = complaint(capfd, "run", "--profile", tiny, "--out", "/proc/run")
    assert line.startswith("crossover run: cannot write /proc/run: ")


def test_too_few_file_descriptors_are_told_before_anything_starts(tmp_path: Path) -> None:
    """512 connections need 576 with what else is open; the hard limit is 256."""
    limited = ["bash", "-c", 'ulimit -n 256 && exec "$@"', "bash"]
    done = crossover("run", "--out", tmp_path / "run", prefix=limited)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "crossover run: too few file descriptors: 576 needed, the hard limit is 256; raise it "
    )
    assert not (tmp_path / "run").exists()


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = crossover("serve", "threaded", "--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["serve"], "no model given; choose one of blocking, "),
        (["serve", "tornado"], "unknown model 'tornado'; choose one of blocking, "),
        (["load"], "give the URL to load"),
        (["load", "ftp://127.0.0.1/"], "ftp"),
        (["fetch"], "no model given; choose one of sequential, "),
        (["fetch", "trio"], "give the URLs of the documents"),
    ],
)
def test_serve_load_and_fetch_hand_on_what_their_programs_say(
    words: list[str], message: str
) -> None:
    done = crossover(*words)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line


@pytest.mark.parametrize("command", ["load", "fetch", "serve"])
def test_load_fetch_and_serve_show_the_help_of_their_programs(command: str) -> None:
    done = crossover(command, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    words = {"load": "--connections N", "fetch": "--pieces", "serve": "--idle-timeout"}
    assert words[command] in done.stdout


@pytest.mark.parametrize("command", ["run", "report", "compare", "predict", "gate"])
def test_every_command_has_help(capfd: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--help"]) == 0
    out, err = capfd.readouterr()
    assert f"crossover {command}" in out
    assert err == ""


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; from bench.cli import main; code = main(['--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    *shown, heavy = done.stdout.splitlines()
    assert heavy == "[] 0"
    assert all(any(line.split()[:1] == [name] for line in shown) for name in COMMANDS)


def test_what_nobody_foresaw_keeps_its_traceback(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours must not look like one of the user's, nor like the answer "slower"."""
    monkeypatch.setattr("bench.cli.choice.known_models", lambda: 1 / 0)
    assert main(["run"]) == 2
    said = capfd.readouterr().err
    assert "ZeroDivisionError" in said
    assert "crossover run: failed unexpectedly" in said


def test_ctrl_c_before_the_run_begins_is_no_traceback(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.cli.choice.known_models", interrupted)
    assert main(["run"]) == 130
    assert capfd.readouterr().err in ("", "crossover: interrupted\n")


def test_ctrl_c_while_the_commands_are_still_loading_is_no_traceback(tmp_path: Path) -> None:
    """A typer that is interrupted as it is imported stands for any of the many modules."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([*CROSSOVER, "run"], capture_output=True, text=True, cwd=ROOT, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "crossover: interrupted\n")


def test_ctrl_c_while_the_server_is_still_loading_ends_it_like_any_other(tmp_path: Path) -> None:
    site = "import os, sys\nif 'servers' in sys.orig_argv: os.kill(os.getpid(), 2)\n"
    (tmp_path / "sitecustomize.py").write_text(site)
    done = crossover("serve", "threaded", prefix=["env", f"PYTHONPATH={tmp_path}"])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"]])
def test_a_reader_that_goes_away_gets_no_traceback(words: list[str]) -> None:
    """As in `crossover --help | true`. 141 is how shells count SIGPIPE."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run([*CROSSOVER, *words], stdout=theirs, stderr=subprocess.PIPE, cwd=ROOT)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("command", ["--help", "serve trio"])
def test_output_that_the_disk_refuses_is_one_line(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*CROSSOVER, *command.split()], stdout=full, stderr=subprocess.PIPE, cwd=ROOT, text=True
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("crossover")
    assert "No space left on device" in line


def test_text_that_the_terminal_cannot_show_is_escaped() -> None:
    ascii_only = ["env", "PYTHONIOENCODING=ascii:strict"]
    done = crossover("report", "gr\u00fcn", prefix=ascii_only)
    assert done.returncode == 2
    assert done.stderr.startswith(r"crossover report: gr\xfcn: no such run")


# A run from the command line


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_change_nothing(tiny: Path, tmp_path: Path, closed: str) -> None:
    """As under some service managers: the numbers 0 to 2 must not go to pipes and files."""
    shell = ["bash", "-c", f'exec "$@" {closed}', "bash"]
    done = crossover("run", "--profile", tiny, "--out", tmp_path / "run", prefix=shell)
    assert done.returncode == 0
    trials = read_run(tmp_path / "run").trials
    assert len(trials) == 4
    assert [trial["invalid_reasons"] for trial in trials if "ended" in str(trial)] == []


def test_a_run_leaves_its_files_and_says_what_to_do_next(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "mine"
    done = crossover("run", "--profile", tiny, "--seed", "5", "--connections", "1", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"measured: {out}\nnext: crossover report {out}\n"
    assert done.stderr.splitlines()[0] == "Tiny: 2 cells a round, about 1:00"
    run = read_run(out)
    assert len(run.trials) == 2
    info = run.info
    assert (info["schema"], info["name"], info["profile"]) == (1, "mine", "tiny")
    assert (info["state"], info["rounds_done"], info["notes"]) == ("complete", 1, [])
    assert info["started"] <= info["ended"]
    assert [target["name"] for target in info["targets"]] == ["threaded", "uvloop"]
    assert info["config"]["seed"] == info["seed"] == 5
    assert info["config"]["grids"] == [
        {
            "connection": "keep-alive",
            "targets": ["threaded", "uvloop"],
            "works": ["/"],
            "delays_s": [0.0],
            "connections": [1],
            "pairs": [["uvloop", "threaded"]],
            "workers": [None],
            "units": [None],
            "server_cores": [1],
        }
    ]
    assert info["spin_rounds_per_us"] > 0
    assert info["shared_core"] is (set(info["server_cores"]) >= set(info["generator_cores"]))
    assert info["python"]["version"] == sys.version.split()[0]
    assert {"git", "machine", "packages"} <= set(info)
    assert str(ROOT) not in json.dumps([target["command"] for target in info["targets"]])


def test_a_model_that_is_not_installed_is_left_out_and_said(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['uvloop'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert main(["run", "--profile", str(tiny), "--out", str(tmp_path / "run")]) == 0
    why = "uvloop is left out: model uvloop needs uvloop: pip install uvloop"
    assert f"note: {why}" in capfd.readouterr().err.splitlines()
    run = read_run(tmp_path / "run")
    assert run.info["notes"] == [why]
    assert {trial["target"] for trial in run.trials} == {"threaded"}
    assert processes_below() == []


def test_a_run_with_everything_at_once_counts_its_cells_and_leaves_all_in_its_files(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """(2 models + theirs + 2 models under another) x 2 works x 2 numbers of units = 20 cells."""
    theirs = " ".join(["theirs=python3", odd_server.__file__, "--port {port} --body 'done\n'"])
    words = ["--target", theirs, "--python", sys.executable, "--units", "1,2"]
    words += ["--work", "/delay=1ms,/call=1ms", "--connections", "1", "--out", str(tmp_path / "r")]
    assert main(["run", "--profile", str(tiny), *words]) == 0
    shown = capfd.readouterr().err.splitlines()
    assert shown[0] == "Tiny: 20 cells a round, about 1:00"
    run = read_run(tmp_path / "r")
    assert len(run.trials) == 20
    label = f"@{sys.version_info.major}.{sys.version_info.minor}"
    kinds = {target["name"]: target["kind"] for target in run.info["targets"]}
    assert kinds == {
        "threaded": "driver",
        "uvloop": "driver",
        "theirs": "command",
        f"threaded{label}": "driver",
        f"uvloop{label}": "driver",
    }
    (grid,) = run.info["config"]["grids"]
    assert (grid["units"], grid["works"]) == ([1, 2], ["/delay=1ms", "/call=1ms"])
    assert grid["delays_s"] == [0.001, 0.001]
    assert ["theirs", "uvloop"] in grid["pairs"]
    assert [f"uvloop{label}", "uvloop"] in grid["pairs"]
    assert [f"uvloop{label}", f"threaded{label}"] in grid["pairs"]
    assert (
        "theirs has no {units} in its command: at every point it has its own" in (run.info["notes"])
    )
    assert not [c for t in run.trials if t["target"] != "theirs" for c in complaints(t)]
    assert str(ROOT) not in json.dumps(
        [target["command"] for target in run.info["targets"] if target["kind"] == "driver"]
    )
    assert processes_below() == []


def test_a_stack_is_named_like_a_model_and_left_out_where_it_is_not_installed(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stacks = {
        name: Stanza(
            name, ("serve", "{port}"), tmp_path, kind="stack", family="async", libraries=(lib,)
        )
        for name, lib in (("here", "json"), ("away", "no_such_library"))
    }
    monkeypatch.setattr("bench.cli.choice.read_stacks", lambda: stacks)
    words = ["--models", "here,away,threaded", "--connections", "1", "--out", str(tmp_path / "r")]
    assert main(["run", "--profile", str(tiny), *words]) == 0
    run = read_run(tmp_path / "r")
    why = "away is left out: it needs no_such_library: pip install no_such_library"
    assert run.info["notes"] == [why]
    assert run.info["config"]["grids"][0]["pairs"] == [["here", "threaded"]]
    assert [complaints(t) for t in run.trials if t["target"] == "threaded"] == [[]]
    assert [t["valid"] for t in run.trials if t["target"] == "here"] == [False]


def test_only_an_interpreter_that_lacks_what_is_asked_for_gets_a_hint(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A program that is ours, but for uvloop, under another version."""
    other = tmp_path / "other-python"
    away = 'import sys; sys.modules["uvloop"] = None; import runpy; sys.argv[1:] = sys.argv[4:]'
    run_servers = f'{away}; runpy.run_module("servers", run_name="__main__")'
    other.write_text(
        f'#!/bin/sh\n[ $1 = -c ] && exec {sys.executable} "$@"\n'
        f"exec {sys.executable} -P -c '{run_servers}' \"$@\"\n"
    )
    other.chmod(0o755)
    for models, left_out in (("threaded", False), ("threaded,uvloop", True)):
        out = tmp_path / models
        words = ["--models", models, "--python", str(other), "--connections", "1"]
        assert main(["run", "--profile", str(tiny), *words, "--out", str(out)]) == 0
        notes = read_run(out).info["notes"]
        assert len(notes) == 2 * left_out
        if left_out:
            assert notes[0].startswith("uvloop@3.")
            assert f"PYTHON={other}, then --python .venv-3." in notes[1]


def test_more_processes_than_a_machine_bears_are_refused(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--models",
        "threaded,thread-pool",
        "--workers",
        "600,500",
        "--out",
        str(tmp_path / "r"),
    ]
    assert main(["run", "--profile", str(tiny), *words]) == 2
    assert (
        "1102 server processes would be alive at once, at most 1000 may" in capfd.readouterr().err
    )
    assert not (tmp_path / "r").exists()
