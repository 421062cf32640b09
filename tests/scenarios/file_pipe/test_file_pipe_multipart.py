"""Forms over file-pipe: which part is stored, what readers see of it, and what is no form."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import curl, eventually, read_until
from tests.scenarios.file_pipe.front import Answer, Front, file_of, fresh_key
from tests.scenarios.peers import MIB, body_of, sha

FORM = "Content-Type: multipart/form-data; boundary=b"
FILE = b'Content-Disposition: form-data; name="f"; filename="a.txt"\r\n'
FIELD = b'Content-Disposition: form-data; name="note"\r\n'

CHARSET = FIELD.replace(b"note", b"_charset_")


def part(head: bytes, data: bytes) -> bytes:
    """One part of a form, with the boundary before it."""
    return b"--b\r\n" + head + b"\r\n" + data + b"\r\n"


def send(front: Front, key: str, form: bytes) -> Answer:
    """Upload a form, its length known."""
    return front.put(key, form, FORM)


# -- what is stored, and how readers see it


@pytest.mark.parametrize("framing", [(), ("--header", "Transfer-Encoding: chunked")])
@pytest.mark.parametrize("size", [0, 1, 65536, 3 * MIB])
def test_a_file(
    front: Front, key: str, tmp_path: Path, size: int, framing: tuple[str, ...]
) -> None:
    """`curl -X PUT -F` stores the file alone, under its own name and type."""
    body = body_of(size)
    form = f"file=@{file_of(tmp_path, body, 'report.pdf')};type=application/pdf"
    answer = front.curl(key, "--request", "PUT", "--form", form, *framing)
    assert (answer.status, answer.body) == (200, b"")
    got = front.curl(key)
    assert sha(got.body) == sha(body)
    assert got.headers["content-type"] == "application/pdf"
    assert got.headers["content-disposition"] == 'attachment; filename="report.pdf"'
    assert got.headers["content-length"] == str(size)


def test_a_part_without_name_and_type(front: Front, key: str) -> None:
    """What the part does not say is not made up."""
    assert send(front, key, part(b"", b"hello") + b"--b--\r\n").status == 200
    answer = front.curl(key)
    assert answer.body == b"hello"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "content-disposition" not in answer.headers


def test_a_waiting_reader_sees_the_part(front: Front, key: str) -> None:
    """A reader that was there first gets neither the form's length nor its type."""
    with front.download(key) as reader:
        eventually(lambda: front.waiting() == 1)
        with front.upload(key, None, FORM) as upload:
            upload.send(b"--b\r\n")
            eventually(lambda: front.state_of(key) == "claimed")
            assert front.waiting() == 1
            upload.send(FILE + b"Content-Type: text/x-log\r\n\r\n")
            assert reader.begin() == 200
            assert reader.response.headers["Content-Length"] is None
            assert reader.response.headers["Content-Type"] == "text/x-log"
            assert reader.response.headers["Content-Disposition"] == (
                'attachment; filename="a.txt"'
            )
            upload.finish(b"hello\r\n--b--\r\n")
        assert reader.rest() == b"hello"


@pytest.mark.parametrize(
    ("form", "stored"),
    [
        pytest.param(part(FIELD, b"text"), b"text", id="a field alone"),
        pytest.param(part(FIELD, b"text") + part(FILE, b"data"), b"data", id="a field before"),
        pytest.param(part(FILE, b"data") + part(FIELD, b"text"), b"data", id="a field behind"),
        pytest.param(part(FIELD, b"one") + part(FIELD, b"two"), b"one", id="two fields"),
        pytest.param(part(FILE, b"one") + part(FILE, b"two"), b"one", id="two files"),
        pytest.param(part(FIELD, b"t") * 50 + part(FILE, b"data"), b"data", id="many fields"),
        pytest.param(part(FIELD, b""), b"", id="an empty field"),
        pytest.param(part(FIELD, b"t") + part(FILE, b""), b"", id="an empty file"),
        pytest.param(
            part(FIELD, b"t") + part(FIELD, bytes(100000)) + part(FILE, b"data"),
            b"data", id="a large second field",
        ),
        pytest.param(
            part(FIELD, b"t") + part(FILE.replace(b"a.txt", b".."), b"data"),
            b"data", id="a file with an unusable name",
        ),
        pytest.param(
            part(FILE.replace(b"a.txt", b""), b"") + part(FILE, b"data"),
            b"data", id="a file field left empty",
        ),
        pytest.param(
            part(FILE + b"Content-Length: 2\r\n", b"hello"), b"hello", id="a length inside"
        ),
        pytest.param(b"preamble\r\n" + part(FILE, b"data"), b"data", id="a preamble"),
        pytest.param(part(CHARSET, b"utf-8") + part(FILE, b"data"), b"data", id="a charset"),
        pytest.param(
            part(FIELD, b"t") + part(CHARSET, b"u" * 99) + part(FILE, b"data"),
            b"data", id="a long charset behind a field",
        ),
        pytest.param(part(CHARSET, b"utf-8"), b"utf-8", id="a charset alone"),
    ],
)  # fmt: skip
def test_the_part_that_is_meant(front: Front, key: str, form: bytes, stored: bytes) -> None:
    """The first file, wherever it stands, else the first field."""
    assert send(front, key, form + b"--b--\r\n").status == 200
    assert front.curl(key).body == stored


