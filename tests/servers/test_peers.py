"""Clients that others wrote understand every model."""

import http.client
import shutil
import subprocess
from pathlib import Path

import pytest

from servers.models import Model
from tests.conftest import Server

CURL = shutil.which("curl")


def test_http_client_keeps_its_connection(server: Server, model: Model) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        for method, path, body, expected in (
            ("GET", "/delay=1ms", None, b"done\n"),
            ("POST", "/body=3", b"x" * 100_000, b"xxx"),
            ("HEAD", "/body=3", None, b""),
            ("POST", "/", iter([b"in", b"chunks"]), b"done\n"),
        ):
            client.request(method, path, body, encode_chunked=False)
            response = client.getresponse()
            assert response.status == 200
            assert response.read() == expected
            assert response.will_close is model.serves_one_at_a_time
    finally:
        client.close()


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--http1.0",),
        ("--http2",),
        ("--data", "x" * 2000),
        ("--header", "Expect: 100-continue", "--data", "x" * 2000),
        ("--header", "Transfer-Encoding: chunked", "--data", "x" * 2000),
    ],
    ids=" ".join,
)
def test_curl(server: Server, flags: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{server.port}/delay=1ms/body=5"
    command = ["curl", "-q", "-sS", "--max-time", "10", "-w", "%{http_code} ", *flags, url, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "xxxxx200 " * 2


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
def test_curl_reads_the_refusal_of_a_body_that_it_is_still_sending(
    server: Server, tmp_path: Path
) -> None:
    """40 MiB are refused at their head, and the reply must not be lost in a reset."""
    body = tmp_path / "body"
    with body.open("wb") as file:
        file.truncate(40 << 20)
    url = f"http://127.0.0.1:{server.port}/"
    command = [
        "curl",
        "-q",
        "-sS",
        "--max-time",
        "10",
        "-H",
        "Expect:",
        "-T",
        str(body),
        "-X",
        "POST",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "the body is too long; at most 1048576 bytes\n"


def test_httpx_overlaps_requests(server: Server) -> None:
    httpx = pytest.importorskip("httpx")
    import asyncio

    async def fetch() -> list[str]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
            replies = await asyncio.gather(*(client.get(f"/delay=1ms/body={n}") for n in range(20)))
            return [reply.text for reply in replies]

    assert asyncio.run(fetch()) == ["x" * n for n in range(20)]
