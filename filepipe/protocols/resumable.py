"""Resumable uploads (draft-ietf-httpbis-resumable-upload): fields, versions, limits, problems.

Rule 1: what differs from one interop version to another is a column of `INTEROPS`, and nothing else
        asks for a version's number.
Rule 2: fields are Structured Fields (RFC 9651); one that is none, or has another type, or stands
        there twice, is as if it were not there.
Rule 3: a request that names no version, or none of ours, is spoken to as by the RFC to come, and
        gets no interim answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import http_sf

from filepipe.errors import Conflict, FilepipeError, WrongLength, WrongOffset

MEDIA_TYPE: Final = "application/partial-upload"
"""The content type of an append."""

MAX_INTEGER: Final = 999_999_999_999_999
"""The largest number that a field can hold."""

INTERIM: Final = 104
INTERIM_PHRASE: Final = "Upload Resumption Supported"

_PROBLEMS: Final = "https://iana.org/assignments/http-problem-types#"

Lookup = Callable[[str], "str | None"]
"""The value of a field by its name, its lines joined; None where it is not there."""


@dataclass(frozen=True, slots=True)
class Interop:
    """How one version of the draft is spoken; `version` None where the request named none of ours.

    `inverted`: `Upload-Incomplete` stands for `Upload-Complete`, with the other value.
    `typed`: an append has to be of `MEDIA_TYPE`.
    `bare`: whoever asks for the offset, or cancels, states neither an offset nor an end.
    `expires`: the time that an upload has left is called that, beside `max-age`.
    `progress`: interim answers may tell how far an append is.
    `finished`: there is a problem type for an upload that is complete already.
    `appended`: the status of an append after which more is to come.
    """

    version: int | None
    inverted: bool = False
    typed: bool = True
    bare: bool = False
    expires: bool = False
    progress: bool = True
    finished: bool = False
    appended: int = 204


INTEROPS: Final[dict[int | None, Interop]] = {
    interop.version: interop
    for interop in (
        Interop(3, inverted=True, typed=False, bare=True, progress=False, appended=201),
        Interop(4, typed=False, bare=True, progress=False, appended=201),
        Interop(5, typed=False, bare=True),
        Interop(6, bare=True, expires=True, finished=True),
        Interop(7, finished=True),
        Interop(8, finished=True),
        Interop(9),
        Interop(None, bare=True),
    )
}


@dataclass(frozen=True, slots=True)
class Fields:
    """What a request says of its upload; sizes in bytes, None where it says nothing.

    `complete` is whether the last byte of the upload is the last of this body.
    """

    interop: Interop
    complete: bool | None
    offset: int | None
    length: int | None


def read_fields(lookup: Lookup) -> Fields:
    """Read the fields of a request; what is malformed is not there."""
    version = _integer(lookup("Upload-Draft-Interop-Version"))
    interop = INTEROPS.get(version, INTEROPS[None])
    complete = _boolean(lookup("Upload-Incomplete" if interop.inverted else "Upload-Complete"))
    if interop.inverted and complete is not None:
        complete = not complete
    offset, length = _integer(lookup("Upload-Offset")), _integer(lookup("Upload-Length"))
    return Fields(interop, complete, offset, length)


def _boolean(value: str | None) -> bool | None:
    found = _item(value)
    return found if isinstance(found, bool) else None


def _integer(value: str | None) -> int | None:
    found = _item(value)
    # Booleans are integers to Python
    return found if type(found) is int and found >= 0 else None


def _item(value: str | None) -> object:
    if value is None:
        return None
    try:
        found = http_sf.parse(value.encode("ascii"), tltype="item")
    except (UnicodeEncodeError, http_sf.StructuredFieldError):
        return None
    return cast("tuple[object, object]", found)[0]


def announced_length(fields: Fields, offset: int, content_length: int | None) -> int | None:
    """The length of the whole that a request with a body at `offset` announces, if it does.

    `content_length` None is a body whose end shows itself. Raises `WrongLength` where the request
    contradicts itself.
    """
    end = None if content_length is None else offset + content_length
    if fields.length is None:
        return end if fields.complete else None
    if end is not None and (end > fields.length or (fields.complete and end != fields.length)):
        raise WrongLength("Upload-Length and the length of the body do not agree")
    return fields.length


# -- answers


@dataclass(frozen=True, slots=True)
class Limits:
    """What an upload may be, in bytes, and `max_age`: seconds that it has left; None: no limit."""

    max_size: int | None = None
    max_append_size: int | None = None
    max_age: int | None = None

    def render(self, interop: Interop) -> str:
        """The value of Upload-Limit."""
        limits = {
            "max-size": self.max_size,
            "max-append-size": self.max_append_size,
            "expires": self.max_age if interop.expires else None,
            "max-age": self.max_age,
        }
        stated: dict[str, Any] = {
            name: limit
            for name, limit in limits.items()
            if limit is not None and limit <= MAX_INTEGER
        }
        return http_sf.ser(stated or {"min-size": 0})


def answer_fields(
    interop: Interop,
    complete: bool,
    offset: int | None = None,
    length: int | None = None,
    limits: Limits | None = None,
) -> dict[str, str]:
    """The fields of an answer; what is None is not said."""
    headers = {
        "Upload-Incomplete" if interop.inverted else "Upload-Complete": _said(complete, interop)
    }
    if offset is not None:
        headers["Upload-Offset"] = str(offset)
    if length is not None:
        headers["Upload-Length"] = str(length)
    if limits is not None:
        headers["Upload-Limit"] = limits.render(interop)
    if interop.version is not None:
        headers["Upload-Draft-Interop-Version"] = str(interop.version)
    return headers


def _said(complete: bool, interop: Interop) -> str:
    return "?1" if complete is not interop.inverted else "?0"


def announcement(interop: Interop, location: str, limits: Limits) -> bytes:
    """The interim answer that says where an upload can be gone on with."""
    return _interim(interop, {"Location": location, "Upload-Limit": limits.render(interop)})


def progress(interop: Interop, offset: int) -> bytes:
    """The interim answer that says that `offset` bytes are safe."""
    return _interim(interop, {"Upload-Offset": str(offset)})


def _interim(interop: Interop, fields: dict[str, str]) -> bytes:
    fields["Upload-Draft-Interop-Version"] = str(interop.version)
    lines = [f"HTTP/1.1 {INTERIM} {INTERIM_PHRASE}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join((*lines, "", "")).encode("ascii")


def problem(interop: Interop, error: FilepipeError, status: int, *, complete: bool) -> bytes:
    """The body of a refusal (RFC 9457); `complete` says that the upload is complete already."""
    found: dict[str, Any] = {"type": "about:blank", "title": str(error)}
    if isinstance(error, WrongOffset) and not complete:
        found = {
            "type": f"{_PROBLEMS}mismatching-upload-offset",
            "title": "offset from request does not match offset of resource",
            "expected-offset": error.expected,
            "provided-offset": error.provided,
        }
    elif isinstance(error, WrongLength):
        found = {
            "type": f"{_PROBLEMS}inconsistent-upload-length",
            "title": "inconsistent length values for upload",
        }
    elif isinstance(error, Conflict) and complete and interop.finished:
        found = {"type": f"{_PROBLEMS}completed-upload", "title": "upload is already completed"}
    return json.dumps(
        {**found, "status": status, "detail": str(error), "code": error.code}
    ).encode()
