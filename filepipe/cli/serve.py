"""`filepipe serve`: settings are flags, but for secrets; nothing about a setting is written here.

Beside them stand the flags of the servers whose protocols are spoken.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter as Argument
from inspect import Signature
from typing import Annotated, Any

from cyclopts import Parameter, Token

from filepipe.cli import spellings
from filepipe.cli.main import FAILED, ConfigFile, fail
from filepipe.config import Description, describe
from filepipe.errors import ConfigError


def serve(*, config: ConfigFile = None, **flags: object) -> int:
    """Run the daemon; `flags` are raw values by the name of their setting or spelling."""
    settings = spellings.load(flags, config)
    from filepipe.daemon import run

    try:
        return run(settings)
    except (OSError, ConfigError) as error:
        fail(f"cannot start: {error}", FAILED)


_METAVARS = {"size": "SIZE", "duration": "TIME", "number": "NUMBER"}


def _text(_: object, tokens: Sequence[Token]) -> str:
    # As it was written: cyclopts would take "none" for "not given".
    return tokens[0].value


def _texts(_: object, tokens: Sequence[Token]) -> list[str]:
    return [token.value for token in tokens]


_CONVERTERS: dict[str, Any] = {"switch": None, "list": _texts}


def _argument(setting: Description) -> Argument:
    note = f"{setting.meaning} [{', '.join(setting.variables)}; default {setting.default}]"
    kind: Any = {"switch": bool | None, "list": list[str] | None}.get(setting.kind, str | None)
    parameter = Parameter(
        name=(setting.flag, setting.short) if setting.short else (setting.flag,),
        negative=f"--no-{setting.flag[2:]}" if setting.kind == "switch" else (),
        help=note,
        converter=_CONVERTERS.get(setting.kind, _text),
        metavar=_METAVARS.get(setting.kind, "VALUE"),
        show_default=False,
    )
    return Argument(
        setting.name, Argument.KEYWORD_ONLY, default=None, annotation=Annotated[kind, parameter]
    )


def _signature() -> Signature:
    first = Argument("config", Argument.KEYWORD_ONLY, default=None, annotation=ConfigFile)
    settings = [_argument(setting) for setting in describe() if setting.flag]
    flags = [*settings, *spellings.arguments(_text)]
    return Signature([first, *flags], return_annotation=int)


# cyclopts reads the flags from here.
serve.__signature__ = _signature()  # type: ignore[attr-defined]
