"""What a terminal shows of a transfer."""

import io
import sys

import pytest

from filepipe.client.progress import TerminalProgress, figures, summary, terminal_progress


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("count", "seconds", "expected"),
    [
        (12_897_484, 1.23, "12.3 MiB in 1.2 s (10 MiB/s)"),
        (0, 0.0, "0 bytes in 0.0 s (0 bytes/s)"),
        (1, 2.0, "1 byte in 2.0 s (0 bytes/s)"),
        (1024, 0.0, "1 KiB in 0.0 s (1000 KiB/s)"),
    ],
)
def test_summary(count: int, seconds: float, expected: str) -> None:
    """Bytes, seconds and their quotient, also when there was no time to measure."""
    assert summary(count, seconds) == expected


@pytest.mark.parametrize(
    ("done", "total", "speed", "left", "expected"),
    [
        (0, None, None, None, "0 bytes"),
        (2048, None, 1024.0, None, "2 KiB  1 KiB/s"),
        (512, 1024, None, None, "50%  512 bytes of 1 KiB"),
        (512, 1024, 512.0, 1.2, "50%  512 bytes of 1 KiB  512 bytes/s  1 second left"),
        (0, 0, 10.0, 0.0, "0 bytes  10 bytes/s"),
    ],
)
def test_figures(
    done: float, total: float | None, speed: float | None, left: float | None, expected: str
) -> None:
    """Percent and time left only when the length is known, the rate once there is one."""
    assert figures(done, total, speed, left) == expected


def test_none_when_quiet_or_elsewhere() -> None:
    """Only a terminal of somebody who wants it gets a bar."""
    assert terminal_progress("a", quiet=True, stream=Terminal()) is None
    assert terminal_progress("a", quiet=False, stream=io.StringIO()) is None
    assert terminal_progress("a", quiet=False, stream=Terminal()) is not None


def test_stderr_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress goes to stderr: stdout belongs to the bytes."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert terminal_progress("a", quiet=False) is not None
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert terminal_progress("a", quiet=False) is None


def _run(stream: Terminal, *, fail: bool = False) -> None:
    times = iter([10.0, 12.0])
    with TerminalProgress("[label]", stream, clock=lambda: next(times)) as progress:
        progress.note("nobody is there yet")
        progress.begin(4096, 1024)
        progress.advance(2048)
        progress.note("the line [broke]: trying again")
        progress.advance(1024)
        if fail:
            raise LookupError


def test_bar_and_summary() -> None:
    """The last line counts what went through, not what was there before; names are no markup."""
    stream = Terminal()
    _run(stream)
    shown = stream.getvalue()
    assert "[label]: waiting" in shown
    assert "the line [broke]: trying again" in shown
    assert shown.rstrip().endswith("3 KiB in 2.0 s (1.5 KiB/s)")


def test_no_summary_of_a_failure() -> None:
    """A transfer that failed has its own last line."""
    stream = Terminal()
    with pytest.raises(LookupError):
        _run(stream, fail=True)
    assert " in 2.0 s" not in stream.getvalue()


def test_leaves_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """While the bar runs, what is printed on stdout goes to stdout."""
    stream = Terminal()
    with TerminalProgress("a", stream):
        print("result")
    assert capsys.readouterr().out == "result\n"
    assert "result" not in stream.getvalue()
