"""tus 1.0.0: what its fields say and which of them answer what, without HTTP and without bytes.

`FIELDS` has every field with its grammar and the extension it belongs to, `RULES` every method at
either place. What is announced is read from these two, so that nothing is promised that is not
there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any, Final, Literal

from filepipe.errors import BadRequest, OtherVersion, UnsupportedMedia
from filepipe.protocols.digest import Hash
from filepipe.protocols.tus_metadata import TusMetadata, parse_metadata

VERSION: Final = "1.0.0"
CHUNK: Final = "application/offset+octet-stream"
"""The type of a body that is appended."""

ALGORITHMS: Final = ("sha1", "sha256", "sha512", "md5")
"""Of checksums, by the names that hashlib knows; `sha1` has to be among them."""

Place = Literal["collection", "upload"]
Fields = Callable[[str], str | None]
"""The value of a request's field by its name, several lines joined by commas; None without it."""

# 18 digits fit wherever a size is kept.
_NUMBER = re.compile(r"[0-9]{1,18}")
_CHECKSUM = re.compile(r"([A-Za-z0-9-]+) ([A-Za-z0-9+/]+={0,2})")
_METHOD = re.compile(r"[A-Za-z]{1,16}")
_UPLOAD_URL = re.compile(r"(?:[^?#\s]*/)?([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a body has to hash to."""

    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Concat:
    """A part of something to be joined later (`ids` None), or what joins the uploads `ids`."""

    text: str
    ids: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Said:
    """The fields of a request that its rule reads; sizes in bytes, None for what is not said.

    `chunk` tells whether the body is to be appended.
    """

    length: int | None = None
    deferred: bool = False
    offset: int | None = None
    metadata: TusMetadata = field(default_factory=TusMetadata)
    concat: Concat | None = None
    checksum: Checksum | None = None
    chunk: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an upload; sizes in bytes, None for what is not known.

    `expires` is a moment of the wall clock, in seconds.
    """

    location: str | None = None
    offset: int | None = None
    length: int | None = None
    metadata: str | None = None
    concat: str | None = None
    expires: float | None = None


# -- the grammar of each field


def _number(name: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _NUMBER.fullmatch(text):
            raise BadRequest(f"{name} is not a whole number of at most 18 digits")
        return int(text)

    return read


def _deferred(text: str) -> bool:
    if text != "1":
        raise BadRequest("Upload-Defer-Length is something else than 1")
    return True


def _checksum(text: str) -> Checksum:
    found = _CHECKSUM.fullmatch(text)
    if found is None:
        raise BadRequest("Upload-Checksum is not an algorithm, a space and a digest in Base64")
    algorithm = found[1].lower()
    if algorithm not in ALGORITHMS:
        raise BadRequest(
            f"Upload-Checksum has an algorithm that is none of {', '.join(ALGORITHMS)}"
        )
    try:
        return Checksum(algorithm, base64.b64decode(found[2], validate=True))
    except binascii.Error:
        raise BadRequest("Upload-Checksum has a digest that is not valid Base64") from None


def _concat(text: str) -> Concat:
    if text == "partial":
        return Concat(text, None)
    word, semicolon, urls = text.partition(";")
    if word != "final" or not semicolon:
        raise BadRequest("Upload-Concat is neither partial nor final;URL URL …")
    found = [_UPLOAD_URL.fullmatch(url) for url in urls.split()]
    if not found or None in found:
        raise BadRequest("Upload-Concat has something that is not the URL of an upload here")
    # the id alone decides: what stands before it is how the client reaches us, not how we do
    return Concat(text, tuple(url[1] for url in found if url is not None))


def _chunk(text: str) -> bool:
    return text.partition(";")[0].strip().lower() == CHUNK


@dataclass(frozen=True, slots=True)
class Field:
    """How one field of a request is read: into which attribute of `Said`."""

    extension: str
    attribute: str
    parse: Callable[[str], Any]


FIELDS: Final[Mapping[str, Field]] = {
    "Upload-Length": Field("creation", "length", _number("Upload-Length")),
    "Upload-Defer-Length": Field("creation-defer-length", "deferred", _deferred),
    "Upload-Metadata": Field("creation", "metadata", parse_metadata),
    "Content-Type": Field("creation-with-upload", "chunk", _chunk),
    "Upload-Checksum": Field("checksum", "checksum", _checksum),
    "Upload-Concat": Field("concatenation", "concat", _concat),
    "Upload-Offset": Field("", "offset", _number("Upload-Offset")),
}
"""Every field of a request, but those of the version and the method."""

TELLS: Final[Mapping[str, Callable[[Standing], str | None]]] = {
    "Location": lambda standing: standing.location,
    "Upload-Offset": lambda standing: _text(standing.offset),
    "Upload-Length": lambda standing: _text(standing.length),
    "Upload-Defer-Length": lambda standing: "1" if standing.length is None else None,
    "Upload-Metadata": lambda standing: standing.metadata,
    "Upload-Concat": lambda standing: standing.concat,
    "Upload-Expires": lambda standing: (
        None if standing.expires is None else formatdate(standing.expires, usegmt=True)
    ),
    "Cache-Control": lambda standing: "no-store",
}
"""Every field of an answer: its value, None where it is left out."""


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


# -- what goes together


def _creation(said: Said) -> None:
    """Raise `BadRequest` unless it is clear how long the upload gets."""
    if said.concat is not None and said.concat.ids is not None:
        if said.length is not None or said.deferred:
            raise BadRequest("the length of a final upload is that of its parts, and is not said")
        if said.chunk:
            raise BadRequest("a final upload has no body of its own")
        return
    if said.length is None and not said.deferred:
        raise BadRequest("Upload-Length is missing, or Upload-Defer-Length: 1")
    if said.length is not None and said.deferred:
        raise BadRequest("Upload-Length and Upload-Defer-Length exclude each other")


def _append(said: Said) -> None:
    if not said.chunk:
        raise UnsupportedMedia(f"the body is not of the type {CHUNK}")
    if said.offset is None:
        raise BadRequest("Upload-Offset is missing")


def _nothing(said: Said) -> None:
    """There is nothing to go together."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a method does at a place: the fields it reads, and how it answers when all is well."""

    extension: str
    reads: tuple[str, ...]
    check: Callable[[Said], None]
    success: int
    tells: tuple[str, ...]


RULES: Final[Mapping[Place, Mapping[str, Rule]]] = {
    "collection": {
        "POST": Rule(
            extension="creation",
            reads=(
                "Upload-Length",
                "Upload-Defer-Length",
                "Content-Type",
                "Upload-Metadata",
                "Upload-Checksum",
                "Upload-Concat",
            ),
            check=_creation,
            success=201,
            tells=("Location", "Upload-Offset", "Upload-Expires"),
        ),
    },
    "upload": {
        "HEAD": Rule(
            extension="",
            reads=(),
            check=_nothing,
            success=200,
            tells=tuple(name for name in TELLS if name != "Location"),
        ),
        "PATCH": Rule(
            extension="",
            reads=("Content-Type", "Upload-Offset", "Upload-Length", "Upload-Checksum"),
            check=_append,
            success=204,
            tells=("Upload-Offset", "Upload-Expires"),
        ),
        "DELETE": Rule(extension="termination", reads=(), check=_nothing, success=204, tells=()),
    },
}

EXTENSIONS: Final = tuple(
    dict.fromkeys(
        [
            *(row.extension for row in FIELDS.values() if row.extension),
            *(
                rule.extension
                for rules in RULES.values()
                for rule in rules.values()
                if rule.extension
            ),
            "expiration",  # it has a field in answers only
        ]
    )
)
"""What is announced."""


# -- requests


def meant_method(method: str, field: Fields) -> str:
    """The method that is meant: that of X-HTTP-Method-Override if it is there.

    Raises `BadRequest` where it is no method, or where the answer could not be one to the method
    that the request has.
    """
    override = field("X-HTTP-Method-Override")
    if override is None:
        return method
    if not _METHOD.fullmatch(override):
        raise BadRequest("X-HTTP-Method-Override is not a method")
    meant = override.upper()
    if meant != method and method in ("HEAD", "OPTIONS"):
        raise BadRequest(f"a {method} cannot be overridden, its answer has no body")
    return meant


def check_version(field: Fields) -> None:
    """Raise `OtherVersion` unless the request is one of this version."""
    version = field("Tus-Resumable")
    if version != VERSION:
        raise OtherVersion(f"Tus-Resumable is missing or not {VERSION}")


def new_hash(algorithm: str) -> Hash:
    """Begin to hash by one of `ALGORITHMS`."""
    return hashlib.new(algorithm, usedforsecurity=False)


def read(rule: Rule, field: Fields) -> Said:
    """What a request says. Raises `BadRequest`, `UnsupportedMedia`, `BadKey`."""
    said = Said()
    for name in rule.reads:
        text = field(name)
        if text is not None:
            row = FIELDS[name]
            said = replace(said, **{row.attribute: row.parse(text.strip(" \t"))})
    rule.check(said)
    return said


# -- answers


def tell(rule: Rule, standing: Standing) -> dict[str, str]:
    """The fields of the answer when all went well."""
    values = {name: TELLS[name](standing) for name in rule.tells}
    said = {name: value for name, value in values.items() if value is not None}
    return {"Tus-Resumable": VERSION, **said}


def announcement(max_size: int | None) -> dict[str, str]:
    """The fields that say what is served here, for OPTIONS; `max_size` in bytes."""
    limit = {} if max_size is None else {"Tus-Max-Size": str(max_size)}
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        **limit,
    }
