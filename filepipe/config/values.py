"""From what a person wrote, in a flag, a variable or a file, to the value of a setting.

Each function takes a raw value (text, or what TOML has) and raises ValueError with one sentence.
"""

from __future__ import annotations

import ipaddress
import math
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import PlainValidator, SecretStr

from filepipe.sizes import MAX_DURATION, MAX_SIZE, parse_duration, parse_size

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_MOST_HOURS = 100 * 365 * 24
_SECRET_LENGTH = 32  # bytes: what HS256 takes at least (RFC 7518, 3.2)
_STORAGE = re.compile(r"[a-z][a-z0-9+.-]*:[^\x00-\x1f\x7f]*")


def size(value: object) -> int:
    """Read a number of bytes."""
    if isinstance(value, str):
        return parse_size(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SIZE:
        return value
    raise ValueError(f"{shown(value)} is not a size such as 1048576, 256M or 1.5GiB")


def limit(value: object) -> int | None:
    """Read a number of bytes; None is `unlimited`."""
    return None if _is_unlimited(value) else size(value)


def _is_unlimited(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() == "unlimited")


def duration(value: object) -> float:
    """Read a number of seconds, 0 included."""
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
        if math.isfinite(seconds) and 0 <= seconds <= MAX_DURATION:
            return seconds
    raise ValueError(f"{shown(value)} is not a duration such as 30, 30s, 5m or 1.5h")


def timeout(value: object) -> float:
    """Read a number of seconds above 0."""
    seconds = duration(value)
    if seconds == 0:
        raise ValueError("must be longer than 0 seconds")
    return seconds


def time_limit(value: object) -> float | None:
    """Read a number of seconds above 0; None is `unlimited`."""
    return None if _is_unlimited(value) else timeout(value)


def count(value: object) -> int:
    """Read a whole number above 0."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9:
        return value
    raise ValueError(f"{shown(value)} is not a whole number above 0")


def hours(value: object) -> int:
    """Read a whole number of hours, at most 100 years of them: every calendar has a date for it."""
    found = count(value)
    if found > _MOST_HOURS:
        raise ValueError(f"{shown(value)} is more than {_MOST_HOURS} hours")
    return found


def count_or_auto(value: object) -> int | None:
    """Read a whole number above 0; None is `auto`."""
    if value is None or value == "auto":
        return None
    return count(value)


def switch(value: object) -> bool:
    """Read true or false, also as yes/no, on/off, 1/0."""
    text = str(value).strip().lower()
    if text in _TRUE | _FALSE and isinstance(value, bool | int | str):
        return text in _TRUE
    raise ValueError(f"{shown(value)} is neither true nor false")


def words(value: object) -> tuple[str, ...]:
    """Read several texts: a list of them, or one text that commas or spaces divide."""
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError(f"{shown(value)} is not a list of texts")


def targets(value: object) -> tuple[str, ...]:
    """Read where requests of ours may lead: host names, addresses, CIDRs, or `*`."""
    return tuple(_target(word.lower()) for text in words(value) for word in words(text))


def _target(word: str) -> str:
    if word == "*" or (_HOST_NAME.fullmatch(word) and not word.rpartition(".")[2].isdigit()):
        return word
    try:
        ipaddress.ip_network(word)
    except ValueError:
        raise ValueError(f"{shown(word)} is no host name, address, CIDR or *") from None
    return word


def choice(value: object, *choices: str) -> str:
    """Read one of the `choices`, in whichever case."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if text not in choices:
        raise ValueError(f"{shown(value)} is none of {', '.join(choices)}")
    return text


def optional_path(value: object) -> Path | None:
    """Read a folder; None, or nothing, is none."""
    return None if value in (None, "") else path(value)


def path(value: object) -> Path:
    """Read a path and make it absolute; `~` is a home folder."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"{shown(value)} is not a path")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"{shown(value)} names a home folder that cannot be found") from None


def readable_file(value: object) -> Path | None:
    """Read the path of a file, which must exist and be ours to read; "" is none."""
    if value is None or value == "":
        return None
    file = path(value)
    try:
        with file.open("rb"):
            return file
    except OSError as error:
        raise ValueError(f"{shown(str(file))} cannot be read: {error.strerror}") from None


def secret(value: object) -> SecretStr | None:
    """Read a text of 32 bytes or more, which no sentence repeats; "" is none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("is not a text")  # noqa: TRY004 - what pydantic understands
    if len(value.encode(errors="surrogateescape")) < _SECRET_LENGTH:
        raise ValueError(f"is shorter than {_SECRET_LENGTH} bytes")
    return SecretStr(value)


def header_secret(value: object) -> SecretStr | None:
    """Read a secret that a header can carry as it is."""
    found = secret(value)
    if found and not re.fullmatch("[!-~]+", found.get_secret_value()):
        raise ValueError("has characters other than visible ASCII, which no header carries")
    return found


def password(value: object) -> SecretStr | None:
    """Read a text of any length that no sentence repeats; "" is none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("is not a text")  # noqa: TRY004 - what pydantic understands
    return SecretStr(value)


def line(value: object) -> str:
    """Read a text on one line; spaces around it do not count."""
    if isinstance(value, str) and (stripped := value.strip()).isprintable():
        return stripped
    raise ValueError(f"{shown(value)} is not a text on one line")


def storage(value: object) -> str:
    """Read `scheme:location`; whether a backend knows the scheme shows when it is opened."""
    if not isinstance(value, str) or not _STORAGE.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a storage, write SCHEME:LOCATION, such as file:")
    return value


def base_url(value: object) -> str | None:
    """Read an http or https URL and cut its final slash; "" is none."""
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) and value.isascii() and value.isprintable() else ""
    try:
        url = urlsplit(text)
        _ = url.port  # a wrong port shows only when it is asked for
    except ValueError:
        url = urlsplit("")
    if url.scheme not in ("http", "https") or not url.hostname or " " in text:
        raise ValueError(f"{shown(value)} is not a URL such as https://files.example.org")
    if url.query or url.fragment or url.username is not None:
        raise ValueError(f"{shown(value)} must have no user, query or fragment")
    return text.rstrip("/")


def shown(value: object) -> str:
    """Quote, escape and shorten a raw value for an error message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}..."


Size = Annotated[int, PlainValidator(size)]
Limit = Annotated[int | None, PlainValidator(limit)]
Duration = Annotated[float, PlainValidator(duration)]
Timeout = Annotated[float, PlainValidator(timeout)]
TimeLimit = Annotated[float | None, PlainValidator(time_limit)]
Count = Annotated[int, PlainValidator(count)]
Hours = Annotated[int, PlainValidator(hours)]
CountOrAuto = Annotated[int | None, PlainValidator(count_or_auto)]
Switch = Annotated[bool, PlainValidator(switch)]
Words = Annotated[tuple[str, ...], PlainValidator(words)]
Targets = Annotated[tuple[str, ...], PlainValidator(targets)]
Folder = Annotated[Path, PlainValidator(path)]
OptionalFolder = Annotated[Path | None, PlainValidator(optional_path)]
ReadableFile = Annotated[Path | None, PlainValidator(readable_file)]
Line = Annotated[str, PlainValidator(line)]
Password = Annotated[SecretStr | None, PlainValidator(password)]
Secret = Annotated[SecretStr | None, PlainValidator(secret)]
HeaderSecret = Annotated[SecretStr | None, PlainValidator(header_secret)]
StorageUrl = Annotated[str, PlainValidator(storage)]
BaseUrl = Annotated[str | None, PlainValidator(base_url)]
