"""`filepipe put` and `filepipe get` as a shell sees them: streams, files and exit codes."""

import os
import re
import select
import socket

import pytest

from tests.cli.shell import Shell, await_request, stop
from tests.client.fake_origin import FakeOrigin, Fault, Object

BODY = bytes(range(256)) * 40


def test_put_a_file(shell: Shell, origin: FakeOrigin) -> None:
    """A file goes under its own name, and stdout gets the server's URL as its only line."""
    (shell.folder / "big file.iso").write_bytes(BODY)
    assert shell.run("put", "big file.iso") == (
        0,
        f"{origin.url}/big%20file.iso?t=1\n".encode(),
        "",
    )
    (seen,) = origin.requests("PUT")
    assert seen.path == "/big%20file.iso"
    assert seen.body == BODY
    assert seen.headers["Content-Length"] == str(len(BODY))
    assert seen.headers["Content-Disposition"] == 'attachment; filename="big file.iso"'


def test_put_with_everything(shell: Shell, origin: FakeOrigin) -> None:
    """Each option reaches the server."""
    (shell.folder / "f").write_bytes(BODY)
    options = ["--content-type", "text/x", "--name", "n.txt", "--max-age", "2m", "--timeout", "9"]
    assert shell.run("put", "f", "dir/k", "--quiet", *options)[0] == 0
    (seen,) = origin.requests("PUT")
    assert seen.path == "/dir/k?max-age=120"
    assert seen.headers["Content-Type"] == "text/x"
    assert seen.headers["Content-Disposition"] == 'attachment; filename="n.txt"'


def test_put_standard_input(shell: Shell, origin: FakeOrigin) -> None:
    """A pipe is chunked and has no file name."""
    assert shell.run("put", "-", "k", data=BODY)[0] == 0
    (seen,) = origin.requests("PUT")
    assert seen.path == "/k"
    assert seen.body == BODY
    assert seen.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Disposition" not in seen.headers


def test_put_standard_input_without_a_key(shell: Shell, origin: FakeOrigin) -> None:
    """A key that was not given cannot be guessed, and is printed."""
    outputs = [shell.run("put", "-", data=b"x") for _ in range(2)]
    keys = [seen.path for seen in origin.requests("PUT")]
    assert keys[0] != keys[1]
    for (code, out, _), key in zip(outputs, keys, strict=True):
        assert re.fullmatch("/[a-z2-7]{26}", key)
        assert (code, out) == (0, f"{origin.url}{key}?t=1\n".encode())


def test_put_redirected_file(shell: Shell, origin: FakeOrigin) -> None:
    """`put - < FILE` knows the length."""
    (shell.folder / "f").write_bytes(BODY)
    with (shell.folder / "f").open("rb") as stream, shell.start("put", "-", "k", stdin=stream) as p:
        p.communicate(timeout=50)
    assert origin.requests("PUT")[0].headers["Content-Length"] == str(len(BODY))


def test_put_of_a_used_key(shell: Shell, origin: FakeOrigin) -> None:
    """A refusal is one line on stderr and exit 1."""
    origin.refuse = 409
    code, out, err = shell.run("put", "-", "k", data=b"x")
    assert (code, out, err) == (1, b"", "filepipe: the key is in use (409)\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["put", "none"], "filepipe: none: No such file or directory"),
        (["put", "."], "Is a directory"),
        (["get", "k", "-o", "none/f"], "No such file or directory"),
        (["get", "k", "-o", "none/"], "filepipe: none/: is no folder"),
    ],
)
def test_files_that_fail(
    shell: Shell, origin: FakeOrigin, arguments: list[str], sentence: str
) -> None:
    """A file that cannot be used is exit 1 and what the system says, and nothing is sent."""
    code, out, err = shell.run(*arguments)
    assert (code, out) == (1, b"")
    assert sentence in err
    assert "Traceback" not in err
    assert origin.seen == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["get", "k", "--url", "localhost:3000"], "the URL is not one like http://host:3000"),
        (["get", "http://h:99999/k"], "the URL is not one like http://host:3000"),
        (["get", ""], "the key is empty"),
        (["get", "k", "--wait", "soon"], "--wait: 'soon' is not a duration"),
        (["put", "-", "k", "--max-age", "-1"], "--max-age"),
        (["get", "k", "--timeout", "x"], "--timeout: 'x' is not a duration"),
    ],
)
def test_wrong_usage(shell: Shell, arguments: list[str], sentence: str) -> None:
    """What cannot be meant is exit 2 and one clear line."""
    code, out, err = shell.run(*arguments)
    assert (code, out) == (2, b"")
    assert sentence in err


@pytest.mark.parametrize("arguments", [["put", "--bad", "k"], ["get", "k", "-o", "--bad"]])
def test_unknown_option(shell: Shell, arguments: list[str]) -> None:
    """A mistyped option is not taken for a file."""
    code, out, err = shell.run(*arguments)
    assert code != 0
    assert out == b""
    assert "./--bad" in " ".join(err.split())


def test_get_to_stdout(shell: Shell, origin: FakeOrigin) -> None:
    """Without -o the bytes go to stdout, with nothing around them."""
    origin.objects["a b"] = Object(BODY)
    assert shell.run("get", "a b", "--wait", "2s") == (0, BODY, "")
    assert shell.run("get", "a b", "-o", "-") == (0, BODY, "")
    assert origin.requests("GET")[0].path == "/a%20b?wait=2"


def test_get_a_whole_url(shell: Shell, origin: FakeOrigin) -> None:
    """What `put` printed can be given to `get`."""
    origin.objects["a"] = Object(BODY)
    code, out, _ = shell.run("get", f"{origin.url}/a?t=1", "--url", "http://127.0.0.1:1")
    assert (code, out) == (0, BODY)


