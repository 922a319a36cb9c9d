"""The supervisor: whatever the command starts, nothing of it outlives the harness.

Every process of a test carries a token in its environment, so that none can hide from the check by
forking twice, by starting a session or by losing its parents.
"""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.measure import supervisor

ROOT = Path(__file__).parents[2]
TOKEN = "CROSSOVER_TEST_TOKEN"
GONE_WITHIN_S = 2.0

# Workers that fork twice, start sessions of their own and ignore what can be ignored; the
# innermost listens. A worker of a worker, three deep.
FORKING_TARGET = """
    import json, os, signal, socket, time
    listener = socket.create_server(("127.0.0.1", 0))
    os.set_inheritable(listener.fileno(), True)
    for depth in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            innermost = os.fork() == 0
            if depth == 2 and innermost:
                print(json.dumps({"ready": True, "host": "127.0.0.1", "pid": os.getpid(),
                                  "port": listener.getsockname()[1], "model": "m"}), flush=True)
            time.sleep(60)
            os._exit(0)
    time.sleep(60)
"""

HARNESS = """
    import sys, time
    from bench.measure.process import Process
    process = Process("target", [sys.executable, "-c", sys.argv[1]])
    print(process.wait_ready().port, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def token() -> Iterator[str]:
    """A mark on every process of the test; whatever still bears it at the end is killed."""
    value = uuid.uuid4().hex
    yield value
    for pid in bearing(value):
        os.kill(pid, signal.SIGKILL)


def bearing(token: str) -> list[int]:
    """The live processes with the token in their environment."""
    mark = f"{TOKEN}={token}".encode()
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if has(pid, mark)]


def has(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone meanwhile, or not ours
        return False


def wait_gone(token: str, within_s: float = GONE_WITHIN_S) -> None:
    """Fail unless every process with the token is gone in time."""
    deadline_s = time.monotonic() + within_s
    while left := bearing(token):
        assert time.monotonic() < deadline_s, f"still there: {[describe(pid) for pid in left]}"
        time.sleep(0.01)


def describe(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:80]


def start_harness(token: str, target: str) -> tuple[subprocess.Popen[str], int]:
    """A stand-in for the harness, and the port where its target listens."""
    command = [sys.executable, "-c", textwrap.dedent(HARNESS), textwrap.dedent(target)]
    environment = {**os.environ, TOKEN: token, "PYTHONPATH": str(ROOT)}
    harness = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert harness.stdout is not None
    return harness, int(harness.stdout.readline())


def start_supervisor(
    token: str, *command: str, cores: str = ""
) -> tuple[subprocess.Popen[bytes], int]:
    """A supervisor alone, and our end of its control pipe."""
    theirs, ours = os.pipe()
    leash = [sys.executable, "-I", "-S", supervisor.__file__, str(theirs), cores]
    process = subprocess.Popen(
        [*leash, *command],
        pass_fds=[theirs],
        env={**os.environ, TOKEN: token},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def run_supervised(token: str, *command: str, cores: str = "") -> tuple[int, str, str]:
    """Run a command to its own end: its exit code, stdout and stderr."""
    process, control = start_supervisor(token, *command, cores=cores)
    out, err = process.communicate(timeout=20)
    os.close(control)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("repeat", range(3))
def test_a_killed_harness_leaves_no_process_and_no_port(token: str, repeat: int) -> None:
    harness, port = start_harness(token, FORKING_TARGET)
    # The harness, its supervisor, the target, and of each of three workers the two innermost.
    deadline_s = time.monotonic() + 5
    while len(bearing(token)) < 1 + 1 + 1 + 3 * 2 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert len(bearing(token)) >= 9
    harness.kill()
    harness.communicate()
    wait_gone(token)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_ctrl_c_reaches_neither_supervisor_nor_target(token: str) -> None:
    """A terminal interrupts a process group of one session: theirs are others."""
    harness, _ = start_harness(token, FORKING_TARGET)
    others = set(bearing(token)) - {harness.pid}
    sessions = {stat.session for pid in others if (stat := supervisor.read_stat(pid))}
    assert os.getsid(harness.pid) not in sessions
    assert len(sessions) >= 2  # supervisor and target are apart too
    harness.kill()
    harness.communicate()
    wait_gone(token)


def test_a_chain_of_forks_is_caught(token: str) -> None:
    """Each link lives for an instant: no list of pids is ever up to date."""
    chain = "import os\nprint('go', flush=True)\nwhile True:\n  if os.fork(): os._exit(0)"
    start = f"import os\nif os.fork(): os.wait() and __import__('time').sleep(60)\n{chain}"
    process, control = start_supervisor(token, sys.executable, "-c", start)
    assert process.stdout is not None
    process.stdout.readline()
    os.close(control)
    assert process.wait(10) == supervisor.KILLED
    process.communicate()
    wait_gone(token)


def test_the_end_of_the_command_ends_what_it_left_behind(token: str) -> None:
    left_behind = "import os, time\nif os.fork() == 0: os.setsid(); time.sleep(60)"
    code, _, _ = run_supervised(token, sys.executable, "-c", left_behind)
    assert code == 0
    assert bearing(token) == []


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 128 + 9), ("kill -11 $$", 128 + 11)],
)
def test_it_ends_as_the_command_ended(token: str, script: str, code: int) -> None:
    assert run_supervised(token, "sh", "-c", script)[0] == code


def test_sigterm_is_forwarded_and_the_command_may_finish(token: str) -> None:
    script = 'trap "echo finished; exit 3" TERM; echo up; while :; do sleep 0.01; done'
    process, control = start_supervisor(token, "sh", "-c", script)
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    out, _ = process.communicate(timeout=10)
    os.close(control)
    assert (process.returncode, out) == (3, b"finished\n")


def test_a_command_that_is_not_there_is_named(token: str) -> None:
    code, _, err = run_supervised(token, "/nowhere/at-all")
    assert code == supervisor.CANNOT_START
    assert err == "cannot start '/nowhere/at-all': No such file or directory\n"


def test_a_core_that_is_not_there_is_named(token: str) -> None:
    code, _, err = run_supervised(token, "true", cores="100000")
    assert code == supervisor.CANNOT_START
    assert err == "cannot run on cores 100000: Invalid argument\n"


def test_the_command_starts_pinned(token: str) -> None:
    core = max(os.sched_getaffinity(0))
    script = "import os; print(os.sched_getaffinity(0))"
    _, out, _ = run_supervised(token, sys.executable, "-c", script, cores=str(core))
    assert out == f"{{{core}}}\n"


def test_the_command_sees_default_signals_and_no_control_pipe(token: str) -> None:
    script = textwrap.dedent("""
        import os, signal
        print(signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, []))
        print(sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:4])
        print(os.getsid(0) == os.getpid())
    """)
    _, out, _ = run_supervised(token, sys.executable, "-c", script)
    # Descriptor 3 is the one that lists /proc/self/fd.
    assert out.splitlines() == ["0 set()", "[0, 1, 2, 3]", "True"]


def test_killing_the_supervisor_takes_the_command_along(token: str) -> None:
    process, control = start_supervisor(token, "sh", "-c", "echo up; exec sleep 60")
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    os.close(control)
    wait_gone(token)


def test_a_name_with_spaces_and_parentheses_is_no_obstacle() -> None:
    name = ") 1 (a b"
    script = f"open('/proc/self/comm', 'w').write({name!r}); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        stat = supervisor.read_stat(process.pid)
        assert stat is not None
        assert (stat.pid, stat.parent, stat.threads) == (process.pid, os.getpid(), 1)
        assert process.pid in {below.pid for below in supervisor.descendants(os.getpid())}
        process.communicate(b"\n")
    assert supervisor.read_stat(process.pid) is None
