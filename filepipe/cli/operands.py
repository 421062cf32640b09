"""What the commands that move bytes are given: servers, keys, files, times."""

from __future__ import annotations

import errno
import io
import os
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

from cyclopts import Parameter, Token

from filepipe.cli.main import MISUSED, fail
from filepipe.sizes import parse_duration

if TYPE_CHECKING:
    from yarl import URL

    from filepipe.client import Client

DEFAULT_URL: Final = "http://127.0.0.1:3000"


def _not_an_option(_: Any, value: str | None) -> None:
    if value is not None and value.startswith("-") and value != "-":
        raise ValueError(f"{value} is no option here; for such a file write ./{value}")


def _whole(_: Any, tokens: Sequence[Token]) -> int:
    text = tokens[0].value
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


FILE_PARAMETER = Parameter(allow_leading_hyphen=True, validator=_not_an_option)
Whole = Annotated[int, Parameter(converter=_whole)]
Output = Annotated[str, Parameter(name=("--output", "-o")), FILE_PARAMETER]
Server = Annotated[str, Parameter(env_var="FILEPIPE_URL")]
Quiet = Annotated[bool, Parameter(name=("--quiet", "-q"), negative="", show_default=False)]
AsJson = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True)
class Uploader:
    """A server, and the file with the key to its uploads."""

    url: Annotated[str, Parameter(env_var="FILEPIPE_URL", help="The server.")] = DEFAULT_URL
    api_key_file: Annotated[
        Path | None,
        Parameter(
            env_var="FILEPIPE_API_KEY_FILE",
            metavar="FILE",
            help="A file with the server's API key; else FILEPIPE_API_KEY is the key.",
        ),
    ] = None

    def client(self) -> Client:
        """Make a client that may use the uploads there; without a key the command ends."""
        from filepipe.client import Client

        return Client(self.url, api_key=_api_key(self.api_key_file))


ANYBODY: Final = Uploader()


def key_or_url(text: str) -> str | URL:
    """Return a key, or what is a whole URL as one; a URL that is none ends the command."""
    if not text.startswith(("http://", "https://")):
        return text
    from filepipe.client.address import whole_url
    from filepipe.client.errors import BadAddress

    try:
        return whole_url(text)
    except BadAddress as error:
        fail(str(error), MISUSED)


def own_name(file: str) -> str:
    """Return the name of a file, as it can be a key."""
    # macOS hands out decomposed names, which no key may be.
    return unicodedata.normalize("NFC", os.path.basename(os.path.abspath(file)))


def seconds(option: str, text: str | None) -> float | None:
    """Read the value of an option; one that is no duration ends the command."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        fail(f"{option}: {error}", MISUSED)


def _api_key(file: Path | None) -> str:
    # There is no option for the key itself: everybody on the machine can read command lines.
    if file is None:
        key = os.environ.get("FILEPIPE_API_KEY", "")
    else:
        try:
            key = file.read_text()
        except UnicodeDecodeError:
            fail(f"{file}: holds no API key", MISUSED)
        except OSError as error:
            fail(f"{file}: {error.strerror}", MISUSED)
    if not key.strip():
        fail(
            "there is no API key: give --api-key-file FILE, or set FILEPIPE_API_KEY "
            "(a daemon says at its start which file its key is in)",
            MISUSED,
        )
    return key.strip()


def source_of(file: str) -> Path | BinaryIO:
    """Return what to send; "-" is standard input."""
    if file != "-":
        return Path(file)
    if sys.stdin.isatty():
        print("reading from this terminal; Ctrl-D ends it", file=sys.stderr)
    return _unbuffered(0, "rb")


def target_of(output: str) -> Path | BinaryIO:
    """Return where to write; "-" is standard output. Raises NotADirectoryError."""
    if output == "-":
        return _unbuffered(1, "wb")
    # pathlib forgets the slash that says "a folder".
    if output.endswith("/") and not os.path.isdir(output):
        raise NotADirectoryError(errno.ENOTDIR, "is no folder", output)
    return Path(output)


def _unbuffered(descriptor: int, mode: str) -> BinaryIO:
    # A thread that still sits in a buffered stream when Python ends makes it abort.
    return io.FileIO(descriptor, mode, closefd=False)
