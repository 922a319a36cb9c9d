"""A real HTTP server on threads whose behaviour, request by request, is a function of the test's.

It reads requests with code of its own and sends exactly the bytes that its script says.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Turn:
    """One request, and the means to answer it. Requests and connections are counted from 1."""

    server: "ScriptedServer"
    sock: socket.socket
    request: bytes
    number: int
    connection: int
    nth_on_connection: int

    @property
    def path(self) -> str:
        return self.request.split()[1].decode()

    def send(self, data: bytes = OK) -> None:
        self.sock.sendall(data)

    def finish(self, data: bytes = b"") -> None:
        """Send the last bytes of this connection; the client will read its end after them."""
        self.sock.sendall(data)
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def stall(self) -> None:
        """Answer nothing until the server is stopped."""
        self.server.stopping.wait()

    def wait(self, delay_s: float) -> None:
        """Wait as long as asked for, or until the server is stopped."""
        self.server.stopping.wait(delay_s)


Script = Callable[[Turn], None]


def answer(turn: Turn) -> None:
    """The script of a server that does nothing but answer."""
    turn.send()


class ScriptedServer:
    """Listens while it is entered; leaves no thread, connection or port behind."""

    def __init__(
        self,
        script: Script = answer,
        *,
        host: str = "127.0.0.1",
        one_at_a_time: bool = False,
        hang_up_on: Callable[[int], bool] = lambda connection: False,
    ) -> None:
        self.script = script
        self.one_at_a_time = one_at_a_time
        self.hang_up_on = hang_up_on
        self.stopping = threading.Event()
        self.requests: list[bytes] = []
        self.accepted = 0
        self.ended = 0
        self._counting = threading.Condition()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.stop_listening()
        with self._counting:
            for sock in self._open:
                _hang_up(sock)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def stop_listening(self) -> None:
        """Refuse new connections; those accepted go on."""
        _hang_up(self._listener)

    def wait_for(self, condition: Callable[[], bool], limit_s: float = 10.0) -> bool:
        """Until `condition()`, asked whenever a connection or a request has been counted."""
        with self._counting:
            return self._counting.wait_for(condition, limit_s)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:  # the listener was shut down
                return
            with self._counting:
                self.accepted += 1
                self._open.add(sock)
                self._counting.notify_all()
                if self.stopping.is_set():
                    _hang_up(sock)
            if self.one_at_a_time:
                self._serve(sock, self.accepted)
            else:
                self._run(self._serve, sock, self.accepted)

    def _serve(self, sock: socket.socket, connection: int) -> None:
        with suppress(OSError):  # the client went away, or the script closed the socket
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self.hang_up_on(connection):
                self._converse(sock, connection)
        with self._counting:
            self._open.discard(sock)
            sock.close()
            self.ended += 1
            self._counting.notify_all()

    def _converse(self, sock: socket.socket, connection: int) -> None:
        nth = 0
        while request := _read_request(sock):
            nth += 1
            with self._counting:
                self.requests.append(request)
                number = len(self.requests)
                self._counting.notify_all()
            self.script(Turn(self, sock, request, number, connection, nth))


def _read_request(sock: socket.socket) -> bytes:
    """The bytes of one request without a body; empty at the end of the connection."""
    received = bytearray()
    while not received.endswith(b"\r\n\r\n"):
        data = sock.recv(65_536)
        if not data:
            return b""
        received += data
    assert received.count(b"\r\n\r\n") == 1, "the generator keeps one request outstanding"
    return bytes(received)


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):  # it is shut down or closed already
        sock.shutdown(socket.SHUT_RDWR)
