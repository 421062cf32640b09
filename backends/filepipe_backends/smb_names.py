"""How a name is written on a share, and which names a share cannot have.

Characters that SMB has no room for are written as private ones, in the way of Services for Mac:
Linux (`mapposix`) and macOS show them as they were. So a name is kept, whatever is in it.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from filepipe.errors import Conflict

INSIDE = ".filepipe-parts"
"""The folder of drafts, in the folder of the objects."""

_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [device + digit for device in ("com", "lpt") for digit in "0123456789¹²³"]
)

_PRIVATE = str.maketrans(
    {chr(code): chr(0xF000 + code) for code in range(1, 32)}
    | {sign: chr(0xF020 + at) for at, sign in enumerate('"*:<>?\\|')}
)
_LAST = {" ": "\uf028", ".": "\uf029"}


def written(name: str) -> str:
    """One segment of a path as the share has it."""
    name = name.translate(_PRIVATE)
    return name[:-1] + _LAST.get(name[-1:], name[-1:])


def segments(path: PurePosixPath) -> tuple[str, ...]:
    """The path as the share has it. Raises `Conflict` where no file of ours can be called so."""
    if path.is_absolute() or not path.name:
        raise Conflict("the name cannot be had: it does not lead to a file")
    for name in path.parts:
        stem = name.partition(".")[0].rstrip(" ").casefold()
        if stem in _DEVICES:
            raise Conflict(f"the name cannot be had: {stem.upper()} is a device on Windows")
        if name == ".." or "\0" in name or name.casefold() == INSIDE:
            raise Conflict("the name cannot be had: it leads elsewhere")
    return tuple(map(written, path.parts))
