"""`filepipe send` and `filepipe receive`: from one machine to the other, stored nowhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from filepipe.cli.main import fail
from filepipe.cli.operands import (
    DEFAULT_URL,
    FILE_PARAMETER,
    Output,
    Quiet,
    Server,
    Whole,
    key_or_url,
    own_name,
    seconds,
    source_of,
    target_of,
)
from filepipe.cli.outcome import exit_codes, run

if TYPE_CHECKING:
    from yarl import URL

# Long enough to walk to the other machine, or to tell somebody the key.
_PATIENCE: Final = "10m"

_Receivers = Annotated[Whole | None, Parameter(validator=Number(gte=1))]


def send(
    file: Annotated[str, FILE_PARAMETER] = "-",
    key: str | None = None,
    /,
    *,
    url: Server = DEFAULT_URL,
    receivers: _Receivers = None,
    wait: str = _PATIENCE,
    name: str | None = None,
    qr: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    quiet: Quiet = False,
) -> None:
    """Hand a file, or standard input, to whoever receives it under the same key.

    Parameters
    ----------
    file
        The file, or "-" for standard input.
    key
        Where to meet, such as "photos", or a URL; without one, four words nobody can guess.
    url
        The server.
    receivers
        How many shall get it, all at once; otherwise one.
    wait
        How long to wait for them, such as "30s" or "2h".
    name
        The file name that the receiver is offered; otherwise that of the file.
    qr
        Show a QR code to receive it with, for example on a phone.
    quiet
        Show no progress.

    """
    options = {
        "receivers": receivers,
        "wait": seconds("--wait", wait),
        "filename": name or (None if file == "-" else own_name(file)),
    }
    meeting = None if key is None else key_or_url(key)
    with exit_codes():
        source = _opened(file, key)
        run(_send(source, meeting, url, qr=qr, quiet=quiet, **options))


def receive(
    key: str,
    /,
    *,
    output: Output = ".",
    url: Server = DEFAULT_URL,
    receivers: _Receivers = None,
    wait: str = _PATIENCE,
    quiet: Quiet = False,
) -> None:
    """Receive what somebody sends under a key, and print the name of the file.

    Parameters
    ----------
    key
        What the sender said, such as "photos", or a URL.
    output
        A folder, for a file with the sender's name for it; or a file; "-" is standard output.
    url
        The server.
    receivers
        How many the sender sends to; need not be said.
    wait
        How long to wait for the sender, such as "30s" or "2h".
    quiet
        Show no progress.

    """
    run(
        _receive(
            key_or_url(key),
            output,
            url,
            receivers=receivers,
            wait=seconds("--wait", wait),
            quiet=quiet or (output == "-" and sys.stdout.isatty()),
        )
    )


def _opened(file: str, key: str | None) -> BinaryIO:
    """Open what is to be sent before anybody is told a key for it."""
    source = source_of(file)
    if not isinstance(source, Path):
        return source
    try:
        return source.open("rb", buffering=0)
    except FileNotFoundError:
        if key is not None:
            raise
        fail(f"{file}: no such file; for standard input under this key: filepipe send - {file}")


async def _send(
    source: BinaryIO, key: str | URL | None, url: str, *, qr: bool, quiet: bool, **options: Any
) -> None:
    from contextlib import nullcontext

    from filepipe.client import Client, spoken_key
    from filepipe.client.address import without_secrets
    from filepipe.client.progress import terminal_progress

    meeting = spoken_key() if key is None else key
    async with Client(url) as client:
        address = without_secrets(client.address(meeting))
        reporter = terminal_progress(address.name, quiet=quiet)
        if key is None or reporter is not None:
            _announce(address, meeting, url)
        if qr:
            _show_qr(str(address))
        with source, reporter or nullcontext():
            result = await client.send(meeting, source, progress=reporter, **options)
    if reporter is not None:
        print(result.sentence, file=sys.stderr)


async def _receive(key: str | URL, output: str, url: str, *, quiet: bool, **options: Any) -> None:
    from contextlib import nullcontext

    from filepipe.client import Client
    from filepipe.client.progress import terminal_progress

    target = target_of(output)
    async with Client(url) as client:
        reporter = terminal_progress(client.address(key).name, quiet=quiet)
        with reporter or nullcontext():
            result = await client.receive(key, target, progress=reporter, **options)
    if result.path is not None:
        print(result.path)


def _announce(address: URL, key: str | URL, url: str) -> None:
    from shlex import join

    from filepipe.client.address import base_url, without_secrets

    command = ["filepipe", "receive", str(key)]
    if not isinstance(key, str):
        command = ["filepipe", "receive", str(address)]
    elif url != DEFAULT_URL:
        command += ["--url", str(without_secrets(base_url(url))).removesuffix("/")]
    print("On the other machine, type one of these:", file=sys.stderr)
    print(f"  {join(command)}", file=sys.stderr)
    print(f"  {join(['curl', '-fOJ', str(address)])}", file=sys.stderr)
    if _is_loopback(address.host or ""):
        print(f"({address.host} means this machine only; see --url.)", file=sys.stderr)


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _show_qr(text: str) -> None:
    import segno

    # Half blocks make it small enough for a screen; without them, colours draw it.
    try:
        "\u2580".encode(sys.stderr.encoding)
        compact = True
    except UnicodeEncodeError:
        compact = False
    segno.make(text, micro=False).terminal(out=sys.stderr, compact=compact)
