"""Units that several processes share: who is granted one, and what a death gives back."""

import socket
import threading
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from servers.core.shared_units import Coordinator, Line, SharedUnits


def test_claims_are_served_in_the_order_of_their_moments_whoever_sent_them() -> None:
    coordinator: Coordinator[str] = Coordinator(1)
    assert coordinator.take([(30, "a"), (10, "b"), (20, "c")]) == ["b"]
    assert coordinator.take([(-40, "b")]) == ["c"]
    assert coordinator.take([(-50, "c"), (60, "b")]) == ["a"]


def test_what_a_dead_worker_held_and_waited_for_comes_back() -> None:
    coordinator: Coordinator[str] = Coordinator(2)
    assert coordinator.take([(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c")]) == ["a", "a"]
    assert coordinator.forget("a") == ["b", "c"]
    assert coordinator.take([(-6, "b"), (-7, "c"), (8, "b"), (9, "b"), (10, "b")]) == ["b", "b"]


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["claim", "release", "die"]))),
)
def test_never_more_than_r_units_are_held_and_none_is_lost(
    total: int, events: list[tuple[str, str]]
) -> None:
    """Against the plainest bookkeeping: a list of who holds and a queue of who waits."""
    coordinator: Coordinator[str] = Coordinator(total)
    held: list[str] = []
    waiting: deque[str] = deque()
    for moment_ns, (worker, event) in enumerate(events, 1):
        if event == "claim":
            waiting.append(worker)
            granted = coordinator.take([(moment_ns, worker)])
        elif event == "die":
            held = [each for each in held if each != worker]
            waiting = deque(each for each in waiting if each != worker)
            granted = coordinator.forget(worker)
        elif worker in held:
            held.remove(worker)
            granted = coordinator.take([(-moment_ns, worker)])
        else:
            continue
        expected = []
        while len(held) < total and waiting:
            expected.append(waiting.popleft())
            held.append(expected[-1])
        assert granted == expected


def test_threads_of_a_worker_wait_until_they_are_granted() -> None:
    ours, theirs = socket.socketpair()
    units, line, held = SharedUnits(theirs), Line(ours), threading.Event()

    def hold() -> None:
        with units:
            held.set()

    with ours, theirs:
        thread = threading.Thread(target=hold)
        thread.start()
        (claim_ns,) = _next_messages(line)
        assert claim_ns > 0
        assert not held.wait(0.02)
        assert line.grant(1)
        assert held.wait(5)
        thread.join()
        (release_ns,) = _next_messages(line)
        assert -release_ns > claim_ns
        (reader,) = (each for each in threading.enumerate() if each.name == "units")
        ours.shutdown(socket.SHUT_RDWR)
        reader.join(10)  # it reads of the end before the socket is gone


def test_a_worker_that_does_not_read_is_owed_its_grants_and_blocks_nobody() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = Line(ours)
        wanted = 0
        while line.grant(100_000):
            wanted += 100_000
        wanted += 100_000
        received = 0
        while received < wanted:
            received += len(theirs.recv(1 << 16))
            line.grant()
        assert (received, line.owed) == (wanted, 0)


def test_a_message_that_comes_in_two_halves_is_put_together() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = Line(ours)
        message = (7).to_bytes(8, "little")
        theirs.sendall(message[:3])
        assert line.receive() == []
        theirs.sendall(message[3:] + message)
        assert line.receive() == [7, 7]
        theirs.close()
        assert line.receive() is None


def _next_messages(line: Line) -> list[int]:
    line.sock.setblocking(True)
    messages = line.receive()
    line.sock.setblocking(False)
    assert messages is not None
    return messages
