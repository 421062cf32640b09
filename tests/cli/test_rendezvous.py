"""`filepipe send` and `filepipe receive` as a shell sees them."""

import os

import pytest
import segno
from mnemonic import Mnemonic

from tests.cli.shell import Call, Shell, await_request, stop
from tests.client.fake_origin import FakeOrigin, Fault, Object

BODY = bytes(range(256)) * 40


def test_send_a_file(shell: Shell, origin: FakeOrigin) -> None:
    """A file goes by POST with its name and length; nothing is said without a terminal."""
    (shell.folder / "big file").write_bytes(BODY)
    arguments = ["--receivers", "2", "--wait", "5s", "-q"]
    assert shell.run("send", "big file", "a b", *arguments) == (0, b"", "")
    (seen,) = origin.requests("POST")
    assert (seen.path, seen.body) == ("/a%20b?n=2", BODY)
    assert seen.headers["Content-Length"] == str(len(BODY))
    assert seen.headers["Content-Disposition"] == 'attachment; filename="big file"'
    assert seen.headers["Prefer"] == "wait=5"


def test_send_standard_input(shell: Shell, origin: FakeOrigin) -> None:
    """A pipe is chunked and has the name that it is given."""
    assert shell.run("send", "-", "k", "--name", "n.txt", data=BODY)[0] == 0
    (seen,) = origin.requests("POST")
    assert seen.body == BODY
    assert seen.headers["Transfer-Encoding"] == "chunked"
    assert seen.headers["Content-Disposition"] == 'attachment; filename="n.txt"'


def test_send_mints_a_key(shell: Shell, origin: FakeOrigin) -> None:
    """Four words that anybody can say, on stderr as the commands to type; stdout stays clean."""
    code, out, err = shell.run("send", "--quiet", data=BODY)
    (seen,) = origin.requests("POST")
    key = seen.path.removeprefix("/")
    assert (code, out, seen.body) == (0, b"", BODY)
    assert len(key.split("-")) == 4
    assert set(key.split("-")) <= set(Mnemonic("english").wordlist)
    assert f"  filepipe receive {key} --url {origin.url}\n" in err
    assert f"  curl -fOJ {origin.url}/{key}\n" in err
    assert "127.0.0.1 means this machine only" in err


def test_send_shows_a_qr_code(shell: Shell, origin: FakeOrigin) -> None:
    """Its modules are those of the URL to receive from."""
    shell.environment["PYTHONIOENCODING"] = "utf-8"
    code, out, err = shell.run("send", "-", "k", "--qr", data=b"x")
    assert (code, out) == (0, b"")
    halves = {" ": (1, 1), "\u2580": (0, 1), "\u2584": (1, 0), "\u2588": (0, 0)}
    modules = [
        [halves[block][half] for block in line] for line in err.splitlines() for half in (0, 1)
    ]
    expected = [list(row) for row in segno.make(f"{origin.url}/k", micro=False).matrix_iter()]
    assert modules[: len(expected)] == expected


def test_send_on_a_terminal(shell: Shell, origin: FakeOrigin) -> None:
    """Who watches sees what to type there, the bytes, and what became of them."""
    (shell.folder / "f").write_bytes(BODY)
    code, shown, out = shell.on_a_terminal("send", "f", "k")
    assert (code, out) == (0, b"")
    assert f"filepipe receive k --url {origin.url}" in shown
    assert "10 KiB in " in shown
    assert shown.rstrip().endswith("delivered to 1 receiver")


def test_send_a_whole_url(shell: Shell, origin: FakeOrigin) -> None:
    """A URL instead of a key is where to meet, and is what the other side is told."""
    code, shown, _ = shell.on_a_terminal("send", "-", f"{origin.url}/x/y", "--url", "http://h")
    assert code == 0
    assert f"filepipe receive {origin.url}/x/y\r\n" in shown


