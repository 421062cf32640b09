"""`filepipe channel` as a shell sees it."""

import pytest

from tests.cli.shell import Call, Shell
from tests.client.fake_origin import FakeOrigin, Fault, Object


def test_put(shell: Shell, origin: FakeOrigin) -> None:
    """A text, a file or standard input, each with its type; success says nothing."""
    (shell.folder / "f").write_bytes(b"from a file")
    assert shell.run("channel", "put", "jobs/a", "--text", "häl lo") == (0, b"", "")
    assert shell.run("channel", "put", "jobs/a", "f", "--type", "text/x") == (0, b"", "")
    assert shell.run("channel", "put", "jobs/a", data=b"from a pipe") == (0, b"", "")
    text, file, pipe = origin.requests("POST")
    assert {seen.path for seen in (text, file, pipe)} == {"/channels/jobs/a"}
    assert (text.body, file.body, pipe.body) == ("häl lo".encode(), b"from a file", b"from a pipe")
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert file.headers["Content-Type"] == "text/x"
    assert "Content-Type" not in pipe.headers


@pytest.mark.parametrize("status", [408, 410, 502])
def test_put_that_nobody_took(call: Call, origin: FakeOrigin, status: int) -> None:
    """What the server says about it is the one line, and the exit code is 1."""
    origin.faults.append(Fault(status=status))
    expected = (1, "", f"filepipe: as the test wishes ({status})\n")
    assert call("channel", "put", "jobs/a", "--text", "x") == expected


def test_get(call: Call, shell: Shell, origin: FakeOrigin) -> None:
    """To stdout, or into a file."""
    origin.objects["channels/jobs/a"] = Object(b"hi", etag=None)
    assert call("channel", "get", "jobs/a") == (0, "hi", "")
    assert call("channel", "get", "jobs/a", "-o", "f") == (0, "", "")
    assert (shell.folder / "f").read_bytes() == b"hi"


def test_get_what_breaks_off(call: Call, shell: Shell, origin: FakeOrigin) -> None:
    """Half a message leaves no file and is exit 4."""
    origin.objects["channels/jobs/a"] = Object(b"0123456789", etag=None)
    origin.faults.append(Fault(cut=4))
    code, _, err = call("channel", "get", "jobs/a", "-o", "f")
    assert (code, err) == (4, "filepipe: the connection broke after 4 bytes\n")
    assert list(shell.folder.iterdir()) == []


def test_ls_and_rm(call: Call, origin: FakeOrigin) -> None:
    """One name a line; what is not there is exit 3."""
    origin.objects["channels/namespaces"] = Object(b'["jobs"]')
    origin.objects["channels/jobs"] = Object(b'["b", "a"]')
    assert call("channel", "ls") == (0, "jobs\n", "")
    assert call("channel", "ls", "jobs") == (0, "a\nb\n", "")
    assert call("channel", "rm", "jobs") == (0, "", "")
    assert call("channel", "rm", "jobs")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["put", "jobs", "--text", "x"], "'jobs' is not a channel such as jobs/images"),
        (["put", "jobs/a", "f", "--text", "x"], "either a file or --text"),
        (["get", "a/b/c"], "'a/b/c' is not a channel such as jobs/images"),
        (["ls", "a/b"], "'a/b' is not a namespace such as jobs"),
    ],
)
def test_wrong_usage(call: Call, origin: FakeOrigin, arguments: list[str], sentence: str) -> None:
    """Exit 2, one line, nothing asked."""
    code, out, err = call("channel", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err
    assert origin.seen == []
