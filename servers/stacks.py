"""`python -m servers.stacks NAME PORT`: servers whose own command lines cannot make them equal.

cheroot's has no room for more than 10 kept connections, waitress's none for silence about requests
that wait for a thread, Twisted's none for silence about each request. stacks.toml has the rest.
"""

import logging
import sys
from collections.abc import Sequence
from typing import Any, Final

from servers.core.listen import BACKLOG

HOST: Final = "127.0.0.1"
THREADS: Final = 64
KEEP_ALIVE_S: Final = 75
MOST_CONNECTIONS: Final = 16_384


def cheroot(port: int) -> None:
    """Serve WSGI by a pool of threads, idle connections in a selector."""
    from cheroot.wsgi import Server

    from servers.apps import wsgi

    server = Server(
        (HOST, port),
        wsgi,
        numthreads=THREADS,
        max=THREADS,
        request_queue_size=BACKLOG,
        timeout=KEEP_ALIVE_S,
    )
    server.keep_alive_conn_limit = MOST_CONNECTIONS
    server.safe_start()


def waitress(port: int) -> None:
    """Serve WSGI by a pool of threads behind a thread that reads and writes for all of them."""
    from waitress import serve

    from servers.apps import wsgi

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # else a line for each request
    serve(
        wsgi,
        host=HOST,
        port=port,
        threads=THREADS,
        backlog=BACKLOG,
        channel_timeout=KEEP_ALIVE_S,
        connection_limit=MOST_CONNECTIONS,
        asyncore_use_poll=True,  # `select`, the default, takes no descriptor from 1,024 on
    )


def twisted(port: int) -> None:
    """Serve a resource of Twisted's own by its reactor."""
    from twisted.internet import reactor
    from twisted.web.server import Site

    from servers.twisted_resource import WorkResource

    class Quiet(Site):
        def log(self, request: Any) -> None:
            """Keep no access log."""

    running: Any = reactor  # its module says nothing of its methods
    site = Quiet(WorkResource(), timeout=KEEP_ALIVE_S)  # type: ignore[no-untyped-call]
    running.listenTCP(port, site, BACKLOG, HOST)
    running.run()


def main(argv: Sequence[str]) -> int:
    """Run a server until a signal ends it."""
    known = {"cheroot": cheroot, "twisted": twisted, "waitress": waitress}
    match argv:
        case [name, port] if name in known and port.isdecimal():
            known[name](int(port))
            return 0
    print(f"usage: python -m servers.stacks {'|'.join(known)} PORT", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
