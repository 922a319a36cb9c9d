"""The clients of slow documents: the same text from each, and which of them waits for which.

What is tested is an order, never a speed: a server that has to be waited for sends the next piece
when the client has told of the one before, or has hung up.
"""

import ast
import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest

from clients.errors import LoadError
from clients.fetch.__main__ import CLIENTS, TO_INSTALL, main
from clients.fetch.arrivals import Arrivals, Interleaving, interleaving
from clients.fetch.document import Document, StatusError
from clients.fetch.outcome import in_words
from clients.response import ProtocolError, TruncatedError
from tests.clients.scripted import ScriptedServer, Turn
from tests.conftest import ROOT, StartServer

# Where tests run in the background, their children would ignore interrupts too.
COMMAND = ["env", "--default-signal=INT", sys.executable, "-m", "clients.fetch"]
MOST_LINES = 79
LIMIT_S = 30.0
TRUNCATED = "the connection was closed before the reply was complete"
TIMED_OUT = "nothing came within --timeout"


def models(*names: str) -> pytest.MarkDecorator:
    """Each of these models, unless its library is not there."""
    return pytest.mark.parametrize(
        "model",
        [
            pytest.param(
                name,
                marks=pytest.mark.skipif(
                    name in TO_INSTALL and importlib.util.find_spec(name) is None,
                    reason=f"{name} is not installed",
                ),
            )
            for name in names
        ],
    )


every_model = models(*CLIENTS)
every_concurrent_model = models(*(name for name in CLIENTS if name != "sequential"))


def fetch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


def figures(*arguments: str, exit_code: int = 0) -> dict[str, Any]:
    """What a fetch came to, with the pieces and the texts; it must not complain."""
    done = fetch("--json", "--pieces", "--show", *arguments)
    assert (done.returncode, done.stderr) == (exit_code, "")
    assert done.stdout.count("\n") == 1
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A fetch that runs meanwhile; it is killed if it is still there in the end."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=pipe, stderr=pipe, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


# The documents

OK_HEAD = b"HTTP/1.1 200 OK\r\n"
# Two, three and four bytes a character: pieces of 5 bytes are cut inside of one again and again.
TEXTS = {
    "/length": "古池や蛙飛びこむ水の音\n" * 5,
    "/chunked": "Über allen Gipfeln ist Ruh, €𝄞𝄢\n" * 5,
    "/close": "plain ASCII, and at the very end 𝄞",
}


