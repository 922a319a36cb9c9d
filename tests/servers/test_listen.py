"""The options of the listener reach the sockets that it accepts, and input can be ended."""

import socket
import struct

import pytest

from servers.core import listen
from servers.core.limits import Limits


def test_accepted_sockets_inherit_their_options() -> None:
    with (
        listen.open_listener("127.0.0.1", 0, Limits(idle_s=7.0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        limit = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        assert struct.unpack("@ll", limit) == (7, 0)
        look = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16)
        assert struct.unpack("@ll", look) == (0, 500_000)


def test_port_can_be_taken_again_at_once() -> None:
    with listen.open_listener("127.0.0.1", 0, Limits()) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = first.accept()
            accepted.close()
            assert client.recv(1) == b""
    with listen.open_listener("127.0.0.1", port, Limits()):
        pass


def test_what_has_arrived_is_read_before_the_end_of_input() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"arrived")
        listen.end_input(ours)
        assert ours.recv(100) == b"arrived"
        assert ours.recv(100) == b""
        ours.sendall(b"reply")
        assert theirs.recv(100) == b"reply"


@pytest.mark.parametrize("gone", ["closed", "none"])
def test_ending_the_input_of_a_client_that_has_gone_does_nothing(gone: str) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    listen.end_input(ours if gone == "closed" else None)
