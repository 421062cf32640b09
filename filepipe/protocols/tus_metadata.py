"""Upload-Metadata of tus: pairs of a name and a value in Base64, and what some of them mean."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from filepipe.errors import BadRequest
from filepipe.keys import Key, is_reserved, parse_key, quote_text
from filepipe.protocols.media import clean_content_type
from filepipe.protocols.upload_names import upload_path

# Of what clients call it, the first.
_TYPES: Final = ("filetype", "contentType")
_NAME = re.compile(r"[!-+\--~]+")


@dataclass(frozen=True, slots=True)
class TusMetadata:
    """What a client says of an upload: `text` as it came, `values` decoded once."""

    text: str | None = None
    values: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def key(self) -> Key | None:
        """The key at which it is read. Raises `BadRequest`, `BadKey`."""
        text = self._text("key")
        if text is None:
            return None
        key = parse_key(quote_text(text))
        if is_reserved(key):
            raise BadRequest("the key in Upload-Metadata is a reserved name")
        return key

    @property
    def path(self) -> PurePosixPath | None:
        """Where it is kept. Raises `BadRequest`.

        Names of files come from a system, not from a hand: one that is not normalised is no
        mistake of the sender's.
        """
        name = self._text("filename")
        return None if name is None else upload_path(unicodedata.normalize("NFC", name))

    @property
    def content_type(self) -> str | None:
        """The media type, None also for one that cannot be sent on."""
        name = next((name for name in _TYPES if name in self.values), None)
        if name is None:
            return None
        return clean_content_type(self.values[name].decode("ascii", "replace"))

    def _text(self, name: str) -> str | None:
        if name not in self.values:
            return None
        try:
            return self.values[name].decode()
        except UnicodeDecodeError:
            raise BadRequest(f"{name} in Upload-Metadata is not valid UTF-8") from None


def parse_metadata(text: str) -> TusMetadata:
    """Read the field. Raises `BadRequest`."""
    values: dict[str, bytes] = {}
    for pair in text.split(",") if text else ():
        name, _, value = pair.strip(" \t").partition(" ")
        if not _NAME.fullmatch(name):
            raise BadRequest("Upload-Metadata has a pair without a name in ASCII")
        if name in values:
            raise BadRequest(f"Upload-Metadata has {name} twice")
        try:
            values[name] = base64.b64decode(value.encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise BadRequest(f"Upload-Metadata has a value of {name} that is not Base64") from None
    return TusMetadata(text, values)