def library(turn: Turn) -> None:
    """Send a document 5 bytes at a time, framed as its path says."""
    body = TEXTS[turn.path].encode()
    pieces = [body[start : start + 5] for start in range(0, len(body), 5)]
    if turn.path == "/length":
        turn.send(OK_HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
    elif turn.path == "/chunked":
        turn.send(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]
    else:
        turn.send(OK_HEAD + b"\r\n")
    for piece in pieces:
        turn.send(piece)
        turn.wait(0.001)
    if turn.path == "/close":
        turn.finish()


def at(server: ScriptedServer, *paths: str) -> list[str]:
    return [server.url.rstrip("/") + path for path in paths]


@every_model
def test_every_client_gets_the_same_texts_however_they_are_framed_and_cut(model: str) -> None:
    with ScriptedServer(library) as server:
        result = figures(model, *at(server, *TEXTS))
    assert [each["text"] for each in result["documents"]] == list(TEXTS.values())
    assert [each["failure"] for each in result["documents"]] == [None] * 3
    for number, each in enumerate(result["documents"], start=1):
        sizes = [size for _, document, size in result["pieces"] if document == number]
        assert sum(sizes) == each["bytes"] == len(each["text"].encode())
        assert (each["number"], each["pieces"]) == (number, len(sizes))
        assert each["characters"] == len(each["text"]) < each["bytes"]
        assert 0 < each["first_piece_s"] <= each["total_s"] <= result["total_s"]
    times_s = [at_s for at_s, *_ in result["pieces"]]
    assert times_s == sorted(times_s)
    assert all(b"Connection: close\r\n" in request for request in server.requests)


@every_model
def test_the_same_document_can_be_fetched_twice(model: str) -> None:
    with ScriptedServer(library) as server:
        result = figures(model, *at(server, "/close", "/close"))
    assert [each["text"] for each in result["documents"]] == [TEXTS["/close"]] * 2


# Who waits for whom


class Lockstep:
    """Documents whose pieces come in an order of the test's, and each by itself.

    The next one is sent when the client has printed that the one before has come.
    """

    def __init__(self, order: list[int]) -> None:
        self.order = order
        self.printed: list[int] = []
        self.rest = ""
        self.exit_code: int | None = None
        self._told = threading.Condition()

    def fetch(self, model: str, *options: str) -> None:
        with ScriptedServer(self._script) as server:
            urls = at(server, *(f"/{document}" for document in sorted(set(self.order))))
            with started(model, "--pieces", "--timeout", "20s", *options, *urls) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    self._tell(line)
                self.exit_code = process.wait(LIMIT_S)

    def _tell(self, line: str) -> None:
        with self._told:
            if piece := re.fullmatch(r" +\d+\.\d{3} s  document (\d+)  1 bytes\n", line):
                self.printed.append(int(piece[1]))
                self._told.notify_all()
            else:
                self.rest += line

    def _script(self, turn: Turn) -> None:
        document = int(turn.path.strip("/"))
        places = [place for place, each in enumerate(self.order) if each == document]
        turn.send(OK_HEAD + b"Content-Length: %d\r\n\r\n" % len(places))
        for place in places:
            if not self._wait_until_printed(place, turn.server.stopping):
                return
            turn.send(b"x")

    def _wait_until_printed(self, count: int, stopping: threading.Event) -> bool:
        while not stopping.is_set():
            with self._told:
                if self._told.wait_for(lambda: len(self.printed) >= count, 0.05):
                    return True
        return False


@every_concurrent_model
@pytest.mark.parametrize(
    ("order", "switches", "interleaved"),
    [
        # 9 pieces in turn: each of the 8 others is of another document than the one before.
        ([1, 2, 3] * 3, "8 (at least 2, at most 8)", "100%"),
        # 3|1|22|1|33|2|1|3 has 7 switches, and 2 to 9 are possible: 5 of 7 that need not be.
        ([3, 1, 2, 2, 1, 3, 3, 2, 1, 3], "7 (at least 2, at most 9)", "71%"),
        # The last first, and one after another.
        ([3, 3, 2, 2, 1, 1], "2 (at least 2, at most 5)", "0%"),
    ],
    ids=["in turn", "mixed", "backwards"],
)
def test_a_concurrent_client_takes_pieces_in_whatever_order_they_come(
    model: str, order: list[int], switches: str, interleaved: str
) -> None:
    lockstep = Lockstep(order)
    lockstep.fetch(model)
    assert (lockstep.printed, lockstep.exit_code) == (order, 0)
    assert f"another: {switches}; interleaved {interleaved}\n" in lockstep.rest


def test_a_sequential_client_takes_one_document_after_another() -> None:
    order = [1, 1, 1, 2, 2, 2, 3, 3, 3]
    lockstep = Lockstep(order)
    lockstep.fetch("sequential")
    assert (lockstep.printed, lockstep.exit_code) == (order, 0)
    assert ": 2 (at least 2, at most 8); interleaved 0%\n" in lockstep.rest


def test_a_sequential_client_gets_nothing_that_comes_in_turns() -> None:
    """It waits for document 1, whose second piece waits for the first of document 2."""
    lockstep = Lockstep([1, 2] * 2)
    lockstep.fetch("sequential", "--timeout", "200ms")
    assert lockstep.exit_code == 1
    assert lockstep.rest.count(f"failed: {TIMED_OUT}\n") == 2


def held_back(turn: Turn) -> None:
    """The second half of document 1 comes when the client has hung up on document 2."""
    turn.send(OK_HEAD + b"Content-Length: 2\r\n\r\na")
    if turn.path == "/1":
        turn.server.wait_for(lambda: turn.server.ended > 0, LIMIT_S)
    turn.send(b"b")


@every_concurrent_model
def test_document_2_can_be_there_before_document_1(model: str) -> None:
    with ScriptedServer(held_back) as server:
        result = figures(model, *at(server, "/1", "/2"))
    assert [each["text"] for each in result["documents"]] == ["ab", "ab"]
    assert [document for _, document, _ in result["pieces"]][-1] == 1


def test_the_total_of_a_sequential_client_is_the_sum() -> None:
    with ScriptedServer(library) as server:
        result = figures("sequential", *at(server, *TEXTS))
    each_s = [each["total_s"] for each in result["documents"]]
    assert result["total_s"] >= sum(each_s) * 0.999
    assert result["switches"] == result["switches_least"] == 2


# Documents that fail


FAILURES = {
    "/fine": None,
    "/reset": "Connection reset by peer",
    "/empty": TRUNCATED,
    "/short": TRUNCATED,
    "/chunk": TRUNCATED,
    "/nonsense": "expected an HTTP/1.x status line, got b'SSH-2.0-x\\r\\n'",
    "/missing": "status 404",
    "/silent": TIMED_OUT,
    "/stalls": TIMED_OUT,
    "/fine?again": None,
}


def faulty(turn: Turn) -> None:
    length = OK_HEAD + b"Content-Length: 4\r\n\r\n"
    match turn.path:
        case "/reset":
            turn.send(length + b"pa")
            turn.reset()
        case "/empty":
            turn.finish()
        case "/short":
            turn.finish(length + b"pa")
        case "/chunk":
            turn.finish(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\npa\r\n")
        case "/nonsense":
            turn.send(b"SSH-2.0-x\r\n")
        case "/missing":
            turn.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")
        case "/silent":
            turn.stall()
        case "/stalls":
            turn.send(length + b"pa")
            turn.stall()
        case _:
            turn.send(length + b"fine")


@contextmanager
def refusing_and_full() -> Iterator[tuple[str, str]]:
    """A URL where nobody listens, and one whose listener takes no connection any more."""
    with socket.socket() as closed, socket.socket() as full:
        closed.bind(("127.0.0.1", 0))
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        closed_url, full_url = (
            f"http://127.0.0.1:{sock.getsockname()[1]}/" for sock in (closed, full)
        )
        yield closed_url, full_url
        for sock in waiting:
            sock.close()


@every_model
def test_a_document_that_fails_says_why_and_leaves_the_others_alone(model: str) -> None:
    with ScriptedServer(faulty) as server, refusing_and_full() as (closed, full):
        urls = [closed, full, *at(server, *FAILURES)]
        result = figures(model, "--timeout", "2s", *urls, exit_code=1)
    failures = [each["failure"] for each in result["documents"]]
    assert failures == ["Connection refused", TIMED_OUT, *FAILURES.values()]
    texts = dict(zip(FAILURES, [each["text"] for each in result["documents"][2:]], strict=True))
    assert texts.pop("/reset") in ("", "pa")  # a reset may overtake what was sent before it
    assert texts == {
        "/fine": "fine",
        "/empty": "",
        "/short": "pa",
        "/chunk": "pa",
        "/nonsense": "",
        "/missing": "none",
        "/silent": "",
        "/stalls": "pa",
        "/fine?again": "fine",
    }


@every_model
def test_a_host_that_no_name_server_knows_is_a_failure_too(model: str) -> None:
    """`.invalid` is the domain that never is there (RFC 2606)."""
    result = figures(model, "http://host.invalid/", exit_code=1)
    assert result["documents"][0]["failure"]
    assert (result["switches"], result["switches_most"], result["interleaved"]) == (0, 0, None)


@every_model
def test_every_address_of_a_host_is_tried(model: str) -> None:
    """`localhost` is ::1 and 127.0.0.1 on most machines; here only the latter is listened on."""
    with ScriptedServer(faulty) as server:
        result = figures(model, f"http://localhost:{server.port}/fine")
    assert result["documents"][0]["text"] == "fine"


@every_model
def test_ipv6(model: str) -> None:
    try:
        server = ScriptedServer(faulty, host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        assert figures(model, server.url)["documents"][0]["text"] == "fine"


# The command


@every_model
def test_ctrl_c_ends_it_quietly(model: str) -> None:
    with ScriptedServer(faulty) as server, started(model, *at(server, "/stalls", "/silent")) as run:
        assert server.wait_for(lambda: len(server.requests) > 0)
        run.send_signal(signal.SIGINT)
        output, errors = run.communicate(timeout=LIMIT_S)
    assert (run.returncode, output, errors) == (130, "", "")


def endless(turn: Turn) -> None:
    turn.send(OK_HEAD + b"\r\n")
    while not turn.server.stopping.is_set():
        turn.send(b"x")
        turn.wait(0.01)


@every_model
def test_a_reader_of_the_pieces_that_goes_away_ends_it_quietly(model: str) -> None:
    """As in `crossover fetch ... --pieces | head -1`. 141 is how shells count SIGPIPE."""
    with ScriptedServer(endless) as server, started(model, "--pieces", server.url) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline().endswith(" bytes\n")
        run.stdout.close()
        assert (run.wait(LIMIT_S), run.stderr.read()) == (141, "")


@pytest.mark.parametrize("options", [["--pieces"], ["--json"], []])
def test_output_that_the_disk_refuses_is_one_line(options: list[str]) -> None:
    with ScriptedServer(faulty) as server, Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *options, "sequential", server.url],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "crossover fetch: cannot write the output: No space left on device\n"


URL = "http://127.0.0.1:1/"
BAD_USE = {
    "nothing": ([], f"no model given; choose one of {', '.join(CLIENTS)}"),
    "an unknown model": (["curl", URL], "unknown model 'curl'; choose one of sequential, "),
    "no URL": (["trio"], "give the URLs of the documents"),
    "a URL that is none": (["trio", URL, "https://h/"], "only http:// is supported"),
    "a host that cannot exist": (["trio", "http://a..b/"], "no host has such a name"),
    "an unknown flag": (["trio", URL, "--fast"], "unrecognized arguments: --fast"),
    "a shortened flag": (["trio", URL, "--time=2s"], "unrecognized arguments: --time=2s"),
    "a timeout without unit": (["trio", URL, "--timeout", "10"], "'10' is not a duration"),
    "a timeout of nothing": (["trio", URL, "--timeout", "0s"], "'0s' is no time at all"),
    "a timeout of days": (["trio", URL, "--timeout", "1441m"], "'1441m' is longer than a day"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD_USE.values(), ids=BAD_USE)
def test_wrong_use_is_one_line_that_says_what_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert printed.err.startswith("crossover fetch: ")
    assert words in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("library", sorted(TO_INSTALL))
def test_a_library_that_is_missing_is_told_with_how_to_install_it(
    library: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SystemExit) as ended:
        main([library, URL])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"crossover fetch: model {library} needs {library}: pip install {library}\n"
    )


def test_help_names_the_models_and_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(f"\n  {name} " in shown for name in CLIENTS)
    assert all(option in shown for option in ("--timeout T", "--pieces", "--show", "--json"))


def test_options_may_stand_anywhere() -> None:
    with ScriptedServer(faulty) as server:
        first, second = at(server, "/fine", "/fine")
        done = fetch("sequential", first, "--show", second, "--timeout", "5s")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"\n--- document 2: {second}\nfine\n")
    assert f"\n--- document 1: {first}\nfine\n" in done.stdout


@every_model
def test_crossover_fetch_gets_what_a_server_of_ours_drips(
    model: str, start_server: StartServer
) -> None:
    server = start_server("asyncio")
    url = f"http://127.0.0.1:{server.port}/body=300/drip=30x5ms"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "fetch", model, *[url] * 3, "--json", "--show"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["model"] == model
    assert [each["bytes"] for each in result["documents"]] == [300] * 3
    assert len({each["text"] for each in result["documents"]}) == 1
    assert result["switches"] == 2 if model == "sequential" else result["switches"] >= 2


# The code


@pytest.mark.parametrize("module", CLIENTS.values())
def test_a_client_is_short_and_knows_at_most_one_other(module: str) -> None:
    source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
    assert len(source.splitlines()) <= MOST_LINES
    imported = {
        node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)
    }
    assert len(imported & set(CLIENTS.values())) <= 1


