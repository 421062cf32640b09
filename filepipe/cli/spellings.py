"""The flags of piping-server and httpipe: whoever comes from there keeps the line they start.

They are turned into settings here, and nothing else knows of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter as Argument
from typing import Annotated, Any

from cyclopts import Group, Parameter

from filepipe.cli.main import ConfigFile
from filepipe.config import Listen, Settings, load_settings
from filepipe.config.listen import Scheme, parse_port
from filepipe.config.values import readable_file, shown
from filepipe.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Spelling:
    """A flag of the server that `protocol` comes from; without a `metavar` it is a switch."""

    name: str
    protocol: str
    metavar: str
    meaning: str
    short: str = ""


SPELLINGS = (
    Spelling("host", "piping", "HOST", "Address or host name to listen on [default all]"),
    Spelling("http_port", "piping", "PORT", "Port without TLS [default 8080]"),
    Spelling("enable_https", "piping", "", "Listen with TLS too; the next three are needed then"),
    Spelling("https_port", "piping", "PORT", "Port with TLS"),
    Spelling("crt_path", "piping", "FILE", "Certificate chain, as PEM"),
    Spelling("key_path", "piping", "FILE", "Private key, as PEM"),
    Spelling("port", "httpipe", "PORT", "Port to listen on, on every IPv4 interface", short="-p"),
)
_OF_TLS = ("https_port", "crt_path", "key_path")
_ORIGINALS = {"piping": "piping-server", "httpipe": "httpipe"}

Given = Mapping[str, str]


def load(flags: Mapping[str, object], config: ConfigFile) -> Settings:
    """Load the settings of `flags`, which may hold spellings, by name; raises `ConfigError`."""
    names = {spelling.name for spelling in SPELLINGS}
    ours = {name: value for name, value in flags.items() if name not in names}
    settings = load_settings(ours, config=config)
    spelt = [spelling for spelling in SPELLINGS if flags.get(spelling.name) is not None]
    if not spelt:
        return settings
    for spelling in spelt:
        if spelling.protocol != settings.protocol:
            raise ConfigError(f"{_flag(spelling.name)} needs --protocol {spelling.protocol}")
    given = {spelling.name: str(flags[spelling.name]) for spelling in spelt if spelling.metavar}
    if settings.protocol == "piping":
        meant = _piping(given, https=bool(flags.get("enable_https")))
    else:
        meant = {"listen": [_address("httpipe", "http", "0.0.0.0", "port", given)]}  # noqa: S104
    for name in meant:
        if ours.get(name):
            raise ConfigError(f"{_flag(name)} and {_flag(spelt[0].name)} exclude each other")
    return load_settings({**ours, **meant}, config=config)


def _piping(given: Given, *, https: bool) -> dict[str, object]:
    host = given.get("host", "")
    listen = [_address("piping", "http", host, "http_port", {"http_port": "8080", **given})]
    if not https:
        for name in _OF_TLS:
            if name in given:
                raise ConfigError(f"{_flag(name)} needs --enable-https")
        return {"listen": listen}
    missing = [_flag(name) for name in _OF_TLS if not given.get(name)]
    if missing:
        raise ConfigError(f"--enable-https needs {' and '.join(missing)}")
    return {
        "listen": [*listen, _address("piping", "https", host, "https_port", given)],
        "tls_cert": _file("crt_path", given),
        "tls_key": _file("key_path", given),
    }


def _address(protocol: str, scheme: Scheme, host: str, port: str, given: Given) -> str:
    """A listener as `--listen` has it; `port` is the name of the flag that holds the port."""
    try:
        number = parse_port(given[port])
    except ValueError as error:
        raise ConfigError(f"{_flag(port)}: {error}") from None
    bracketed = f"[{host}]" if ":" in host else host
    try:
        return str(Listen.parse(f"{scheme}://{bracketed}:{number}={protocol}"))
    except ValueError:
        raise ConfigError(f"--host: {shown(host)} is no address and no host name") from None


def _file(name: str, given: Given) -> str:
    try:
        return str(readable_file(given[name]))
    except ValueError as error:
        raise ConfigError(f"{_flag(name)}: {error}") from None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def arguments(as_written: Any) -> Iterator[Argument]:
    """The spellings as arguments of `serve`; `as_written` is the converter of their values."""
    groups = {
        protocol: Group(f"Flags of {original}, with --protocol {protocol} and instead of --listen")
        for protocol, original in _ORIGINALS.items()
    }
    for spelling in SPELLINGS:
        flag = _flag(spelling.name)
        parameter = Parameter(
            name=(flag, spelling.short) if spelling.short else (flag,),
            negative=(),
            help=spelling.meaning,
            converter=as_written if spelling.metavar else None,
            metavar=spelling.metavar or None,
            group=groups[spelling.protocol],
            show_default=False,
        )
        kind: Any = str | None if spelling.metavar else bool | None
        annotation = Annotated[kind, parameter]
        yield Argument(spelling.name, Argument.KEYWORD_ONLY, default=None, annotation=annotation)
