"""PUT of a part: what a token allows, what a body must be, and what happens to it again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import eventually, read_until
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.uploads.api import SECRET, Api, Made

BODY = body_of(2 * MIB + MIB // 2)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def encoded(value: bytes) -> str:
    """As in a token."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def forged(claims: dict[str, Any], secret: str = SECRET, alg: str = "HS256") -> str:
    """A token of our own making."""
    header = {"typ": "JWT", "alg": alg}
    signed = ".".join(encoded(json.dumps(each).encode()) for each in (header, claims))
    digest = {"HS256": "sha256", "HS512": "sha512"}.get(alg)
    signature = hmac.digest(secret.encode(), signed.encode(), digest) if digest is not None else b""
    return f"{signed}.{encoded(signature)}"


def claims_of(made: Made, number: int = 0) -> dict[str, Any]:
    """What the token of a part says."""
    payload = made.token(number).split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return claims


def head(made: Made, number: int, length: int, *headers: str, token: str | None = None) -> bytes:
    """The head of a PUT, to be followed by as much of a body as a test likes."""
    lines = [
        f"PUT {made.api.base}/upload/{made.id}/part/{number} HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {length}",
        f"Authorization: Bearer {token or made.token(number)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def test_the_answer(each: Api) -> None:
    """Counts and the hash of what was received."""
    made = each.begin(BODY)
    for count, number in enumerate((2, 0, 1), start=1):
        assert made.put(number).json == {
            "upload_id": made.id,
            "part_number": number,
            "status": "uploaded",
            "checksum_sha256": sha(made.piece(number)),
            "uploaded_parts": count,
            "total_parts": 3,
        }


def test_the_token_says_what_it_is_for(api: Api) -> None:
    """The claims are those that the clients' own tools look for."""
    made = api.begin(BODY)
    claims = claims_of(made, 2)
    assert set(claims) == {"upload_id", "part_number", "expected_size", "exp"}
    assert (claims["upload_id"], claims["part_number"]) == (made.id, 2)
    assert claims["expected_size"] == len(made.piece(2))
    assert abs(claims["exp"] - time.time() - 24 * 3600) < 60


def test_again(api: Api) -> None:
    """The same part again is as good as the first time, also once the upload is complete."""
    made = api.begin(BODY)
    first = made.put(1).json
    assert made.put(1).json == first
    made.put_all()
    assert made.complete().status == 200
    again = made.put(1)
    assert again.status == 200, again
    assert again.json["uploaded_parts"] == 3
    assert api.at(made.status()["final_path"]) == BODY


def test_again_with_other_content(api: Api) -> None:
    """It is asked for once more, and then it is what counts; nothing of the first is kept."""
    made = api.begin(BODY)
    made.put_all()
    other = body_of(len(made.piece(0)), seed=2)
    reply = made.put(0, other)
    reply.refused(503, "busy")
    assert int(reply.headers["Retry-After"]) > 0
    assert made.status()["uploaded_parts"] == 2
    made.complete().refused(400)
    assert made.put(0, other).json["checksum_sha256"] == sha(other)
    final = made.complete().json["final_path"]
    assert api.at(final) == other + BODY[len(other) :]


def test_a_complete_upload_is_not_changed(api: Api) -> None:
    """Other content for a part of a finished file is refused, and the file stays."""
    made = api.upload(BODY)
    made.put(0, body_of(len(made.piece(0)), seed=2)).refused(400)
    assert api.at(made.status()["final_path"]) == BODY
    assert made.status()["uploaded_parts"] == 3


def test_many_at_once(api: Api) -> None:
    """Parts may come side by side, each of them several times."""
    made = api.begin(BODY)

    def put(number: int) -> int:
        for _ in range(50):
            reply = made.put(number)
            if reply.status != 503:
                return reply.status
            time.sleep(0.02)
        return 503

    with ThreadPoolExecutor(9) as pool:
        assert set(pool.map(put, [0, 1, 2] * 3)) == {200}
    assert api.at(made.complete().json["final_path"]) == BODY


def test_two_writers(api: Api) -> None:
    """The second one on the same part is told to come again, and changes nothing."""
    made = api.begin(BODY)
    piece = made.piece(0)
    with api.daemon.connect(head(made, 0, len(piece)) + piece[:1000], listener=1) as first:
        eventually(lambda: made.put(0, body_of(len(piece), seed=3)).status == 503)
        reply = made.put(0, body_of(len(piece), seed=3))
        reply.refused(503, "busy")
        assert int(reply.headers["Retry-After"]) > 0
        assert made.put(1).status == 200
        first.sendall(piece[1000:])
        assert sha(piece).encode() in read_until(first, b"}")
    assert made.put(0).status == 200


def test_a_writer_that_leaves(api: Api) -> None:
    """A part of a part is nothing; whoever sends it again is not kept waiting by the dead."""
    made = api.begin(BODY)
    piece = made.piece(0)
    with api.daemon.connect(head(made, 0, len(piece)) + piece[:-1], listener=1):
        eventually(lambda: made.put(0).status == 503)
    eventually(lambda: made.put(0).status == 200)
    assert made.status()["uploaded_parts"] == 1


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("change", [-1, 1, -(10**9), 100_000])
def test_a_body_of_another_size(api: Api, change: int, chunked: bool) -> None:
    """Too short, too long, none: refused, and the part is still missing."""
    made = api.begin(BODY)
    data = made.piece(0)[:change] if change < 0 else made.piece(0) + bytes(change)
    path = f"/upload/{made.id}/part/0"
    bearer = {"Authorization": f"Bearer {made.token(0)}"}
    if chunked:
        bearer["Transfer-Encoding"] = "chunked"
        pieces = [data[at : at + 65536] for at in range(0, len(data), 65536)]
        data = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
    reply = api.call("PUT", path, data, bearer)
    assert "size mismatch" in reply.refused(400, "bad_request")
    assert made.status()["uploaded_parts"] == 0
    assert made.put(0).status == 200


def test_a_body_in_chunks(api: Api) -> None:
    """A length need not be announced."""
    made = api.begin(BODY)
    piece = made.piece(0)
    data = b"%x\r\n%s\r\n0\r\n\r\n" % (len(piece), piece)
    headers = {"Authorization": f"Bearer {made.token(0)}", "Transfer-Encoding": "chunked"}
    assert api.call("PUT", f"/upload/{made.id}/part/0", data, headers).status == 200


def test_tokens_that_are_refused(api: Api) -> None:
    """Whatever is wrong with a token, the answer is one sentence and nothing is stored."""
    made, other = api.begin(BODY), api.begin(BODY)
    claims = claims_of(made)
    past = int(time.time()) - 61
    bad = {
        "another part's": made.token(1),
        "another upload's": other.token(0),
        "expired": forged({**claims, "exp": past}),
        "for ever": forged({name: value for name, value in claims.items() if name != "exp"}),
        "alg none": forged(claims, alg="none"),
        "alg NONE": forged(claims, alg="NONE"),
        "alg HS512": forged(claims, alg="HS512"),
        "another key's": forged(claims, secret="x" * 40),
        "unsigned": made.token(0).rpartition(".")[0] + ".",
        "cut": made.token(0)[:-4],
        "no token": "x",
        "a number as text": forged({**claims, "part_number": "0"}),
    }
    said = {
        name: made.put(0, token=token).refused(401, "unauthorized") for name, token in bad.items()
    }
    assert len(set(said.values())) == 1, said
    assert made.put(0, token=forged(claims)).status == 200, "the forger can make good ones"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic x", "bearer", "{token}"])
def test_no_token(api: Api, header: str | None) -> None:
    """Without a bearer the sentence says what is missing; the API key is none."""
    made = api.begin(BODY)
    headers = {} if header is None else {"Authorization": header.format(token=made.token(0))}
    reply = api.ask("PUT", f"/upload/{made.id}/part/0", made.piece(0), headers)
    assert reply.refused(401) == "Missing or invalid Authorization header"


def test_the_scheme_has_no_case(api: Api) -> None:
    """A client may write it as it likes (RFC 9110, 11.1)."""
    made = api.begin(BODY)
    headers = {"Authorization": f"bEARER {made.token(0)}"}
    assert api.ask("PUT", f"/upload/{made.id}/part/0", made.piece(0), headers).status == 200


@pytest.mark.parametrize(
    ("number", "status"), [("x", 400), ("-1", 400), ("1.0", 400), ("9999999", 400), ("3", 404)]
)
def test_no_such_part(api: Api, number: str, status: int) -> None:
    """Neither a word nor one beyond the last, also with a token that is signed for it."""
    made = api.begin(BODY)
    digits = int(number) if number.isdigit() else 0
    token = forged({**claims_of(made), "part_number": digits})
    bearer = {"Authorization": f"Bearer {token}"}
    api.call("PUT", f"/upload/{made.id}/part/{number}", b"x", bearer).refused(status)


def test_no_such_upload(api: Api) -> None:
    """The token outlives the upload, but does not bring it back."""
    made = api.begin(BODY)
    assert made.cancel().status == 200
    assert made.id in made.put(0).refused(404, "not_found")


def test_nothing_is_read_before_the_token_is_known(api: Api) -> None:
    """Of 50 MB with a bad token not a byte is waited for; who asks first is not invited."""
    made = api.begin(BODY)
    for expect in ((), ("Expect: 100-continue",)):
        request = head(made, 0, 50_000_000, *expect, token="bad")
        with api.daemon.connect(request, listener=1) as sock:
            answer = read_until(sock, b"}")
        assert answer.startswith(b"HTTP/1.1 401 "), answer
        assert CONTINUE not in answer


def test_a_size_is_refused_before_it_is_read(api: Api) -> None:
    """What cannot be right is not invited either."""
    made = api.begin(BODY)
    request = head(made, 0, 50_000_000, "Expect: 100-continue")
    with api.daemon.connect(request, listener=1) as sock:
        assert read_until(sock, b"}").startswith(b"HTTP/1.1 400 ")
    with api.daemon.connect(head(made, 0, len(made.piece(0)), "Expect: 100-continue"), 1) as sock:
        read_until(sock, CONTINUE)
        sock.sendall(made.piece(0))
        assert b"HTTP/1.1 200 " in read_until(sock, b"}")
    answer = api.daemon.talk(head(made, 1, len(made.piece(1)), "Expect: magic"), listener=1)
    assert answer.startswith(b"HTTP/1.1 417 ")


def test_a_part_is_in_the_access_log(api: Api) -> None:
    """Its path, status and bytes; no token and no name of a file."""
    made = api.begin(BODY, "secret-plans.txt")
    assert made.put(2).status == 200
    path = f"/upload/{made.id}/part/2"

    def lines() -> list[dict[str, Any]]:
        return [line for line in api.daemon.log() if line.get("path") == path]

    eventually(lines)
    (line,) = lines()
    assert (line["method"], line["status"], line["bytes_in"]) == ("PUT", 200, len(made.piece(2)))
    assert "secret-plans" not in json.dumps(lines())
    assert hashlib.sha256(made.token(2).encode()).hexdigest() not in json.dumps(lines())
