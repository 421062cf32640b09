"""How far an upload is, what may begin, and its end before its time: HEAD, OPTIONS, DELETE."""

from __future__ import annotations

import pytest

from tests.conftest import eventually
from tests.scenarios.peers import MIB
from tests.scenarios.resumable.peer import Client, fresh_key, get


def test_how_far_it_is(each: Client) -> None:
    """All that is known of it, and nothing may keep the answer."""
    made = each.begin(b"12345", Upload_Length=10)
    found = each.look(made.location)
    assert (found.status, found.offset, found["Upload-Length"]) == (204, 5, "10")
    assert each.fields(complete=False).items() <= dict(found.headers).items()
    assert "max-age=" in (found["Upload-Limit"] or "")
    assert found["Cache-Control"] == "no-store"


def test_after_the_end(each: Client) -> None:
    """It is remembered."""
    path = fresh_key()
    made = each.begin(b"123", path)
    each.append(made.location, 3, b"45", complete=True)
    found = each.look(made.location)
    assert (found.status, found.offset, found["Upload-Length"]) == (204, 5, "5")
    assert each.fields(complete=True).items() <= dict(found.headers).items()


@pytest.mark.parametrize("fields", [{"Upload-Offset": "0"}, {"Upload-Complete": "?0"}])
@pytest.mark.parametrize("method", ["HEAD", "GET", "DELETE"])
def test_fields_that_do_not_belong_there(each: Client, method: str, fields: dict[str, str]) -> None:
    """Some versions refuse them."""
    if each.version == 3 and "Upload-Complete" in fields:
        fields = {"Upload-Incomplete": "?1"}
    made = each.begin(b"x")
    answer = each.ask(method, made.location, {**each.fields(), **fields, "Range": "bytes=0-0"})
    if each.version in (7, 8, 9):
        assert answer.status in (204, 206)
    else:
        assert answer.status == 400
        assert each.state(made.location) == (1, False)


def test_a_field_that_is_none_does_no_harm(client: Client) -> None:
    """It is not there."""
    unnamed = Client(client.daemon, None)
    made = unnamed.begin(b"x")
    assert unnamed.ask("HEAD", made.location, {"Upload-Offset": "x"}).status == 204


def test_the_content(client: Client) -> None:
    """GET of the upload's own URL is its bytes, also a part of them."""
    made = client.begin(b"12345", Upload_Length=5, Content_Type="text/plain")
    found = get(client.daemon, made.location, "Range: bytes=1-3")
    assert (found.status, found.body, found["Content-Type"]) == (206, b"234", "text/plain")
    assert client.append(made.location, 5, b"", complete=True).status == 200
    assert get(client.daemon, made.location).body == b"12345"


def test_the_url_is_a_secret(client: Client) -> None:
    """Nothing that readers see has it."""
    path = fresh_key()
    made = client.begin(b"1", path)
    secret = made.location.rpartition("/")[2]
    seen = [client.ask("HEAD", path, {}), get(client.daemon, path, "Range: bytes=0-0")]
    client.append(made.location, 1, b"2", complete=True)
    assert client.ask("POST", made.location, {}, b"").status == 405
    seen += [get(client.daemon, path), get(client.daemon, "/state")]
    for answer in seen:
        assert secret not in str(answer.headers)
        assert secret.encode() not in answer.body
    eventually(lambda: any(line.get("status") == 405 for line in client.daemon.log()))
    assert secret not in client.daemon.log_path.read_text()


@pytest.mark.parametrize("before", ["", "/", "/-", "/-/auto"])
@pytest.mark.parametrize("after", ["", "/", "/x"])
def test_the_log_is_no_place_for_it(client: Client, before: str, after: str) -> None:
    """However it is asked for: by a browser, in another dialect, by a mistake."""
    made = client.begin(b"1")
    secret = made.location.rpartition("/")[2]
    path = f"{before}{made.location}{after}"
    client.ask("OPTIONS", path, {})
    client.ask("HEAD", path, {"Tus-Resumable": "1.0.0"})
    last = client.ask("TRACE", path, {})["X-Request-Id"]
    eventually(lambda: any(line.get("request_id") == last for line in client.daemon.log()))
    assert secret not in client.daemon.log_path.read_text()
    (line,) = [line for line in client.daemon.log() if line.get("request_id") == last]
    assert line["path"] == path.replace(secret[8:], "…")


# -- DELETE


def test_given_up(each: Client) -> None:
    """The key is free at once, and nobody can go on."""
    path = fresh_key()
    made = each.begin(b"x", path)
    assert each.ask("DELETE", made.location, each.fields()).status == 204
    for answer in (each.look(made.location), each.append(made.location, 1, b"y")):
        assert answer.status in (404, 410)
        assert "Upload-Offset" not in answer.headers
    assert each.ask("DELETE", made.location, each.fields()).status in (404, 410)
    assert each.ask("PUT", path, {}, b"another").status == 200


def test_given_up_after_the_end(client: Client) -> None:
    """The file is gone with it."""
    path = fresh_key()
    made = client.begin(b"x", path)
    client.append(made.location, 1, b"y", complete=True)
    assert client.ask("DELETE", made.location, client.fields()).status == 204
    assert client.look(made.location).status in (404, 410)
    assert client.ask("HEAD", path, {}).status == 404


def test_the_key_is_deleted(client: Client) -> None:
    """Where that is allowed, the upload goes with it."""
    path = fresh_key()
    made = client.begin(b"x", path)
    assert client.ask("DELETE", path, {}).status == 204
    assert client.look(made.location).status in (404, 410)
    assert client.ask("PUT", path, {}, b"another").status == 200


# -- OPTIONS


def test_what_may_begin(narrow: Client) -> None:
    """The limits, before anything is sent; nothing less strict holds later."""
    found = narrow.ask("OPTIONS", fresh_key(), narrow.fields())
    assert found.status in (200, 204)
    assert f"max-size={3 * MIB}, max-append-size={MIB}" in (found["Upload-Limit"] or "")
    assert "application/partial-upload" in (found["Accept-Patch"] or "")
    made = narrow.begin(b"")
    later = dict(item.split("=") for item in (made["Upload-Limit"] or "").split(", "))
    before = dict(item.split("=") for item in (found["Upload-Limit"] or "").split(", "))
    assert int(later["max-age"]) <= int(before["max-age"])
    assert later["max-size"] == before["max-size"]


def test_what_may_begin_for_whoever_says_more(client: Client) -> None:
    """An opt-in changes nothing."""
    found = client.ask("OPTIONS", fresh_key(), client.fields(complete=True))
    assert found.status in (200, 204)
    assert "max-age=" in (found["Upload-Limit"] or "")


def test_a_browser_may(client: Client) -> None:
    """A script of another origin may send what it needs, and see what it gets."""
    preflight = {
        "Origin": "http://elsewhere.example",
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "upload-complete, upload-offset",
    }
    made = client.begin(b"x")
    for place in (fresh_key(), made.location):
        answer = client.ask("OPTIONS", place, preflight)
        assert answer.status in (200, 204)
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "PUT" in (answer["Access-Control-Allow-Methods"] or "")
        allowed = (answer["Access-Control-Allow-Headers"] or "").lower()
        assert allowed == "*" or "upload-complete" in allowed
    assert "PATCH" in (answer["Access-Control-Allow-Methods"] or "")
    for answer in (made, client.look(made.location)):
        assert answer["Access-Control-Allow-Origin"] == "*"
        exposed = (answer["Access-Control-Expose-Headers"] or "").lower()
        assert "location" in exposed
        assert "upload-limit" in exposed
