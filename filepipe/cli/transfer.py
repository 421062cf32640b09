"""`filepipe put` and `filepipe get`: one transfer, and an exit code that says how it ended.

0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 broken off and not to be resumed,
5 nobody answers, 130 stopped by Ctrl-C, 141 whoever reads our stdout has gone.
"""

from __future__ import annotations

import base64
import errno
import io
import os
import secrets
import sys
import unicodedata
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, NoReturn

from cyclopts import Parameter

from filepipe.sizes import parse_duration

if TYPE_CHECKING:
    from yarl import URL

DEFAULT_URL: Final = "http://127.0.0.1:3000"

_FAILED, _USAGE, _STOPPED, _PIPE_CLOSED = 1, 2, 130, 141


def _not_an_option(_: Any, value: str | None) -> None:
    if value is not None and value.startswith("-") and value != "-":
        raise ValueError(f"{value} is no option here; for such a file write ./{value}")


_Path = Parameter(allow_leading_hyphen=True, validator=_not_an_option)
_Url = Annotated[str, Parameter(env_var="FILEPIPE_URL")]
_Quiet = Annotated[bool, Parameter(name=("--quiet", "-q"), negative="")]


def put(
    file: Annotated[str, _Path],
    key: str | None = None,
    /,
    *,
    url: _Url = DEFAULT_URL,
    content_type: str | None = None,
    name: str | None = None,
    max_age: str | None = None,
    timeout: str | None = None,
    quiet: _Quiet = False,
) -> None:
    """Upload a file, or standard input, and print the URL to read it from.

    Readers can begin at once; they get the bytes as they arrive.

    Parameters
    ----------
    file
        The file, or "-" for standard input.
    key
        Where to put it, such as "big.iso", or a whole URL. Without one it is the name of the
        file; for standard input it is a random name that nobody can guess.
    url
        The server.
    content_type
        What the server shall tell readers it is, such as "text/plain".
    name
        The file name that readers shall see; otherwise that of the file.
    max_age
        How long the server shall keep it, such as "10m".
    timeout
        Give up when the server says nothing for so long after the last byte, such as "30s".
    quiet
        Show no progress.

    """
    piped = file == "-"
    _run(
        _put(
            file,
            _key(key or (_random_key() if piped else _own_key(file))),
            url,
            quiet=quiet,
            timeout=_seconds("--timeout", timeout),
            content_type=content_type,
            filename=name or (None if piped else _own_key(file)),
            max_age=_seconds("--max-age", max_age),
        )
    )


def get(
    key: str,
    /,
    *,
    output: Annotated[str, Parameter(name=("--output", "-o")), _Path] = "-",
    url: _Url = DEFAULT_URL,
    wait: str | None = None,
    timeout: str | None = None,
    quiet: _Quiet = False,
) -> None:
    """Download what somebody put, or puts right now.

    A broken connection is taken up again where it broke. A file appears under its name when it is
    whole; until then it is NAME.part, and the same command goes on from there.

    Parameters
    ----------
    key
        What to get, such as "big.iso", or a whole URL.
    output
        A file; or a folder, for a file with the name that the server gives; or "-" for standard
        output.
    url
        The server.
    wait
        How long the server shall wait for somebody to put it, such as "10m".
    timeout
        Take a connection on which nothing comes for so long as broken, such as "30s".
    quiet
        Show no progress.

    """
    _run(
        _get(
            _key(key),
            output,
            url,
            quiet=quiet or (output == "-" and sys.stdout.isatty()),
            timeout=_seconds("--timeout", timeout),
            wait=_seconds("--wait", wait),
        )
    )


async def _put(
    file: str, key: str | URL, url: str, *, quiet: bool, timeout: float | None, **options: Any
) -> None:
    from contextlib import nullcontext

    from filepipe.client import Client
    from filepipe.client.address import without_secrets
    from filepipe.client.progress import terminal_progress

    source = _unbuffered(0, "rb") if file == "-" else Path(file)
    async with Client(url, timeout=timeout) as client:
        address = without_secrets(client.address(key))
        reporter = terminal_progress(address.name, quiet=quiet)
        if reporter is not None:
            print(address, file=sys.stderr)
        with reporter or nullcontext():
            result = await client.put(key, source, progress=reporter, **options)
    print(result.url)


async def _get(
    key: str | URL,
    output: str,
    url: str,
    *,
    quiet: bool,
    timeout: float | None,
    wait: float | None,
) -> None:
    from contextlib import nullcontext

    from filepipe.client import Client
    from filepipe.client.progress import terminal_progress

    target = _unbuffered(1, "wb") if output == "-" else _path(output)
    async with Client(url, timeout=timeout) as client:
        reporter = terminal_progress(client.address(key).name, quiet=quiet)
        with reporter or nullcontext():
            result = await client.download(key, target, wait=wait, progress=reporter)
    if reporter is not None and result.path is not None:
        print(result.path, file=sys.stderr)


def _run(transfer: Coroutine[Any, Any, None]) -> None:
    import asyncio

    import uvloop

    from filepipe.client.errors import ClientError

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(transfer)
        sys.stdout.flush()
    except ClientError as error:
        _fail(error.exit_code, str(error))
    except BrokenPipeError:
        # Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_PIPE_CLOSED) from None
    except KeyboardInterrupt:
        _fail(_STOPPED, "stopped")
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        _fail(_FAILED, f"{about}{error.strerror or error}")


def _fail(code: int, sentence: str) -> NoReturn:
    print(f"filepipe: {sentence}", file=sys.stderr)
    raise SystemExit(code)


def _key(text: str) -> str | URL:
    if not text.startswith(("http://", "https://")):
        return text
    from filepipe.client.address import whole_url
    from filepipe.client.errors import BadAddress

    try:
        return whole_url(text)
    except BadAddress as error:
        _fail(_USAGE, str(error))


def _own_key(file: str) -> str:
    # macOS hands out decomposed names, which no key may be.
    return unicodedata.normalize("NFC", os.path.basename(os.path.abspath(file)))


def _random_key() -> str:
    """128 bits, in letters that survive a telephone."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        _fail(_USAGE, f"{option}: {error}")


def _path(output: str) -> Path:
    # pathlib forgets the slash that says "a folder".
    if output.endswith("/") and not os.path.isdir(output):
        raise NotADirectoryError(errno.ENOTDIR, "is no folder", output)
    return Path(output)


def _unbuffered(descriptor: int, mode: str) -> BinaryIO:
    # A thread that still sits in a buffered stream when Python ends makes it abort.
    return io.FileIO(descriptor, mode, closefd=False)
