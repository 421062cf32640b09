"""Keys of file-pipe: which paths name the same one, which another, and which none."""

from __future__ import annotations

import pytest

from tests.conftest import curl, eventually
from tests.scenarios.file_pipe.front import PREFIX, Front


@pytest.mark.parametrize("path", ["/{key}", "//{key}", "////{key}", "/{key}?query", "/{key}?"])
def test_the_same_key(front: Front, key: str, path: str) -> None:
    """Slashes before a key and a query behind it name no other one."""
    front.put(key, b"hello")
    path = path.format(key=key)
    answer = front.ask("GET", path)
    assert (answer.status, answer.body) == (200, b"hello")
    assert front.ask("PUT", path, "Content-Length: 0").status == 409


def test_an_absolute_target(root: Front, key: str) -> None:
    """What a client says to a proxy names the same key."""
    root.put(key, b"hello")
    host = root.daemon.addresses[0]
    answer = root.daemon.talk(f"GET http://{host}//{key} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("other", ["{key}/", "{key}/b", "{KEY}", "{key}b", "{key}%3F", "{key}.."])
def test_another_key(front: Front, key: str, other: str) -> None:
    """A slash at the end, another case or another segment name another key."""
    other = other.format(key=key, KEY=key.upper())
    assert front.put(key, b"one").status == 200
    assert front.put(other, b"two").status == 200
    assert front.curl(key).body == b"one"
    assert front.curl(other).body == b"two"


@pytest.mark.parametrize(
    ("escaped", "plain"),
    [("%41", "A"), ("%7E%2D", "~-"), ("%c3%b6", "%C3%B6"), ("%2b", "+")],
)
def test_escapes_are_undone_once(front: Front, key: str, escaped: str, plain: str) -> None:
    """Two spellings of one text are one key."""
    assert front.put(key + escaped, b"hello").status == 200
    assert front.ask("PUT", f"/{key}{plain}", "Content-Length: 0").status == 409
    assert front.ask("GET", f"/{key}{plain}").body == b"hello"


def test_an_escaped_escape(front: Front, key: str) -> None:
    """What is escaped twice is not undone twice."""
    front.put(f"{key}%2541", b"hello")
    assert front.put(f"{key}A", b"other").status == 200
    assert front.curl(f"{key}%2541").body == b"hello"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "missing key in path"),
        ("//", "missing key in path"),
        ("/" + "k" * 513, "key exceeds 512 bytes"),
        ("/" + "%41" * 171, "key exceeds 512 bytes"),
        ("/a%2Fb", "key has an escaped slash (%2F)"),
        ("/a%2fb", "key has an escaped slash (%2F)"),
        ("/a/../b", "key has a dot segment"),
        ("/a/%2e%2e/b", "key has a dot segment"),
        ("/./a", "key has a dot segment"),
        ("/a//b", "key has an empty segment"),
        ("/a%", "key has a percent sign that begins no escape"),
        ("/a%ff", "key is not valid UTF-8"),
        ("/a%00b", "key has a control or bidirectional character"),
        ("/a%0d%0aSet-Cookie:x", "key has a control or bidirectional character"),
        ("/%E2%80%AEtxt.exe", "key has a control or bidirectional character"),
        ("/o%CC%88", "key is not in Unicode normalization form C"),
        ("/a%5Cb", "key has a backslash"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_no_key(front: Front, method: str, path: str, text: str) -> None:
    """What two programs could read as two keys, or as none, is refused with the reason."""
    front.ask(method, path, "Content-Length: 0").assert_refusal(400, text)


@pytest.mark.parametrize("name", ["k" * 511, "%41" * 170 + "k", "%C3%B6" * 85 + "k"])
def test_the_longest_key(front: Front, name: str) -> None:
    """512 bytes as received are fine."""
    key = name + ("0" if front.base else "1")
    assert len(key.encode()) == 512
    assert front.ask("PUT", f"/{key}", "Content-Length: 5", body=b"hello").status == 200
    assert front.ask("GET", f"/{key}").body == b"hello"


@pytest.mark.parametrize(
    "target",
    [
        "*",
        "key",
        "http://localhost",
        "ftp://localhost/key",
        "/gr\xc3\xb6\xc3\x9fe",
        "/a\xff",
        "/a b",
    ],
)
def test_a_target_that_is_none(root: Front, target: str) -> None:
    """A target names a path, in characters that a request line may hold, or nothing is stored."""
    head = f"PUT {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
    answer = root.daemon.talk(f"{head}Connection: close\r\n\r\n".encode("latin-1"))
    assert b" 400 Bad Request\r\n" in answer


def test_another_host(root: Front, key: str) -> None:
    """A target that names another host than Host is meant for neither."""
    head = f"PUT http://127.0.0.2/{key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
    answer = root.daemon.talk(f"{head}Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert root.stored(key) == -1


def test_the_log_shows_the_path_without_its_query(root: Front, key: str) -> None:
    """Who reads the log sees which key was meant, and no secret of its query."""
    root.ask("PUT", f"/{key}%1b[2J", "Content-Length: 0")
    root.put(f"{key}%C3%B6?token=hush-hush", b"hello")
    eventually(lambda: [line for line in root.daemon.log() if line.get("path") == f"/{key}%C3%B6"])
    text = root.daemon.log_path.read_text()
    assert "\x1b" not in text
    assert "hush-hush" not in text


def test_one_space_of_keys(root: Front, key: str) -> None:
    """The root of the listener, the prefix and the protocol `auto` name the same key the same."""
    under_prefix, auto = Front(root.daemon, 1, PREFIX), Front(root.daemon, 1)
    root.put(key, b"hello")
    assert under_prefix.put(key, b"other").status == 409
    for front in (root, under_prefix, auto):
        assert front.curl(key).body == b"hello"


def test_a_live_upload_on_another_front(root: Front, key: str) -> None:
    """A key written here is read live there."""
    with root.upload(key, None) as upload, Front(root.daemon, 1).download(key) as reader:
        upload.send(b"hello")
        assert reader.begin() == 200
        assert reader.take(5) == b"hello"
        upload.finish()
        assert reader.rest() == b""


def test_curl_encodes_what_it_must(front: Front, key: str) -> None:
    """A key with a space and an umlaut, as a person types it."""
    url = front.url(f"{key}%20größe")
    assert curl("--upload-file", "-", url, input=b"hello").returncode == 0
    assert curl(url).stdout == b"hello"
