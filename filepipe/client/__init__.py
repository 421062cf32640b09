"""The other end of the line: `Client` for programs, and what it reports and raises."""

from filepipe.client.answers import GetResult, Metadata, PutResult
from filepipe.client.client import Client
from filepipe.client.download import Download
from filepipe.client.errors import (
    BadAddress,
    Busy,
    Changed,
    ClientError,
    Interrupted,
    NotThere,
    RangeRefused,
    Refused,
    SourceChanged,
    Unreachable,
)
from filepipe.client.progress import Progress
from filepipe.client.source import Source

__all__ = [
    "BadAddress",
    "Busy",
    "Changed",
    "Client",
    "ClientError",
    "Download",
    "GetResult",
    "Interrupted",
    "Metadata",
    "NotThere",
    "Progress",
    "PutResult",
    "RangeRefused",
    "Refused",
    "Source",
    "SourceChanged",
    "Unreachable",
]
