"""Where a share is and who we are there, as the text `HOST:PORT/SHARE/PATH?user=…&password=…`."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from filepipe.errors import ConfigError, Conflict
from filepipe_backends.smb_link import Account
from filepipe_backends.smb_names import segments

SECURITY = ("encrypted", "signed")
"""What protects the bytes on their way; the first unless another one is wanted."""

_OPTIONS = {"user", "password", "security"}


class Location(NamedTuple):
    """An account, and the folder of the share in which objects are kept."""

    account: Account
    root: tuple[str, ...]


def parse(text: str) -> Location:
    """Read a location, percent-encoded as in a URL. Raises `ConfigError`, without the text."""
    try:
        url = urlsplit(f"smb://{text}")
        host, port = unquote(url.hostname or ""), url.port or 445
        options = parse_qs(url.query, keep_blank_values=True)
    except ValueError:
        raise ConfigError("uploads by SMB: the host or the port cannot be read") from None
    share, *folders = unquote(url.path.removeprefix("/")).replace("\\", "/").split("/")
    if not host or not share:
        raise ConfigError("uploads by SMB need a host and a share, as in smb:nas:445/uploads")
    return Location(_account(host, port, share, options), _root(folders))


def _account(host: str, port: int, share: str, options: dict[str, list[str]]) -> Account:
    user, password = (options.get(name, [""])[0] for name in ("user", "password"))
    security = options.get("security", [SECURITY[0]])[0]
    if security not in SECURITY or not options.keys() <= _OPTIONS:
        raise ConfigError("uploads by SMB: an option of the location is not known")
    if not user:
        raise ConfigError("uploads by SMB need a user, see SMB_USER")
    return Account(host, port, share, user, password, encrypted=security == "encrypted")


def _root(folders: list[str]) -> tuple[str, ...]:
    path = PurePosixPath(*folders)
    try:
        return segments(path) if path.name else ()
    except Conflict as error:
        raise ConfigError(f"uploads by SMB: {error}") from None
