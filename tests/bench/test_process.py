"""A process as the harness sees it: real commands, real pipes, real signals."""

import os
import shutil
import signal
import socket
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.measure import supervisor
from bench.measure.json_process import JsonProcess
from bench.measure.output import KEEP_BYTES, parse_ready
from bench.measure.process import Process, Ready, TargetError, describe_exit

READY = '{"ready": true, "host": "127.0.0.1", "port": 4711, "pid": 42, "model": "m"}'
SAY_READY = f"print('{READY}', flush=True)\n"


def python(script: str) -> list[str]:
    return [sys.executable, "-I", "-c", textwrap.dedent(script)]


def wait_for(condition: Callable[[], bool], what: str, within_s: float = 10) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.005)


def test_the_ready_line_is_found_among_other_output() -> None:
    chatter = "import sys, time\nprint('starting')\nprint('{not json')\nprint('{\"ready\": 1}')\n"
    with Process("server", python(f"{chatter}{SAY_READY}time.sleep(60)")) as process:
        expected = Ready("127.0.0.1", 4711, 42, "m")
        assert process.wait_ready() == expected
        assert process.ready == expected
        assert process.alive
        assert process.exit_code is None


def test_a_ready_line_in_pieces_is_found() -> None:
    script = f"""
        import sys, time
        for piece in {[READY[:9], READY[9:30], READY[30:], chr(10)]!r}:
            sys.stdout.write(piece); sys.stdout.flush(); time.sleep(0.01)
        time.sleep(60)
    """
    with Process("server", python(script)) as process:
        assert process.wait_ready().port == 4711


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("print('bad flag'); exit(3)", "x: ended with exit code 3; its last output:\n  bad flag"),
        ("exit(0)", "x: ended with exit code 0; it printed nothing"),
        ("import os; os.kill(os.getpid(), 11)", "x: ended with signal SIGSEGV; it printed nothing"),
        ("input()", "EOFError: EOF when reading a line"),
        (
            "import time; print('{\"ready\": true}', flush=True); time.sleep(60)",
            'x: its ready line needs host, port, pid and model: {"ready": true}',
        ),
    ],
)
def test_what_happened_before_ready_is_told(script: str, message: str) -> None:
    process = Process("x", python(script))
    with pytest.raises(TargetError) as caught:
        process.wait_ready()
    assert message in str(caught.value)
    assert isinstance(caught.value, UserError)
    assert not process.alive


def test_never_ready_is_killed_and_told_with_the_last_output() -> None:
    process = Process("x", python("import time; print('hm', flush=True); time.sleep(60)"))
    wait_for(lambda: process.last_output != "", "it says hm")
    with pytest.raises(TargetError, match=r"x: printed no ready line within 0.1 s; .*\n  hm"):
        process.wait_ready(timeout_s=0.1)
    assert not process.alive


def test_a_wrong_command_is_told() -> None:
    with pytest.raises(TargetError, match="cannot start '/nowhere/x': No such file or directory"):
        Process("x", ["/nowhere/x"]).wait_ready()
    with pytest.raises(TargetError, match="x: its command is empty"):
        Process("x", [])
    with pytest.raises(TargetError, match=r"x: cannot start 'true': .*'/nowhere'"):
        Process("x", ["true"], cwd=Path("/nowhere"))


def test_a_flood_of_output_neither_blocks_nor_is_kept() -> None:
    flood_bytes = 50 << 20
    script = f"import sys; sys.stdout.write('x' * 99 + chr(10)); print('y' * {flood_bytes}); "
    with Process("x", python(f"{script}print('the end')")) as process:
        wait_for(lambda: not process.alive, "it could write all of it")
        process.kill()
        assert process.last_output.endswith("the end")
        assert len(process.last_output) <= KEEP_BYTES


def test_a_foreign_server_is_asked_until_it_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            return False
        return True

    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with Process("foreign", command, cwd=Path(__file__).parent) as process:
        process.wait_until(listens)
        assert listens()
    assert not listens()


def test_a_foreign_server_that_dies_or_never_answers_is_told() -> None:
    with pytest.raises(TargetError, match="foreign: ended with exit code 5"):
        Process("foreign", python("exit(5)")).wait_until(lambda: False)
    with pytest.raises(TargetError, match=r"did not answer as expected within 0\.05 s"):
        Process("foreign", ["sleep", "60"]).wait_until(lambda: False, timeout_s=0.05)


