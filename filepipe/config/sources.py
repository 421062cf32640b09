"""Where settings come from: flags > environment > `.env` in the working directory > TOML files.

The TOML files are the settings file and `secrets.toml` beside it. Each source is a layer: within
one, FILEPIPE_<NAME> goes before the bare names; the first layer that has a setting decides.
Whatever is wrong ends in one `ConfigError` with one line.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from filepipe.config.description import describe
from filepipe.config.listen import parse_port
from filepipe.config.settings import Settings
from filepipe.errors import ConfigError

CONFIG_VARIABLE = "FILEPIPE_CONFIG"
SECRETS_NAME = "secrets.toml"

_PREFIX = "FILEPIPE_"
_DOTENV = Path(".env")
_VARIABLES = {item.name: item.variables for item in describe()}
_SECRETS = frozenset(item.name for item in describe() if item.hidden)
# The client's, not the daemon's.
_FOREIGN = frozenset({CONFIG_VARIABLE, "FILEPIPE_URL"})
# Kubernetes sets these in each container beside a service that is called filepipe.
_SERVICE_LINK = re.compile(r"FILEPIPE_(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_\w+)")
_PORTS = frozenset({"SERVER_PORT", "PORT"})


class Layer(PydanticBaseSettingsSource):
    """The raw values of one source, and where each was found."""

    def __init__(self, values: Mapping[str, object], origins: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.values = values
        self.origins = origins

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """As pydantic-settings wants it: the value, its name, and that it needs no decoding."""
        return self.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values at once."""
        return dict(self.values)


def load_settings(
    overrides: Mapping[str, object] | None = None, *, config: str | Path | None = None
) -> Settings:
    """Read every source; `overrides` are the flags that were given, by the name of their setting.

    `config` is the settings file that a flag named. Raises `ConfigError` with one line.
    """
    flags = {name: value for name, value in (overrides or {}).items() if value is not None}
    for name in flags:
        _require_known(name, "the command line")
    dotenv = _read_dotenv()
    layers = [
        Layer(flags, {name: f"flag --{name.replace('_', '-')}" for name in flags}),
        _variables(os.environ, "environment variable"),
        _variables(dotenv, ".env"),
    ]
    file = config or os.environ.get(CONFIG_VARIABLE) or dotenv.get(CONFIG_VARIABLE)
    if file:
        path = Path(file).expanduser()
        layers += [_file(path), _secrets(path.with_name(SECRETS_NAME))]
    origins: dict[str, str] = {}
    for layer in reversed(layers):
        origins.update(layer.origins)
    try:
        # mypy knows only the fields as arguments.
        settings = Settings(_build_sources=(tuple(layers), {}))  # type: ignore[call-arg]
    except ValidationError as error:
        raise ConfigError(_first_error(error, origins)) from None
    settings.remember_sources(origins)
    return settings


def _first_error(error: ValidationError, origins: Mapping[str, str]) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    cause = first.get("ctx", {}).get("error")
    sentence = " ".join(str(cause or first["msg"]).split())
    if not first["loc"]:
        return sentence
    name = str(first["loc"][0])
    origin = f" ({origins[name]})" if name in origins else ""
    return f"{name}: {sentence}{origin}"


def _variables(environ: Mapping[str, str], origin: str) -> Layer:
    known = {variable for variables in _VARIABLES.values() for variable in variables} | _FOREIGN
    for variable in environ:
        ours = variable.startswith(_PREFIX) and variable not in known
        if ours and not _is_service_link(variable, environ[variable]):
            hint = _hint(variable.removeprefix(_PREFIX).lower(), _PREFIX)
            raise ConfigError(f"{variable}: no such setting{hint} ({origin})")
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for name, variables in _VARIABLES.items():
        # An empty variable is one that is not set, as compose files write it.
        given = next((item for item in variables if environ.get(item, "").strip()), None)
        if given is not None:
            origins[name] = f"{origin} {given}"
            values[name] = _from_variable(given, environ[given], origins[name])
    return Layer(values, origins)


def _is_service_link(variable: str, value: str) -> bool:
    if variable == "FILEPIPE_PORT":
        return value.startswith(("tcp://", "udp://"))
    return _SERVICE_LINK.fullmatch(variable) is not None


def _from_variable(variable: str, text: str, origin: str) -> str:
    if variable not in _PORTS:
        return text.strip()
    try:
        return f"0.0.0.0:{parse_port(text.strip())}"
    except ValueError as error:
        raise ConfigError(f"listen: {error} ({origin})") from None


def _read_dotenv() -> dict[str, str]:
    try:
        if not _DOTENV.is_file():
            return {}
        with _DOTENV.open(encoding="utf-8") as stream:
            wrong = next((entry for entry in parse_stream(stream) if entry.error), None)
        if wrong is not None:
            raise ConfigError(f".env: line {wrong.original.line} cannot be understood")
        return {name: text or "" for name, text in dotenv_values(_DOTENV).items()}
    except OSError as error:
        raise ConfigError(f".env: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(".env: is not UTF-8") from None


def _file(path: Path) -> Layer:
    content = _toml(path)
    for name in content:
        _require_known(name, str(path))
    if any(content.get(name) for name in _SECRETS):
        _require_private(path)
    return Layer(content, dict.fromkeys(content, str(path)))


def _secrets(path: Path) -> Layer:
    """The secrets beside the settings file, if it has any."""
    if not path.exists():
        return Layer({}, {})
    _require_private(path)
    content = _toml(path)
    for name in content:
        if name not in _SECRETS:
            known = ", ".join(sorted(_SECRETS))
            raise ConfigError(f"{path}: is for {known}, and nothing else")
    return Layer(content, dict.fromkeys(content, str(path)))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None


def _require_private(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o007:
        raise ConfigError(f"{path}: is open to everybody on this machine, run chmod 600 on it")


def _require_known(name: str, where: str) -> None:
    if name not in _VARIABLES:
        shown = name if name.isprintable() and len(name) <= 80 else repr(name)[:80]
        raise ConfigError(f"{where}: no such setting: {shown}{_hint(name.replace('-', '_'))}")


def _hint(name: str, prefix: str = "") -> str:
    close = difflib.get_close_matches(name, _VARIABLES, 1)
    if not close:
        return ""
    return f", did you mean {prefix}{close[0].upper() if prefix else close[0]}?"
