"""The pages of piping, as functions: texts, types, and what a hostile path becomes."""

from __future__ import annotations

import html
import re
from urllib.parse import quote, urljoin, urlsplit

import pytest
from aiohttp import web

from filepipe import __version__
from filepipe.errors import BadRequest
from filepipe.web.routes import piping_pages
from tests.web.routes.tags import Tags


def body(response: web.Response) -> str:
    """The text of an answer."""
    assert isinstance(response.body, bytes)
    return response.body.decode()


def test_the_front_page() -> None:
    """HTML without a charset in its type, one in itself, and the word by which it is known."""
    answer = piping_pages.front()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")
    page = body(answer)
    assert '<meta charset="UTF-8">' in page
    assert "Piping" in page
    nonces = set(re.findall('nonce="(.+?)"', page))
    assert len(nonces) == 1
    assert answer.headers["Content-Security-Policy"].count(f"'nonce-{nonces.pop()}'") == 2


@pytest.mark.parametrize("query", ["", "path=", "mode=text", "path=&mode=text", "x=y"])
def test_the_form_without_a_path(query: str) -> None:
    """Nothing can be sent before it is known where to."""
    tags = Tags(body(piping_pages.noscript(query)))
    (form,) = tags.all("form", method="post")
    assert form["enctype"] == "multipart/form-data"
    field = tags.all("textarea") if "text" in query else tags.all("input", type="file")
    assert ["disabled" in each for each in field] == [True]
    assert "disabled" in tags.all("button")[1]


@pytest.mark.parametrize("mode", ["file", "text", "", "else"])
def test_the_form_with_a_path(mode: str) -> None:
    """A file unless a text is asked for."""
    answer = piping_pages.noscript(f"path=mypath&mode={mode}")
    assert answer.headers["Content-Type"] == "text/html"
    page = body(answer)
    assert 'action="mypath"' in page
    tags = Tags(page)
    assert len(tags.all("textarea")) == (mode == "text")
    assert len(tags.all("input", type="file")) == (mode != "text")
    assert "disabled" not in page.partition("</style>")[2]


def test_the_policy_of_the_form() -> None:
    """A style with a fresh nonce and nothing else; a form may still be sent."""
    policies = [piping_pages.noscript("").headers["Content-Security-Policy"] for _ in range(2)]
    for policy in policies:
        assert re.fullmatch(r"default-src 'none'; style-src 'nonce-[\w-]{22,}'", policy)
    assert policies[0] != policies[1]


HOSTILE = [
    '"><script>alert(1)</script>', "'><img src=x onerror=alert(1)>", '" onfocus="x" autofocus="',
    "javascript:alert(1)", "java\tscript:alert(1)", " \x01javascript:alert(1)", "data:text/html,x",
    "//evil.example/x", "/\\evil.example", "\\\\evil.example", "https://evil.example/", "/\t/evil",
    "https:evil.example", "\n//evil.example", "</textarea><b>", "&quot;><b>", "$style ${nonce}",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path(path: str) -> None:
    """It stays text, and the form stays on this server."""
    page = body(piping_pages.noscript(f"mode=text&path={quote(path)}"))
    tags = Tags(page)
    assert not tags.all("script") + tags.all("img") + tags.all("b")
    assert not [name for _, has in tags.found for name in has if name.startswith("on")]
    (form,) = tags.all("form", method="post")
    action = form["action"] or ""
    assert action in (path, f"./{path}")
    # browsers drop these before they look, and take a backslash for a slash
    seen = re.sub(r"[\t\r\n]", "", action).strip("".join(map(chr, range(33)))).replace("\\", "/")
    there = urlsplit(urljoin("http://here.example/noscript", seen))
    assert (there.scheme, there.netloc) == ("http", "here.example")
    assert path in {field["value"] for field in tags.all("input", name="path")}


@pytest.mark.parametrize("path", ["mypath", "/mypath", "a/b", "ä b", "a?b", "<i>"])
def test_a_harmless_path_is_the_action_verbatim(path: str) -> None:
    """Escaped as an attribute, nothing more."""
    assert f'action="{html.escape(path)}"' in body(piping_pages.noscript(f"path={quote(path)}"))


def test_a_space_in_a_form_is_a_plus() -> None:
    """The query comes from a form, not from us."""
    assert 'action="a b"' in body(piping_pages.noscript("path=a+b"))


def test_a_query_of_too_many_names() -> None:
    """It is refused."""
    with pytest.raises(BadRequest):
        piping_pages.noscript("&".join(f"a{n}=b" for n in range(40)))


def test_bytes_that_are_no_text() -> None:
    """What the parser of heads lets through breaks no page."""
    assert piping_pages.noscript("path=a\udcffb%ff").status == 200
    assert piping_pages.help_text("http://a\udcff").status == 200


@pytest.mark.parametrize(
    ("tls", "proto", "host", "prefix", "expected"),
    [(False, None, "h:1", "", "http://h:1"), (True, None, "h", "", "https://h"),
     (False, "https", "h", "", "https://h"), (False, "http, https", "h", "", "https://h"),
     (False, "http", None, "", "http://hostname"),
     (False, None, "h", "/-/piping", "http://h/-/piping")],
)  # fmt: skip
def test_the_servers_own_url(
    tls: bool, proto: str | None, host: str | None, prefix: str, expected: str
) -> None:
    """As the caller reaches it."""
    url = piping_pages.base_url(tls=tls, forwarded_proto=proto, host=host, prefix=prefix)
    assert url == expected


def test_the_texts() -> None:
    """Version and help, open to scripts of every page."""
    version, text = piping_pages.version(), piping_pages.help_text("https://h/-/piping")
    for answer in (version, text):
        assert answer.headers["Content-Type"] == "text/plain"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert body(version) == f"{__version__}\n"
    assert "curl https://h/-/piping/mypath\n" in body(text)
    assert "curl -T myfile https://h/-/piping/mypath\n" in body(text)


def test_what_is_not_there() -> None:
    """No icon, no word for robots."""
    favicon, robots = piping_pages.favicon(), piping_pages.robots()
    assert (favicon.status, favicon.body) == (204, None)
    assert (robots.status, robots.headers["Content-Length"]) == (404, "0")