def test_another_server_at_its_port_is_no_answer() -> None:
    process = Process("foreign", python("exit('address in use')"))
    wait_for(lambda: not process.alive, "it ends")
    with pytest.raises(TargetError, match=r"ended with exit code 1;.*\n  address in use"):
        process.wait_until(lambda: True)


def test_stop_lets_it_finish_and_kill_does_not() -> None:
    finish = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(9))\n"
    script = f"{finish}{SAY_READY}time.sleep(60)"
    process = Process("x", python(script))
    process.wait_ready()
    assert process.stop() == 9
    assert process.stop() == 9  # again is harmless
    process = Process("x", python(script))
    process.wait_ready()
    assert process.kill() == 128 + signal.SIGKILL


def test_stop_kills_what_ignores_it() -> None:
    script = f"import signal, time\nsignal.signal(15, signal.SIG_IGN)\n{SAY_READY}time.sleep(60)"
    process = Process("x", python(script))
    process.wait_ready()
    assert process.stop(grace_s=0.1) == 128 + signal.SIGKILL


def test_an_error_inside_the_with_block_kills() -> None:
    process = Process("x", ["sleep", "60"])
    with pytest.raises(ZeroDivisionError), process:
        raise ZeroDivisionError
    assert process.exit_code == 128 + signal.SIGKILL


def test_a_supervisor_that_hangs_is_no_excuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.process.KILL_TIMEOUT_S", 0.2)
    process = Process("x", python(f"import time, os\n{SAY_READY}os.fork()\ntime.sleep(60)"))
    process.wait_ready()
    supervisor_pid = process._popen.pid
    os.kill(supervisor_pid, signal.SIGSTOP)
    below = [stat.pid for stat in supervisor.descendants(supervisor_pid)]
    process.kill()
    assert below
    # Killed and handed to init, which reaps them.
    wait_for(lambda: not any(alive(pid) for pid in below), "all gone", within_s=2)


def alive(pid: int) -> bool:
    stat = supervisor.read_stat(pid)
    return stat is not None and stat.state != "Z"


