"""Targets of others: commands with a port, asked until they answer."""

import http.client
import sys

import odd_server
import pytest
from harness import processes_below

from bench.errors import UserError
from bench.measure.foreign import FAILING_S, answers, command_words, free_port, start_foreign
from bench.measure.process import Process, TargetError

ODD = [*odd_server.COMMAND, "--port", "{port}"]


def test_a_command_is_split_as_a_shell_would() -> None:
    words = command_words("uvicorn 'my app:app' --port {port}", "--target")
    assert words == ["uvicorn", "my app:app", "--port", "{port}"]


@pytest.mark.parametrize("text", ["", "   ", "uvicorn app:app", "uvicorn --port {prt}"])
def test_a_command_without_a_port_to_fill_in_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        command_words(text, "--head")
    assert str(caught.value) == f"--head: give a command with {{port}} in it, not {text!r}"


def test_a_command_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"--base: cannot read the command .*: No closing quotation"
    ):
        command_words("serve 'x --port {port}", "--base")


def test_a_free_port_is_free() -> None:
    assert not answers(free_port())()


def test_a_foreign_server_is_started_on_a_port_of_our_choice() -> None:
    process, port = start_foreign("theirs", ODD, cores=())
    with process:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"odd"
        connection.close()
    assert processes_below() == []


def test_its_environment_is_the_one_given() -> None:
    script = "import os, sys; sys.exit(int(os.environ['CODE']) if '{port}' else 0)"
    with pytest.raises(TargetError, match="theirs: ended with exit code 7"):
        start_foreign("theirs", [sys.executable, "-c", script], cores=(), env={"CODE": "7"})


def test_one_that_answers_with_nothing_but_failures_is_up_after_a_while() -> None:
    """A server that starts may answer 503 for a moment; one that goes on so is to be measured."""
    process, port = start_foreign("theirs", [*ODD, "--status", "503"], cores=())
    with process:
        probe = answers(port)
        assert not probe()
        process.wait_until(probe, timeout_s=FAILING_S + 10)


def test_one_that_never_answers_is_told() -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(TargetError, match=r"theirs: did not answer as expected within 0\.2 s"):
        Process("theirs", sleeper).wait_until(answers(free_port()), timeout_s=0.2)
    assert processes_below() == []