def test_get_resumes_on_stdout(shell: Shell, origin: FakeOrigin) -> None:
    """Whoever reads the pipe does not notice that the connection broke."""
    origin.objects["a"] = Object(BODY)
    origin.faults.extend([Fault(cut=100), Fault(cut=2000)])
    assert shell.run("get", "a") == (0, BODY, "")


def test_get_into_a_file(shell: Shell, origin: FakeOrigin) -> None:
    """-o names a file."""
    origin.objects["a"] = Object(BODY)
    assert shell.run("get", "a", "-o", "f") == (0, b"", "")
    assert (shell.folder / "f").read_bytes() == BODY
    assert [path.name for path in shell.folder.iterdir()] == ["f"]


def test_get_into_a_folder(shell: Shell, origin: FakeOrigin) -> None:
    """-o names a folder: the server's name is used, but never one outside."""
    evil = {"Content-Disposition": 'attachment; filename="../../evil"'}
    origin.objects["dir/a"] = Object(BODY, headers=evil)
    origin.objects["dir/b"] = Object(BODY)
    (shell.folder / "in").mkdir()
    assert shell.run("get", "dir/a", "-o", "in")[0] == 0
    assert shell.run("get", "dir/b", "-o", "in/")[0] == 0
    assert sorted(path.name for path in (shell.folder / "in").iterdir()) == ["b", "evil"]
    assert [path.name for path in shell.folder.iterdir()] == ["in"]


def test_get_what_is_not_there(shell: Shell) -> None:
    """404 is exit 3."""
    assert shell.run("get", "a") == (3, b"", "filepipe: nothing is there (404)\n")


def test_get_what_breaks_off(shell: Shell, origin: FakeOrigin) -> None:
    """A download that cannot become whole is exit 4; the next one goes on."""
    origin.objects["a"] = Object(BODY)
    origin.faults.extend([Fault(cut=100), Fault(status=404)])
    code, _, err = shell.run("get", "a", "-o", "f")
    assert code == 4
    assert re.search(r"broke off or expired after 100 bytes; .*/f\.part has the beginning", err)
    assert shell.run("get", "a", "-o", "f")[0] == 0
    assert (shell.folder / "f").read_bytes() == BODY
    assert origin.requests("GET")[-1].headers["Range"] == "bytes=100-"


def test_get_what_changed(shell: Shell, origin: FakeOrigin) -> None:
    """Another object instead of the rest is exit 4."""
    origin.objects["a"] = Object(BODY)
    origin.faults.extend([Fault(cut=100), Fault(becomes=Object(BODY, etag='"two"'))])
    code, out, err = shell.run("get", "a")
    assert (code, out) == (4, BODY[:100])
    assert "the object changed" in err


@pytest.mark.parametrize("command", [["get", "k"], ["put", "-", "k"]])
def test_nobody_answers(shell: Shell, command: list[str]) -> None:
    """A port where nobody listens is exit 5."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = shell.run(*command, "--url", url)
    assert (code, out, err) == (5, b"", f"filepipe: cannot reach {url}: Connection refused\n")


def test_ctrl_c_while_waiting(shell: Shell, origin: FakeOrigin) -> None:
    """Ctrl-C ends at once, with one line and exit 130."""
    origin.faults.append(Fault(hang=True))
    with shell.start("get", "a") as process:
        await_request(origin, "GET")
        err = stop(process)
    assert (process.returncode, err) == (130, "filepipe: stopped\n")


def test_ctrl_c_while_the_input_is_silent(shell: Shell, origin: FakeOrigin) -> None:
    """A read that blocks does not hold up Ctrl-C; the server keeps nothing."""
    out, into = os.pipe()
    try:
        with shell.start("put", "-", "k", stdin=out) as process:
            await_request(origin, "PUT")
            err = stop(process)
    finally:
        os.close(out)
        os.close(into)
    assert (process.returncode, err) == (130, "filepipe: stopped\n")
    assert origin.objects == {}


def test_ctrl_c_while_the_output_is_stuck(shell: Shell, origin: FakeOrigin) -> None:
    """A write that blocks does not hold up Ctrl-C either."""
    origin.objects["a"] = Object(bytes(1 << 20))
    out, into = os.pipe()
    try:
        with shell.start("get", "a", stdout=into) as process:
            select.select([out], [], [], 50)
            err = stop(process)
    finally:
        os.close(out)
        os.close(into)
    assert (process.returncode, err) == (130, "filepipe: stopped\n")


def test_reader_of_stdout_leaves(shell: Shell, origin: FakeOrigin) -> None:
    """`get | head -c 1` ends without a word, with the status of a closed pipe."""
    origin.objects["a"] = Object(bytes(1 << 20))
    with shell.start("get", "a") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_terminal_sees_progress(shell: Shell, origin: FakeOrigin) -> None:
    """On a terminal, `put` tells at once where to read, and both end with a summary."""
    (shell.folder / "f").write_bytes(BODY)
    code, shown, out = shell.on_a_terminal("put", "f")
    assert (code, out) == (0, f"{origin.url}/f?t=1\n".encode())
    assert shown.startswith(f"{origin.url}/f\r\n")
    assert "10 KiB in " in shown
    code, shown, out = shell.on_a_terminal("get", "f", "-o", "g")
    assert (code, out) == (0, b"")
    assert "10 KiB in " in shown
    assert shown.rstrip().endswith("/g")


def test_terminal_sees_nothing_when_quiet(shell: Shell, origin: FakeOrigin) -> None:
    """--quiet leaves only the result."""
    (shell.folder / "f").write_bytes(BODY)
    code, shown, out = shell.on_a_terminal("put", "f", "-q")
    assert (code, shown, out) == (0, "", f"{origin.url}/f?t=1\n".encode())