def test_a_long_field_alone(root: Front, key: str) -> None:
    """A field may be as large as a file where there is no file."""
    body = body_of(MIB)
    assert send(root, key, part(FIELD, body) + part(FIELD, b"x") + b"--b--\r\n").status == 200
    assert sha(root.curl(key).body) == sha(body)


def test_a_long_field_before_a_file(root: Front, key: str) -> None:
    """A file that comes too late to be chosen is not lost with a 200."""
    form = part(FIELD, bytes(MIB)) + part(FILE, b"data") + b"--b--\r\n"
    text = "a field of more than 65536 bytes stands before the file"
    send(root, key, form).assert_refusal(400, text)
    assert root.stored(key) == -1


def test_a_large_part_behind_the_file(front: Front, key: str, tmp_path: Path) -> None:
    """curl gets its 200 although what follows the file is not stored."""
    first, second = (
        file_of(tmp_path, b"data", "first"),
        file_of(tmp_path, bytes(20 * MIB), "second"),
    )
    done = curl("--include", "--request", "PUT", "--form", f"a=@{first}",
                "--form", f"b=@{second}", front.url(key))  # fmt: skip
    assert Answer.parse(done.stdout).status == 200
    assert front.curl(key).body == b"data"


@pytest.mark.parametrize(
    ("filename", "rendered"),
    [
        ("a b.txt", "a b.txt"),
        ("größe.txt", "größe.txt"),
        (r"say \"hi\".txt", r"say \"hi\".txt"),
        ("../../etc/passwd", "passwd"),
        (r"C:\\dir\\a.txt", "a.txt"),
        ("a\tb.txt", "ab.txt"),
        ("re\N{RIGHT-TO-LEFT OVERRIDE}txt.exe", "retxt.exe"),
    ],
)
def test_file_names(root: Front, key: str, filename: str, rendered: str) -> None:
    """A name loses its folders and what misleads; quotes are escaped, other scripts stay."""
    head = f'Content-Disposition: form-data; name="f"; filename="{filename}"\r\n'
    send(root, key, part(head.encode(), b"x") + b"--b--\r\n")
    assert root.curl(key).headers["content-disposition"] == f'attachment; filename="{rendered}"'


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "Multipart/Form-Data; boundary=b", "multipart/mixed; boundary=b"],
)
def test_what_is_no_form(front: Front, key: str, content_type: str) -> None:
    """Without a boundary, or spelt otherwise, it is a body like any other, type and all."""
    form = part(FILE, b"data") + b"--b--\r\n"
    assert front.put(key, form, f"Content-Type: {content_type}").status == 200
    answer = front.curl(key)
    assert answer.body == form
    assert answer.headers["content-type"] == content_type


def test_a_boundary_in_quotes(root: Front, key: str) -> None:
    """A boundary may need quotes."""
    form = b"--a b:c\r\n" + FILE + b"\r\nhello\r\n--a b:c--\r\n"
    content_type = 'Content-Type: multipart/form-data; boundary="a b:c"'
    assert root.put(key, form, content_type).status == 200
    assert root.curl(key).body == b"hello"


def test_what_looks_like_a_boundary(root: Front, key: str, tmp_path: Path) -> None:
    """Line ends and dashes in the data stay data, also where they meet the end of a block."""
    body = b"".join(b"\r\n--" + bytes(n % 3) + b"\r\n-\r" for n in range(60000))
    done = root.curl(key, "--request", "PUT", "--form", f"f=@{file_of(tmp_path, body)}")
    assert done.status == 200
    assert sha(root.curl(key).body) == sha(body)


# -- what is wrong