def test_a_client_is_imported_when_it_is_asked_for() -> None:
    script = (
        "import sys, clients.fetch.__main__;"
        "print({'asyncio', 'trio', 'twisted', *clients.fetch.__main__.CLIENTS.values()}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("set()\n", "")


# Interleaving


def test_no_piece_is_no_switch() -> None:
    assert interleaving([]) == Interleaving(0, 0, 0)
    assert interleaving([1, 1]) == Interleaving(0, 0, 0)
    assert interleaving([1, 2]) == Interleaving(1, 1, 1)
    assert [interleaving(order).share for order in ([], [1, 1], [1, 2])] == [None] * 3


def test_the_share_is_that_of_the_switches_that_need_not_be() -> None:
    """2 documents of 2 pieces: 1 switch at least and 3 at most."""
    orders = ([1, 1, 2, 2], [1, 2, 2, 1], [1, 2, 1, 2])
    assert [interleaving(order).share for order in orders] == [0, 0.5, 1]


@pytest.mark.parametrize(
    "pieces", [[1], [3], [1, 1], [4, 1], [1, 5], [2, 2], [3, 3], [3, 1, 1], [2, 2, 2], [1, 1, 5]]
)
def test_the_least_and_the_most_are_those_of_all_orders(pieces: list[int]) -> None:
    everything = [document for document, count in enumerate(pieces) for _ in range(count)]
    orders = set(permutations(everything))
    counts = [sum(one != other for one, other in pairwise(order)) for order in orders]
    found = {(each.least, each.most) for each in map(interleaving, orders)}
    assert found == {(min(counts), max(counts))}


# One document


def document(*, clock_s: Callable[[], float] = lambda: 0.0) -> tuple[Document, Arrivals]:
    arrivals = Arrivals(clock_s=clock_s)
    return Document(1, "http://h/", arrivals), arrivals


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_text_is_the_same_wherever_its_bytes_are_cut(size: int) -> None:
    text = "aβ€𝄞" * 9
    data = OK_HEAD + b"Content-Length: %d\r\n\r\n" % len(text.encode()) + text.encode()
    one, arrivals = document()
    with one.fetching():
        complete = [one.receive(data[at : at + size]) for at in range(0, len(data), size)]
    assert complete == [False] * (len(complete) - 1) + [True]
    assert (one.text, one.failure, one.pieces) == (text, None, len(arrivals.pieces))
    assert sum(piece.size_bytes for piece in arrivals.pieces) == one.size_bytes == 9 * 10


def test_bytes_that_are_no_text_are_replaced() -> None:
    one, _ = document()
    with one.fetching():
        one.receive(OK_HEAD + b"\r\n\xffa\xe2\x82")
        assert one.text == "\ufffda"
        one.receive(b"")
    assert (one.text, one.failure) == ("\ufffda\ufffd", None)


def test_a_head_is_no_piece() -> None:
    one, arrivals = document()
    one.receive(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    one.receive(b"2\r\n")
    assert arrivals.pieces == []
    one.receive(b"ab\r\n0")
    assert one.receive(b"\r\n\r\n")
    assert [piece.size_bytes for piece in arrivals.pieces] == [2]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"nonsense", ProtocolError),
        (b"HTTP/1.1 204 No Content\r\n\r\n", StatusError),
        (b"", TruncatedError),
    ],
)
def test_what_is_wrong_with_a_reply_is_raised(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        document()[0].receive(data)


def test_what_goes_wrong_after_the_end_is_no_failure() -> None:
    one, _ = document()
    with one.fetching():
        assert one.receive(OK_HEAD + b"Content-Length: 0\r\n\r\n")
        raise OSError
    assert one.failure is None


def test_a_mistake_of_ours_is_no_failure_of_the_document() -> None:
    one, _ = document()
    with pytest.raises(ZeroDivisionError), one.fetching():
        raise ZeroDivisionError
    assert one.failure == "not fetched"


def test_a_bad_url_is_told_at_once() -> None:
    with pytest.raises(LoadError, match="no host has such a name"):
        Document(1, "http://a..b/", Arrivals())


def test_the_outcome_in_words() -> None:
    """The clock: start 10.0; begun 10.5, a piece at 10.75, over at 12.0; begun 12.0, over 12.25."""
    clock = iter([10.0, 10.5, 10.75, 12.0, 12.0, 12.25])
    arrivals = Arrivals(clock_s=lambda: next(clock))
    one, other = (Document(number, "http://h/", arrivals) for number in (1, 2))
    with one.fetching():
        one.receive(OK_HEAD + b"Content-Length: 3\r\n\r\n\xe2\x82\xac")
    with other.fetching():
        raise ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)")
    assert in_words([one, other], arrivals.pieces, with_texts=True) == (
        "  document      bytes   characters   pieces   first piece       total\n"
        "         1          3            1        1       0.250 s     1.500 s\n"
        "         2          0            0        0             -     0.250 s"
        "  failed: Connection refused\n"
        "       all          3            1        1                   2.250 s\n"
        "\n"
        "switches from one document to another: 0 (at least 0, at most 0); "
        "interleaved -\n"
        "\n--- document 1: http://h/\n€\n"
        "\n--- document 2: http://h/\n"
    )
