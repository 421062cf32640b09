"""Exit codes of the commands that move bytes."""

import sys

import pytest

from filepipe.cli.outcome import exit_codes, run
from filepipe.client import errors


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.BadAddress("no URL"), 2, "no URL"),
        (errors.NotThere(404, "nobody"), 3, "nobody (404)"),
        (errors.Refused(502, "the receiver left"), 1, "the receiver left (502)"),
        (errors.Interrupted("broke", 5), 4, "broke"),
        (errors.Unreachable("nobody answers"), 5, "nobody answers"),
        (FileNotFoundError(2, "No such file", "f"), 1, "f: No such file"),
        (OSError("odd"), 1, "odd"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_each_end_has_its_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr says why."""
    with pytest.raises(SystemExit) as caught, exit_codes():
        raise error
    assert (caught.value.code, capsys.readouterr().err) == (code, f"filepipe: {line}\n")


def test_a_defect_is_no_outcome() -> None:
    """What nobody thought of is not hidden."""
    with pytest.raises(LookupError), exit_codes():
        raise LookupError


def test_run_to_a_good_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A transfer that ends well exits nothing, and what it printed is out."""

    async def transfer() -> None:
        print("done")

    run(transfer())
    assert capsys.readouterr() == ("done\n", "")
    assert "uvloop" in sys.modules


def test_run_to_a_bad_end() -> None:
    """What the transfer raises is its outcome."""

    async def transfer() -> None:
        raise errors.Busy(409, "in use")

    with pytest.raises(SystemExit) as caught:
        run(transfer())
    assert caught.value.code == 1
