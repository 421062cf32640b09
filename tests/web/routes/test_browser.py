"""The pages of `auto` as they leave a real daemon, read as a browser reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.answers import Answer, ask, assert_refused, upload
from tests.web.routes.tags import Tags

BROWSER = ("--header", "Accept: text/html,application/xhtml+xml,*/*;q=0.8")
HOSTILE = [
    '"><script>alert(1)</script>', "' onfocus=alert(1) autofocus='", "javascript:alert(1)",
    "<img src=x onerror=alert(1)>", "${nonce}$style", "a:b", "https:evil.example",
]  # fmt: skip
POLICY = (
    "default-src 'none'; script-src 'nonce-N'; style-src 'nonce-N'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PLAIN_POLICY = (
    "default-src 'none'; style-src 'nonce-N'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon for everybody; whoever uses it takes keys that nobody else has."""
    arguments = ["--listen", "0.0.0.0:0", "--retention", "90", "--max-retention", "30 minutes"]
    daemon = Daemon(arguments, tmp_path_factory.mktemp("shown"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


def assert_policy(answer: Answer, policy: str) -> None:
    """The policy, and that all the page's own have its nonce."""
    nonces = set(re.findall('nonce="(.+?)"', answer.text))
    assert len(nonces) == 1
    assert answer["Content-Security-Policy"] == policy.replace("-N'", f"-{nonces.pop()}'")


# -- the page


def test_the_page(shown: Daemon) -> None:
    """HTML that nobody stores, with a policy that leaves it to itself."""
    answer = ask(shown, "/", *BROWSER)
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Vary"] == "Accept"
    assert_policy(answer, POLICY)
    head = ask(shown, "/", *BROWSER, "--head")
    assert (head.status, head.body) == (200, b"")
    assert head["Content-Type"] == answer["Content-Type"]


def test_the_page_knows_the_settings(shown: Daemon) -> None:
    """It offers to keep a body for as long as it may be, and waits as long as it may."""
    tags = Tags(ask(shown, "/", *BROWSER).text)
    assert [option["value"] for option in tags.all("option")] == ["90", "600"]
    (body,) = tags.all("body")
    assert body == {"data-base": "", "data-live": "yes", "data-wait": "600"}


def test_the_page_below_a_prefix(shown: Daemon) -> None:
    """It asks for the state and for pictures of codes beside itself, and finds them."""
    assert ask(shown, "/-/auto/", *BROWSER).text.startswith("<!doctype html>")
    assert b'"phase"' in ask(shown, "/-/auto/state").body
    assert ask(shown, "/-/auto/-/qr?key=k")["Content-Type"] == "image/svg+xml"
    assert ask(shown, "/-/auto/noscript")["Content-Type"] == "text/html; charset=utf-8"


# -- without script


def test_the_plain_page_asks_for_a_key(shown: Daemon) -> None:
    """Nothing can be sent before; `curl` gets the same, because the name says so."""
    for accept in (BROWSER, ()):
        answer = ask(shown, "/noscript", *accept)
        assert answer["Content-Type"] == "text/html; charset=utf-8"
        assert_policy(answer, PLAIN_POLICY)
        tags = Tags(answer.text)
        assert not tags.all("script")
        assert "disabled" in tags.all("input", name="file")[0]
        assert "disabled" in tags.all("button")[1]


@pytest.mark.parametrize("mode", ["file", "text"])
def test_the_plain_form(shown: Daemon, mode: str) -> None:
    """It posts to the key that was chosen, and waits for the receiver."""
    tags = Tags(ask(shown, f"/noscript?key=a/b+c&mode={mode}").text)
    (form,) = tags.all("form", method="post")
    assert form["enctype"] == "multipart/form-data"
    assert form["action"] == "./a/b%20c?wait=600"
    assert "disabled" not in tags.all("button")[1]
    assert len(tags.all("textarea")) == (mode == "text")
    assert "./a/b%20c" in [link["href"] for link in tags.all("a")]


@pytest.mark.parametrize(
    "key", ["help", "-/x", "a//b", "../x", "x" * 600, "a\x07b", "a%2Fb/", "channels/x", "/"]
)
def test_the_plain_page_refuses_what_is_no_key(shown: Daemon, key: str) -> None:
    """It says why, and lets somebody write another one."""
    answer = ask(shown, f"/noscript?key={quote(key)}")
    assert answer.status == (200 if key == "a%2Fb/" else 400)  # a percent sign may be in a key
    if answer.status == 400:
        assert "This key cannot be used: " in answer.text
        assert "disabled" in Tags(answer.text).all("button")[1]


@pytest.mark.parametrize("key", HOSTILE)
def test_a_hostile_key(shown: Daemon, key: str) -> None:
    """It is text in the form, in the list and in the link, whatever it looks like."""
    upload(shown, f"/{quote(key)}", b"x")
    answer = ask(shown, f"/noscript?key={quote(key)}&mode={quote(key)}")
    tags = Tags(answer.text)
    assert not tags.all("script") + tags.all("img")
    assert not [name for _, has in tags.found for name in has if name.startswith("on")]
    (form,) = tags.all("form", method="post")
    assert (form["action"] or "").startswith("./")
    assert tags.all("input", name="key")[0]["value"] == key
    assert_policy(answer, PLAIN_POLICY)


def test_the_plain_list(shown: Daemon) -> None:
    """The channels and who waits, for those who may see them."""
    upload(shown, "/listed-key", b"hello")
    waiting = start_curl(shown.url("/waited-key"))
    try:
        eventually(lambda: b"waited-key" in ask(shown, "/noscript").body)
        page = ask(shown, "/noscript").body
    finally:
        waiting.kill()
        waiting.communicate()
    assert re.search(rb'class="key">listed-key<.*?pipe, finished.*?5 bytes', page)
    assert re.search(rb'class="key">waited-key<.*?no sender yet.*?1 waiting', page)
    page = ask(shown, "/noscript", "--header", "Via: 1.1 proxy").body
    assert b"listed-key" not in page
    assert b"hidden</span>" in page


def test_a_form_without_script_hands_over(shown: Daemon) -> None:
    """What a browser sends by itself arrives, and the browser is told."""
    receiving = start_curl(shown.url("/by-form"))
    action = Tags(ask(shown, "/noscript?key=by-form&mode=text").text).all("form", method="post")
    url = shown.url("/") + (action[0]["action"] or "").removeprefix("./")
    sent = curl("-F", "text=hello", url)
    assert sent.stdout == b"delivered to 1 receiver\n"
    assert receiving.communicate()[0] == b"hello"


# -- QR codes


def test_a_qr_code(shown: Daemon) -> None:
    """A picture that nobody stores and that can do nothing."""
    answer = ask(shown, "/-/qr?key=a/b")
    assert answer["Content-Type"] == "image/svg+xml"
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.text.startswith("<svg")
    assert "<script" not in answer.text
    assert ask(shown, "/-/qr?key=a/c").body != answer.body


@pytest.mark.parametrize(
    ("query", "word"),
    [("", "names no key"), ("?key=", "missing key"), ("?key=help", "reserved"),
     ("?key=a//b", "empty segment"), ("?key=" + "x" * 600, "512 bytes"),
     ("?key=%ff", "UTF-8"), ("?key=a&key=b", "twice")],
)  # fmt: skip
def test_a_qr_code_of_no_key(shown: Daemon, query: str, word: str) -> None:
    """400 and why."""
    assert_refused(ask(shown, f"/-/qr{query}"), 400, word)


def test_a_qr_code_takes_nothing(shown: Daemon) -> None:
    """It is a name like other reserved ones."""
    assert_refused(ask(shown, "/-/qr?key=k", "-X", "PUT", "-d", "x"), 400, "reserved")
    assert ask(shown, "/-/qr", "-X", "OPTIONS")["Allow"] == "GET, HEAD, OPTIONS"
    assert_refused(ask(shown, "/-/qrs"), 404)
