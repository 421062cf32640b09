"""What a person may know of each setting, for flags, files and pages that show them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import PlainValidator
from pydantic.fields import FieldInfo

from filepipe.config import folders, values
from filepipe.config.backends import BackendSettings
from filepipe.config.declaration import Names
from filepipe.config.settings import Settings

SettingKind = Literal["switch", "list", "size", "duration", "number", "text", "secret", "password"]

HIDDEN = ("secret", "password")
"""The kinds whose values are not shown."""

_KINDS: dict[object, SettingKind] = {
    folders.max_disk: "size",
    values.size: "size",
    values.limit: "size",
    values.duration: "duration",
    values.timeout: "duration",
    values.time_limit: "duration",
    values.count: "number",
    values.count_or_auto: "number",
    values.secret: "secret",
    values.header_secret: "secret",
    values.password: "password",
}


@dataclass(frozen=True, slots=True)
class Description:
    """What a person may know about one setting; one that is hidden has no flag.

    A secret is one that we can make up, a password is somebody else's.
    """

    name: str
    flag: str
    short: str
    variables: tuple[str, ...]
    default: str
    meaning: str
    kind: SettingKind

    @property
    def hidden(self) -> bool:
        """Whether its value is not shown."""
        return self.kind in HIDDEN


def describe() -> tuple[Description, ...]:
    """Every setting, in the order in which they are shown: the backends of uploads at the end."""
    names = sorted(Settings.model_fields, key=lambda name: name in BackendSettings.model_fields)
    return tuple(map(_description, names))


def _description(name: str) -> Description:
    info = Settings.model_fields[name]
    names = next(item for item in info.metadata if isinstance(item, Names))
    default = names.default or str(info.default)
    kind = _kind(info)
    return Description(
        name=name,
        # Everybody on this machine can read the command line.
        flag="" if kind in HIDDEN else "--" + name.replace("_", "-"),
        short=names.short,
        variables=(f"FILEPIPE_{name.upper()}", *names.bare),
        default=default.lower() if isinstance(info.default, bool) else default,
        meaning=info.description or "",
        kind=kind,
    )


def _kind(info: FieldInfo) -> SettingKind:
    if isinstance(info.default, bool):
        return "switch"
    if isinstance(info.default, tuple):
        return "list"
    reader = next(item.func for item in info.metadata if isinstance(item, PlainValidator))
    return _KINDS.get(reader, "text")
