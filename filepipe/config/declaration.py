"""How a setting is declared: its names, its choices, its default as a person writes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, PlainValidator

from filepipe.config import values


@dataclass(frozen=True, slots=True)
class Names:
    """How a setting is called outside TOML: `bare` variables follow FILEPIPE_<NAME>."""

    short: str = ""
    bare: tuple[str, ...] = ()
    default: str = field(default="", kw_only=True)  # for people, where the value is computed


def choice(*choices: str) -> PlainValidator:
    """Read one of these words."""
    return PlainValidator(lambda value: values.choice(value, *choices))


def choices(*choices: str) -> PlainValidator:
    """Read any of these words, several at a time."""

    def read(value: object) -> tuple[str, ...]:
        found = (word for text in values.words(value) for word in values.words(text))
        return tuple(values.choice(word, *choices) for word in found)

    return PlainValidator(read)


def setting(default: Any, meaning: str) -> Any:
    """Declare a field whose default is written, and checked, as a person would write it."""
    return Field(default, description=meaning, validate_default=True)