def test_no_parts(front: Front, key: str) -> None:
    """A form with nothing in it has nothing to store."""
    send(front, key, b"--b--\r\n").assert_refusal(400, "multipart body contains no fields")
    assert front.stored(key) == -1


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="no boundary"),
        pytest.param(b"--c\r\n\r\nhello\r\n--c--\r\n", id="another boundary"),
        pytest.param(b"--b\r\n", id="cut off before the head"),
        pytest.param(b"--b\r\n" + FILE, id="cut off in the head"),
        pytest.param(b"--b\r\n" + FILE + b"\r\n", id="cut off before the data"),
        pytest.param(b"--b\r\n" + FILE + b"\r\nhello", id="cut off in the file"),
        pytest.param(b"--b\r\n" + FIELD + b"\r\nhello", id="cut off in a field"),
        pytest.param(part(FIELD, b"hello"), id="cut off behind a field"),
        pytest.param(part(FIELD, bytes(100000)), id="cut off behind a long field"),
        pytest.param(part(b"no colon\r\n", b"x") + b"--b--\r\n", id="a line that is no header"),
        pytest.param(part(b"A: \x00\r\n", b"x") + b"--b--\r\n", id="a control character"),
        pytest.param(part(b"A: " + b"a" * 9000 + b"\r\n", b"x"), id="a long header"),
        pytest.param(part(b"A: a\r\n" * 200, b"x"), id="many headers"),
        pytest.param(b"a" * 300000, id="a long preamble"),
        pytest.param(
            part(b"Content-Type: multipart/mixed; boundary=c\r\n", b"--c--"), id="a nested form"
        ),
        pytest.param(part(b"Content-Type: multipart/mixed\r\n", b"x"), id="a nested one without"),
        pytest.param(
            part(b'Content-Disposition: form-data; name="_charset_"\r\n', b"x" * 50), id="_charset_"
        ),
    ],
)  # fmt: skip
def test_a_malformed_form(front: Front, key: str, form: bytes) -> None:
    """What cannot be read as a form is refused with a word on why, and the key is free."""
    answer = send(front, key, form)
    text = answer.body.decode()
    assert text.startswith("multipart parse error: ")
    answer.assert_refusal(400, text)
    assert front.stored(key) == -1


def test_a_file_that_is_cut_off_cuts_its_readers(front: Front, key: str) -> None:
    """A form that ends inside its file is no file to anybody."""
    with front.upload(key, None, FORM) as upload, front.download(key) as reader:
        upload.send(b"--b\r\n" + FILE + b"\r\n" + bytes(200000))
        assert reader.begin() == 200
        assert Answer.parse(upload.finish()).status == 400
        assert reader.rest() is None
    assert front.stored(key) == -1


def test_a_reader_waits_on_behind_a_malformed_form(front: Front, key: str) -> None:
    """Who waits for the key does not hear of a form that was none, and gets what comes next."""
    with front.download(key) as reader:
        eventually(lambda: front.waiting() == 1)
        assert send(front, key, b"nonsense").status == 400
        assert front.put(key, b"hello").status == 200
        assert reader.begin() == 200
        assert reader.rest() == b"hello"


PIECES = st.sampled_from(
    [b"--b", b"--b--", b"\r\n", b"\n", b"\r", b"--", b":", FILE, FIELD, b"hello", b"\x00", b"\xff",
     b"Content-Type: text/plain\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99\r\n",
     b"Content-Transfer-Encoding: base64\r\n", b"Content-Encoding: gzip\r\n", b"QUJD", bytes(70000)]
)  # fmt: skip


@given(form=st.lists(PIECES, max_size=12).map(b"".join), closed=st.booleans())
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_form(root: Front, form: bytes, *, closed: bool) -> None:
    """Whatever a form looks like: it is stored, or refused by one sentence; nothing breaks."""
    key = fresh_key()
    answer = send(root, key, b"--b\r\n" + form + (b"\r\n--b--\r\n" if closed else b""))
    assert answer.status in (200, 400), answer
    assert (root.stored(key) >= 0) == (answer.status == 200)


def test_the_form_is_asked_for_once_the_key_is_won(front: Front, key: str) -> None:
    """`100 Continue` comes before the first part is looked for, and not without the key."""
    head = f"PUT {{base}}/{key} HTTP/1.1\n{FORM}\nContent-Length: 5000\nExpect: 100-continue"
    with front.begin(head) as sock:
        assert read_until(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        with front.begin(head) as rival:
            assert read_until(rival, b"\r\n").startswith(b"HTTP/1.1 409 ")
