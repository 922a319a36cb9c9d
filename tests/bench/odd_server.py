"""A small real server that misbehaves on request, for tests of the harness.

It answers `/` and `/delay=Nms` on kept-alive connections; it says when it is ready, as the models
do. Standard library only, and run by path, so that it starts quickly.
"""

import argparse
import json
import os
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

COMMAND = (sys.executable, "-I", __file__)


class Handler(socketserver.StreamRequestHandler):
    """A thread per connection."""

    disable_nagle_algorithm = True
    server: "Server"

    def handle(self) -> None:
        for path in self.requests():
            self.server.note(path)
            if path.startswith("/delay="):
                time.sleep(float(path.removeprefix("/delay=").removesuffix("ms")) / 1000)
            elif path == "/work":
                time.sleep(self.server.work_delay_s)
            self.wfile.write(self.server.reply_to(path))

    def requests(self) -> Iterator[str]:
        try:
            while line := self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                yield line.split()[1].decode()
        except ConnectionError:
            return


class Server(socketserver.ThreadingTCPServer):
    """Counts the requests and kills itself when it is told to."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", options.port), Handler)
        body = options.body.encode()
        self.reply: bytes
        self.work_reply: bytes
        self.reply, self.work_reply = (
            f"HTTP/1.1 {status} Odd\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            for status in (options.status, options.work_status or options.status)
        )
        self.dies_on, self.dies_after = options.dies_on, options.dies_after
        self.changes_after = options.changes_after
        self.hangs_after, self.hangs_every = options.hangs_after, options.hangs_every
        self.leaks, self.floods = options.leaks, options.floods
        self.work_delay_s = float(options.work_delay.removesuffix("ms")) / 1000
        self.leaked: list[int] = []
        self.seen = self.replies = 0
        self.lock = threading.Lock()

    def reply_to(self, path: str) -> bytes:
        if path == "/":
            return self.reply
        with self.lock:
            self.replies += 1
            if self.hangs_after and self.replies > self.hangs_after:
                threading.Event().wait()
            hangs = self.hangs_every and self.replies % self.hangs_every == 0
            if self.leaks:
                self.leaked.append(os.dup(0))
            if self.floods:
                print("x" * 100_000, flush=True)
            changed = self.changes_after and self.replies > self.changes_after
        if hangs:
            threading.Event().wait()
        return self.work_reply.replace(b"odd", b"ood") if changed else self.work_reply

    def note(self, path: str) -> None:
        if path != self.dies_on:
            return
        with self.lock:
            self.seen += 1
            if self.seen >= self.dies_after:
                os.kill(os.getpid(), signal.SIGKILL)


def write_trace(file: str) -> None:
    """A hundred delays, each 1 us longer than the one before; then the end."""
    with Path(file).open("w") as trace:
        for n in range(1, 101):
            moments_ns = {"began_ns": 0, "ended_ns": 1_000_000 + 1000 * n}
            delay = {"step": "delay", "asked_s": 0.001, **moments_ns}
            trace.write(json.dumps(delay) + "\n")
        trace.flush()
        os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--work-delay", default="0ms", help="of a request for /work")
    parser.add_argument("--work-status", type=int, help="for all but /")
    parser.add_argument("--body", default="odd")
    parser.add_argument("--hangs-after", type=int, help="that many replies to work, for ever")
    parser.add_argument("--hangs-every", type=int, help="so manieth reply to work, for ever")
    parser.add_argument("--leaks", action="store_true", help="a descriptor with each reply")
    parser.add_argument("--floods", action="store_true", help="its output with each reply")
    parser.add_argument("--deaf", action="store_true", help="to SIGTERM")
    parser.add_argument("--changes-after", type=int, help="that many replies to work")
    parser.add_argument("--dies-on", help="a path")
    parser.add_argument("--dies-after", type=int, default=20, help="that many requests for it")
    parser.add_argument("--workers", type=int, default=1, help="processes: idle ones, all but one")
    parser.add_argument("--units", type=int)
    parser.add_argument("--upstream")
    parser.add_argument("--trace", help="a file for delays that are made up")
    options = parser.parse_args()
    for _ in range(options.workers - 1):
        if not os.fork():
            signal.pause()
    if options.trace:
        signal.signal(signal.SIGTERM, lambda *_: write_trace(options.trace))
    if options.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with Server(options) as server:
        host, port = server.server_address[:2]
        ready = {"ready": True, "host": host, "port": port, "pid": os.getpid(), "model": "odd"}
        print(json.dumps(ready), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
