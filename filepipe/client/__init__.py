"""The other end of the line: `Client` for programs, and what it reports and raises."""

from filepipe.client.answers import GetResult, Metadata, PutResult, SendResult
from filepipe.client.channels import Channels
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
from filepipe.client.logs import Appender
from filepipe.client.parts_api import UploadInfo
from filepipe.client.progress import Progress
from filepipe.client.source import Source
from filepipe.client.spoken import spoken_key
from filepipe.client.uploads import UploadResult, Uploads

__all__ = [
    "Appender",
    "BadAddress",
    "Busy",
    "Changed",
    "Channels",
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
    "SendResult",
    "Source",
    "SourceChanged",
    "Unreachable",
    "UploadInfo",
    "UploadResult",
    "Uploads",
    "spoken_key",
]