@pytest.mark.parametrize("status", [408, 409, 502])
def test_send_that_fails(call: Call, shell: Shell, origin: FakeOrigin, status: int) -> None:
    """Only 200 is success; anything else is one line and not 0."""
    (shell.folder / "f").write_bytes(BODY)
    origin.faults.append(Fault(status=status, late=status == 502))
    expected = (1, "", f"filepipe: as the test wishes ({status})\n")
    assert call("send", "f", "k", "--wait", "0") == expected


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["send", "none", "k"], 1, "none: No such file or directory"),
        (["send", "none"], 1, "none: no such file; for standard input under this key: filepipe"),
        (["send", ".", "k"], 1, "Is a directory"),
        (["send", "-", "k", "--wait", "soon"], 2, "--wait: 'soon' is not a duration"),
        (["send", "-", "k", "--receivers", "0"], 2, "--receivers"),
        (["send", "-", "k", "--receivers", "x"], 2, "--receivers"),
        (["send", "-", "http://"], 2, "the URL is not one like"),
        (["receive", "k", "-o", "none/"], 1, "none/: is no folder"),
        (["receive", ""], 2, "the key is empty"),
        (["receive"], 2, "requires an argument"),
    ],
)  # fmt: skip
def test_what_cannot_begin(
    call: Call, origin: FakeOrigin, arguments: list[str], code: int, sentence: str
) -> None:
    """One line says what is wrong, nobody is told a key, and nothing is asked."""
    found, out, err = call(*arguments)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert sentence in err
    assert origin.seen == []


def test_receive_into_this_folder(shell: Shell, origin: FakeOrigin) -> None:
    """The file has the sender's name, made harmless, and stdout says which."""
    named = {"Content-Disposition": 'attachment; filename="../evil"'}
    origin.objects["k"] = Object(BODY, etag=None, headers=named)
    assert shell.run("receive", "k", "--receivers", "2", "--wait", "1m") == (
        0,
        f"{shell.folder}/evil\n".encode(),
        "",
    )
    assert (shell.folder / "evil").read_bytes() == BODY
    assert [path.name for path in shell.folder.iterdir()] == ["evil"]
    (seen,) = origin.requests("GET")
    assert (seen.path, seen.headers["Prefer"]) == ("/k?n=2", "wait=30")


def test_receive_to_stdout(shell: Shell, origin: FakeOrigin) -> None:
    """With -o - there is nothing around the bytes; a URL is as good as a key."""
    origin.objects["k"] = Object(BODY, etag=None)
    assert shell.run("receive", f"{origin.url}/k", "-o", "-", "--url", "http://h") == (0, BODY, "")


def test_receive_does_not_replace_a_file(shell: Shell, origin: FakeOrigin) -> None:
    """A name that the sender chose must be free; one that is given by -o is yours."""
    (shell.folder / "f").write_bytes(b"mine")
    named = {"Content-Disposition": 'attachment; filename="f"'}
    origin.objects["k"] = Object(BODY, etag=None, headers=named)
    code, out, err = shell.run("receive", "k")
    assert (code, out) == (1, b"")
    assert "f: exists, and the name is the server's choice" in err
    assert (shell.folder / "f").read_bytes() == b"mine"
    assert shell.run("receive", "k", "-o", "f") == (0, f"{shell.folder}/f\n".encode(), "")
    assert (shell.folder / "f").read_bytes() == BODY


def test_receive_what_breaks_off(shell: Shell, origin: FakeOrigin) -> None:
    """Half a file is none, and is not asked for again."""
    origin.objects["k"] = Object(BODY, etag=None)
    origin.faults.append(Fault(cut=1000))
    code, out, err = shell.run("receive", "k")
    assert (code, out) == (4, b"")
    assert err == (
        "filepipe: the connection broke after 1000 bytes; it cannot be resumed, only begun anew\n"
    )
    assert list(shell.folder.iterdir()) == []


def test_receive_what_nobody_sends(call: Call, origin: FakeOrigin) -> None:
    """404 is asked again while there is time, then exit 3."""
    expected = (3, "", "filepipe: nothing is there (404)\n")
    assert call("receive", "k", "--wait", "1s") == expected
    assert len(origin.requests("GET")) > 1


def test_ctrl_c_while_the_input_is_silent(shell: Shell, origin: FakeOrigin) -> None:
    """A read that blocks does not hold up Ctrl-C."""
    out, into = os.pipe()
    try:
        with shell.start("send", "-", "k", stdin=out) as process:
            await_request(origin, "POST")
            err = stop(process)
    finally:
        os.close(out)
        os.close(into)
    assert (process.returncode, err) == (130, "filepipe: stopped\n")


def test_ctrl_c_while_nobody_sends(shell: Shell, origin: FakeOrigin) -> None:
    """Waiting ends at once, with one line and exit 130."""
    origin.faults.append(Fault(hang=True))
    with shell.start("receive", "k") as process:
        await_request(origin, "GET")
        err = stop(process)
    assert (process.returncode, err) == (130, "filepipe: stopped\n")
