"""What a person may know of each setting, for flags, files and pages that show them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import PlainValidator
from pydantic.fields import FieldInfo

from filepipe.config import folders, values
from filepipe.config.settings import Names, Settings

SettingKind = Literal["switch", "list", "size", "duration", "number", "text", "secret"]

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
}


@dataclass(frozen=True, slots=True)
class Description:
    """What a person may know about one setting; a secret has no flag."""

    name: str
    flag: str
    short: str
    variables: tuple[str, ...]
    default: str
    meaning: str
    kind: SettingKind


def describe() -> tuple[Description, ...]:
    """Every setting, in the order in which they are shown."""
    return tuple(_description(name) for name in Settings.model_fields)


def _description(name: str) -> Description:
    info = Settings.model_fields[name]
    names = next(item for item in info.metadata if isinstance(item, Names))
    default = names.default or str(info.default)
    kind = _kind(info)
    return Description(
        name=name,
        # Everybody on this machine can read the command line.
        flag="" if kind == "secret" else "--" + name.replace("_", "-"),
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
