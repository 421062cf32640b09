"""`filepipe config`: see what the settings are, check them, begin a settings file."""

from __future__ import annotations

import json
import os
import secrets
import textwrap
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from filepipe.cli.main import ConfigFile, fail
from filepipe.config import SECRETS_NAME, Description, Settings, describe, load_settings
from filepipe.sizes import format_duration, format_size

app = App(name="config", help="Show, check or make settings.")


@app.command
def show(
    *,
    config: ConfigFile = None,
    as_json: Annotated[
        bool, Parameter(name="--json", negative=(), help="Exact values as JSON, for programs.")
    ] = False,
) -> None:
    """Show every setting, its value and where that comes from."""
    settings = load_settings(config=config)
    values = settings.model_dump()
    if as_json:
        rows = {
            name: {"value": value, "source": settings.source_of(name)}
            for name, value in values.items()
        }
        print(json.dumps(rows, indent=2, default=str))
        return
    shown = {item.name: _for_people(item, values[item.name]) for item in describe()}
    widths = max(map(len, shown)), max(map(len, shown.values()))
    for name, value in shown.items():
        print(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {settings.source_of(name)}")


_NO_VALUE = {"size": "unlimited", "duration": "unlimited", "number": "auto"}


def _for_people(setting: Description, value: Any) -> str:
    if value is None:
        return _NO_VALUE.get(setting.kind, "none")
    if setting.hidden:
        return "given, not shown"
    if setting.kind == "size":
        return format_size(value)
    if setting.kind == "duration":
        return format_duration(value)
    if setting.kind == "list":
        return ", ".join(value) or "none"
    return str(value).lower() if setting.kind == "switch" else str(value)


@app.command
def check(*, config: ConfigFile = None) -> None:
    """Say "ok" if the daemon would take the settings, else what is wrong with them."""
    load_settings(config=config)
    print("ok")


@app.command
def init(
    *,
    path: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            help="Where to write it; by default /etc/filepipe/filepipe.toml for root and "
            "~/.config/filepipe/filepipe.toml for anybody else.",
        ),
    ] = None,
    force: Annotated[
        bool, Parameter(negative=(), help="Replace the settings file if there is one.")
    ] = False,
) -> None:
    """Write a settings file in which each setting is explained and commented out.

    Beside it goes secrets.toml, which only its owner may read, with the secrets of uploads. It is
    made once and never replaced.
    """
    target = (path or _default_path()).expanduser().absolute()
    secret = target.with_name(SECRETS_NAME)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _write(target, settings_file(), mode=0o644, replace=force):
            fail(f"{target} exists already, --force replaces it")
        written = [target]
        if _write(secret, secrets_file(), mode=0o600):
            written.append(secret)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    for file in written:
        print(f"Wrote {file}")
    print(f"Use it with: filepipe serve --config {target}")


def _default_path() -> Path:
    if os.geteuid() == 0:
        return Path("/etc/filepipe/filepipe.toml")
    # A relative path there is to be ignored (XDG base directory specification).
    home = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(home if home.startswith("/") else "~/.config") / "filepipe/filepipe.toml"


def _write(path: Path, text: str, *, mode: int, replace: bool = False) -> bool:
    """Whether the file could be made; it is there already if not."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, mode)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def settings_file() -> str:
    """Write out every setting as a comment, with its meaning, its other names and its default."""
    head = _comment(
        "Settings of filepipe. To change one, remove the # before its name. Flags, environment "
        "variables and a .env file in the working directory go before what is said here."
    )
    return "\n\n".join([head, *map(_entry, describe())]) + "\n"


def _entry(setting: Description) -> str:
    names = ", ".join(filter(None, (setting.flag, setting.short, *setting.variables)))
    default = Settings.model_fields[setting.name].get_default(call_default_factory=True)
    also = _comment(f"Also as {names}; default: {setting.default}")
    return f"{_comment(setting.meaning)}\n{also}\n#{setting.name} = {_toml(default)}"


def _comment(text: str) -> str:
    return textwrap.fill(
        text,
        96,
        initial_indent="# ",
        subsequent_indent="# ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _toml(value: object) -> str:
    """Write a default as TOML, which has no word for "none" but an empty text."""
    if isinstance(value, tuple):
        return json.dumps(list(value))
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps("" if value is None else value)


def secrets_file() -> str:
    """Make up new secrets of 256 bits each."""
    head = _comment(
        "Secrets of filepipe's uploads; nobody else may read this file. It is read with the "
        "settings file beside it."
    )
    names = [item.name for item in describe() if item.kind == "secret"]
    keys = "".join(f'{name} = "{secrets.token_hex(32)}"\n' for name in names)
    return f"{head}\n{keys}"
