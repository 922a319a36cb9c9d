"""A URL becomes an address and the exact bytes of one request, or one clear message."""

import pytest

from clients.errors import LoadError
from clients.request import build_request

HEADS = {
    "http://h/": ("h", 80, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    "http://h": ("h", 80, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    "HTTP://H:8000/A": ("h", 8000, b"GET /A HTTP/1.1\r\nHost: h:8000\r\n\r\n"),
    "localhost:8000/x": ("localhost", 8000, b"GET /x HTTP/1.1\r\nHost: localhost:8000\r\n\r\n"),
    "h:8000/a//b": ("h", 8000, b"GET /a//b HTTP/1.1\r\nHost: h:8000\r\n\r\n"),
    "h/to?u=http://other/": ("h", 80, b"GET /to?u=http://other/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    "http://[::1]:8000/": ("::1", 8000, b"GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n"),
    "http://h/delay=20ms/spin=500us": (
        "h",
        80,
        b"GET /delay=20ms/spin=500us HTTP/1.1\r\nHost: h\r\n\r\n",
    ),
    "http://h/a b?q=c d&r=%20#part": (
        "h",
        80,
        b"GET /a%20b?q=c%20d&r=%20 HTTP/1.1\r\nHost: h\r\n\r\n",
    ),
    "http://h/caf\u00e9": ("h", 80, b"GET /caf%C3%A9 HTTP/1.1\r\nHost: h\r\n\r\n"),
}

BAD = {
    "https://h/": "only http:// is supported",
    "ftp://h/": "only http:// is supported",
    "": "it needs a host and a port from 1 to 65535",
    "http://": "it needs a host and a port from 1 to 65535",
    "http://:80/": "it needs a host and a port from 1 to 65535",
    "http://h:0/": "it needs a host and a port from 1 to 65535",
    "http://h:65536/": "Port out of range 0-65535",
    "http://h:http/": "Port could not be cast to integer value",
    "http://[::1/": "Invalid IPv6 URL",
    "http://a b/": "the host must be plain ASCII without spaces",
    "http://b\u00fccher.example/": "the host must be plain ASCII without spaces",
    "http://a\0b/": "the host must be plain ASCII without spaces",
}


@pytest.mark.parametrize(("url", "expected"), HEADS.items(), ids=HEADS)
def test_the_bytes_of_a_request(url: str, expected: tuple[str, int, bytes]) -> None:
    request = build_request(url)
    assert (request.host, request.port, request.payload) == expected
    assert not request.to_head


def test_close_mode_asks_for_the_end_of_the_connection() -> None:
    request = build_request("http://h/", keep_alive=False)
    assert request.payload == b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def test_a_head_request_says_that_no_body_follows() -> None:
    request = build_request("http://h/", method="HEAD")
    assert request.payload == b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert request.to_head


def test_line_ends_in_a_url_cannot_add_a_header() -> None:
    request = build_request("http://h/a\r\nX-Evil: 1")
    assert request.payload.count(b"\r\n") == 3


@pytest.mark.parametrize(("url", "words"), BAD.items(), ids=[ascii(url) for url in BAD])
def test_a_url_that_cannot_be_used_is_named_with_the_reason(url: str, words: str) -> None:
    with pytest.raises(LoadError) as caught:
        build_request(url)
    message = str(caught.value)
    assert message.startswith(f"cannot use the URL {url!r}: ")
    assert words in message
    assert "\n" not in message
