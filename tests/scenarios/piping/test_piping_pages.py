"""Pages, preflights and other methods: sections of the protocol that move no body."""

from __future__ import annotations

import re

import pytest

from filepipe import __version__
from tests.conftest import curl
from tests.scenarios.piping.front import OURS, TLS, Front

PAGES = ("/", "/noscript", "/version", "/help", "/favicon.ico", "/robots.txt")
METHODS = "GET, HEAD, POST, PUT, OPTIONS"


def test_the_front_page(front: Front) -> None:
    """A form, as HTML without a charset in its type."""
    answer = front.ask("GET", "/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    page = answer.body.decode()
    assert '<meta charset="UTF-8">' in page
    assert "Piping" in page


def test_the_form_without_a_script(front: Front) -> None:
    """Its action is the path, escaped, and its style has the nonce of its policy."""
    answer = front.ask("GET", "/noscript?path=my%22%3Epath&mode=text")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html"
    policy = answer.headers["Content-Security-Policy"]
    found = re.fullmatch(r"default-src 'none'; style-src 'nonce-([\w-]{16,})'", policy)
    assert found
    page = answer.body.decode()
    assert f'nonce="{found[1]}"' in page
    assert 'action="my&quot;&gt;path"' in page
    assert 'enctype="multipart/form-data"' in page
    assert "<textarea" in page
    assert " disabled" not in page


def test_the_form_without_a_path(front: Front) -> None:
    """Nothing can be sent from it yet."""
    page = front.ask("GET", "/noscript?mode=file").body.decode()
    assert re.search('<input type="file"[^>]* disabled', page)


def test_the_version(front: Front) -> None:
    """One line."""
    answer = front.ask("GET", "/version")
    assert (answer.status, answer.body.decode()) == (200, f"{__version__}\n")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Content-Length"] == str(len(answer.body))


def test_the_help(front: Front) -> None:
    """It has the server's own URL, as the caller names it."""
    answer = front.ask("GET", "/help", "Host: localhost:99")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    scheme = "https" if front.way.listener == TLS else "http"
    text = answer.body.decode()
    assert f"curl {scheme}://localhost:99{front.way.base}/mypath\n" in text
    assert f"curl -T myfile {scheme}://localhost:99{front.way.base}/mypath\n" in text


def test_the_help_behind_a_proxy(plain: Front) -> None:
    """The proxy says that the world sees https."""
    text = plain.ask("GET", "/help", "X-Forwarded-Proto: http, https").body.decode()
    assert "curl https://localhost/mypath\n" in text


def test_the_help_for_who_names_no_host(plain: Front) -> None:
    """HTTP/1.0 need not."""
    text = plain.begin(b"GET /help HTTP/1.0\r\n\r\n", "GET").answer().body.decode()
    assert "curl http://hostname/mypath\n" in text


def test_what_browsers_and_robots_ask_for(front: Front) -> None:
    """Nothing, twice."""
    favicon = front.ask("GET", "/favicon.ico")
    assert (favicon.status, favicon.body) == (204, b"")
    robots = front.ask("GET", "/robots.txt")
    assert (robots.status, robots.body) == (404, b"")
    assert robots.headers["Content-Length"] == "0"


@pytest.mark.parametrize("page", PAGES)
def test_the_head_of_a_page(front: Front, page: str) -> None:
    """The headers of GET, and nothing after them."""
    get, head = front.ask("GET", page), front.begin(front.request("HEAD", page), "HEAD")
    changing = {"x-request-id", "date", "content-security-policy"}
    assert get.names == sorted(name.lower() for name in head.headers)
    for name in set(get.names) - changing:
        assert get.headers[name] == head.headers[name]
    assert head.status == get.status
    head.sock.settimeout(20)
    if front.old:
        assert head.sock.recv(1) == b""
    else:
        head.rest()
        head.again(front.request("GET", "/version"), "GET")
        assert head.rest() == f"{__version__}\n".encode()


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_sending_to_a_page(front: Front, method: str) -> None:
    """Every one of them, also by its query, is no path of a body."""
    text = "[ERROR] Cannot send to the reserved path '{}'. (e.g. '/mypath123')"
    for page in (*PAGES, "/?n=1"):
        answer = front.ask(method, page, body=b"x")
        answer.assert_refused(text.format(page.partition("?")[0]))
    if not front.way.base:
        request = f"{method} http://localhost HTTP/{front.way.version}\r\nHost: localhost\r\n\r\n"
        front.begin(request.encode(), method).answer().assert_refused(text.format("/"))


def test_sending_to_what_the_daemon_says_of_itself(plain: Front) -> None:
    """At the root these are pages as well; below the prefix they are paths."""
    answer = plain.ask("POST", "/health", body=b"x")
    answer.assert_refused("[ERROR] Cannot send to the reserved path '/health'. (e.g. '/mypath123')")
    below = plain.by("prefix")
    receiver = below.receive("/health")
    below.send("/health", b"hello").lines()
    assert receiver.rest() == b"hello"


@pytest.mark.parametrize("path", ["/", "/version", "/some/path", "/path?n=x"])
def test_a_preflight(front: Front, path: str) -> None:
    """Any path, with exactly these headers."""
    answer = front.ask("OPTIONS", path, "Origin: http://example.com")
    assert (answer.status, answer.body) == (200, b"")
    headers = {
        "content-length": "0",
        "access-control-allow-origin": "*",
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": "Content-Type, Content-Disposition, X-Piping",
        "access-control-expose-headers": "Access-Control-Allow-Headers",
        "access-control-max-age": "86400",
    }
    assert set(answer.names) - OURS - {"connection"} == set(headers)
    assert {name: answer.headers[name] for name in headers} == headers


def test_a_preflight_from_the_public_network(front: Front) -> None:
    """A page of the world may ask for a server of this network."""
    name = "Access-Control-Allow-Private-Network"
    answer = front.ask("OPTIONS", "/p", "Access-Control-Request-Private-Network: true")
    assert answer.headers[name] == "true"
    answer = front.ask("OPTIONS", "/p", "Access-Control-Request-Private-Network: false")
    assert name not in answer.headers


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "HEAD"])
def test_another_method(front: Front, method: str) -> None:
    """405, which says what is allowed."""
    answer = front.begin(front.request(method, "/p"), method).answer()
    body = f"[ERROR] Unsupported method: {method}.\n".encode()
    assert (answer.status, answer.body) == (405, b"" if method == "HEAD" else body)
    names = {"allow", "access-control-allow-origin", "content-length"}
    assert set(answer.names) - OURS - {"connection"} == {*names, "x-error-code"}
    assert answer.headers["Allow"] == METHODS
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Content-Length"] == str(len(body))


def test_another_method_of_a_page(plain: Front) -> None:
    """A page cannot be deleted either."""
    assert plain.ask("DELETE", "/version").status == 405


def test_a_method_with_a_body(plain: Front) -> None:
    """It is answered without being read."""
    party = plain.open("/p", None, method="PATCH")
    assert party.status == 405
    assert party.headers["Connection"] == "close"


def test_pages_by_curl(front: Front) -> None:
    """As people look at them."""
    done = curl(*front.curl(path="/version")[1:])
    assert done.stdout.decode() == f"{__version__}\n"