def test_environment_directory_and_cores_are_as_asked(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    script = "import os; print(os.environ['A'], os.getcwd(), os.sched_getaffinity(0))"
    with Process("x", python(script), env={"A": "b"}, cwd=tmp_path, cores=[core]) as process:
        wait_for(lambda: not process.alive, "it ends")
    assert process.last_output == f"b {tmp_path} {{{core}}}"


def test_cpu_time_is_counted_to_the_microsecond_over_the_whole_tree() -> None:
    """Parent, child and a child that has ended use 0.1 s each by their own clocks: 0.3 s."""
    spin = "import os, time\ndef spin():\n  while time.process_time() < 0.1: pass\n"
    script = f"""{spin}
if os.fork() == 0: spin(); os._exit(0)
os.wait()
if os.fork() == 0: spin(); print('spun', flush=True); time.sleep(60)
spin(); print('spun', flush=True); time.sleep(60)
"""
    with Process("x", python(script)) as process:
        before = process.sample()
        wait_for(lambda: process.last_output.count("spun") == 2, "both have spun")
        usage = process.sample()
    assert usage.processes == 2
    # The child that has ended is known to the tick of 10 ms only.
    assert 0.3 - 0.01 <= usage.cpu_s <= 0.3 + 0.15
    assert usage.since(before).cpu_s == pytest.approx(usage.cpu_s - before.cpu_s)


def test_threads_memory_and_switches_are_those_of_the_target_alone() -> None:
    script = f"""
import threading, time
kept = bytearray(b'x' * (40 << 20))
def wait():
    for _ in range(100): time.sleep(0.001)
    done.wait(); time.sleep(60)
done = threading.Barrier(4)
for _ in range(3): threading.Thread(target=wait, daemon=True).start()
done.wait()
{SAY_READY}time.sleep(60)
"""
    with Process("x", python(script)) as process:
        process.wait_ready()
        usage = process.sample()
    assert (usage.processes, usage.threads) == (1, 4)
    # 40 MiB kept, and an interpreter of well under 60.
    assert 40 << 20 < usage.rss_bytes < 100 << 20
    # Three threads slept a hundred times each.
    assert 300 <= usage.voluntary_switches < 3000
    assert usage.involuntary_switches >= 0
    assert usage.since(usage).voluntary_switches == 0


def test_memory_that_processes_share_is_counted_once() -> None:
    """Three processes share 60 MiB: 60 and a little, not 180."""
    share = "kept = bytearray(b'x' * (60 << 20)); pid = os.fork() and os.fork()"
    script = f"import os, time\n{share}\nif pid: time.sleep(0.05)\n{SAY_READY}time.sleep(60)"
    with Process("x", python(script)) as process:
        wait_for(lambda: process.last_output.count("ready") == 3, "all three are up")
        usage = process.sample()
    assert usage.processes == 3
    assert 60 << 20 < usage.rss_bytes < 120 << 20


def test_a_target_that_is_gone_cannot_be_sampled() -> None:
    process = Process("x", python("exit('out of luck')"))
    wait_for(lambda: not process.alive, "it ends")
    with pytest.raises(TargetError, match=r"x: ended with exit code 1;.*\n  out of luck"):
        process.sample()


ECHO = """
    import json, sys
    for line in sys.stdin:
        message = json.loads(line)
        print(message["say"] if "say" in message else json.dumps({"got": message}), flush=True)
"""


def test_a_generator_is_spoken_to_in_lines_of_json() -> None:
    with JsonProcess("generator", python(ECHO)) as generator:
        for number in range(3):
            assert generator.ask({"n": number}, timeout_s=10) == {"got": {"n": number}}
        long = "x" * 300_000
        assert generator.ask({"long": long}, timeout_s=10)["got"]["long"] == long
        assert generator.ask({"say": '{"a": 1}\n{"b": 2}'}, timeout_s=10) == {"a": 1}
        assert generator.receive(timeout_s=10) == {"b": 2}
    assert not generator.alive


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (ECHO.replace("say", "n"), "something else than a JSON object: b'1'"),
        ("import time; time.sleep(60)", r"did not answer within 0\.\d+ s"),
        ("import sys; sys.stdin.readline(); sys.exit('oh no')", r"exit code 1;.*\n  oh no"),
        ("import sys; print('torn', end=''); sys.exit('oh no')", r"exit code 1;.*\n  oh no"),
    ],
)
def test_a_generator_that_does_not_answer_is_told(script: str, message: str) -> None:
    generator = JsonProcess("generator", python(script))
    with pytest.raises(TargetError, match=rf"(?s)generator: .*{message}"):
        generator.ask({"n": 1}, timeout_s=0.2 if "sleep" in script else 10)
    assert not generator.alive


def test_speaking_to_a_generator_that_has_ended_is_told() -> None:
    generator = JsonProcess("generator", python("exit(4)"))
    wait_for(lambda: not generator.alive, "it ends")
    with pytest.raises(TargetError, match="generator: ended with exit code 4"):
        generator.send({"n": 1})


@pytest.mark.parametrize(
    ("line", "ready"),
    [
        (b'{"ready": true, "port": 1}', {"ready": True, "port": 1}),
        (b'  {"ready": true}\r', {"ready": True}),
        (b'{"ready": 1}', None),
        (b"[true]", None),
        (b'{"ready": true', None),
        (b"{\xff}", None),
        (b"", None),
    ],
)
def test_only_an_object_that_says_ready_is_a_ready_line(line: bytes, ready: object) -> None:
    assert parse_ready(line) == ready


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (1, "exit code 1"), (128, "exit code 128"), (137, "signal SIGKILL")],
)
def test_exit_codes_are_put_into_words(code: int, words: str) -> None:
    assert describe_exit(code) == words


def test_sampling_is_cheap_enough_for_the_edges_of_a_slice() -> None:
    """No promise of speed here, only that a thousand threads do not break it."""
    script = f"""
import threading, time
for _ in range(1000): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
{SAY_READY}time.sleep(60)
"""
    with Process("x", python(script)) as process:
        process.wait_ready()
        usage = process.sample()
    assert usage.threads == 1001
    assert len(usage.thread_switches) == 1001


@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid(1) of util-linux")
def test_stop_takes_along_what_left_the_session() -> None:
    script = "setsid sleep 61 & echo $!; wait"
    process = Process("x", ["sh", "-c", script])
    wait_for(lambda: process.last_output != "", "it printed the pid")
    below = int(process.last_output)
    wait_for(lambda: alive(below), "it runs")
    process.stop()
    assert not alive(below)
