"""One connection to a share: what can be asked of the server, each with a limit on its wait.

All of this blocks and runs on threads, many at a time: requests overlap on the connection as far as
the server has given credits. Each raises `Refusal` where the server says no, and `Lost` where the
connection is no more; whether the request was carried out is unknown then.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from smbprotocol.exceptions import (
    SMBAuthenticationError,
    SMBConnectionClosed,
    SMBException,
    SMBResponseException,
)
from smbprotocol.file_info import FileInformationClass, FileSystemInformationClass, InfoType
from smbprotocol.open import (
    Open,
    SMB2CreateResponse,
    SMB2QueryDirectoryRequest,
    SMB2QueryDirectoryResponse,
    SMB2QueryInfoRequest,
    SMB2QueryInfoResponse,
    SMB2ReadResponse,
    SMB2SetInfoRequest,
    SMB2WriteResponse,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from filepipe_backends import smb_errors as errors
from filepipe_backends.smb_errors import Lost, Refusal, Rejected, Unreachable
from filepipe_backends.smb_transport import CONNECT
from filepipe_backends.smb_wire import Wire

PIECE = 1024 * 1024
"""Bytes of one request at most."""

CREDITS = 256
"""What the server is asked for: 16 such requests under way."""

SPARE = 8
"""Credits that no read or write takes, so that an echo can always be sent."""

ANSWER = 60.0
"""Seconds to wait for an answer."""

FLUSH = 600.0
"""Seconds to wait for the server's disk. That the server is there at all is asked much sooner."""

_LOOK = 1
"""Seconds after which a waiting thread looks whether there is a connection still."""

_UNIT = 65536
"""Bytes for one credit."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where the share is and who we are there."""

    host: str
    port: int
    share: str
    user: str
    password: str = field(repr=False)
    encrypted: bool
    """Else each message is signed only."""


class Access(NamedTuple):
    """How a file is opened: rights, who else may have it open, what is made, what it is."""

    rights: int
    shared: int
    made: int
    kind: int
    looks: int = 0x80
    """The attributes that it is made with."""


class Opened(NamedTuple):
    """A file or folder that is open on a link."""

    file: Any
    size: int


class Link:
    """A session on a share, until `close` or until it is lost."""

    def __init__(self, account: Account, previous: int = 0) -> None:
        """Connect. Raises `Unreachable` or `Rejected`."""
        self._wire = Wire(account.host, account.port, previous)
        self._room = threading.Condition()
        self._promised = 0
        with _connecting(self._wire, account):
            self._wire.connect(timeout=CONNECT)
            self._session = Session(
                self._wire, account.user, account.password, require_encryption=account.encrypted
            )
            self._session.connect()
            self._tree = TreeConnect(self._session, rf"\\{account.host}\{account.share}")
            self._tree.connect()
            self._wire.echo(self._session.session_id, CONNECT, CREDITS)
        self._limit = max(1, self._wire.credits - SPARE)
        self._piece = min(
            PIECE, self._wire.max_write_size, self._wire.max_read_size, self._limit * _UNIT
        )

    @property
    def session(self) -> int:
        """What the server knows us by."""
        return int(self._session.session_id)

    @property
    def alive(self) -> bool:
        """Whether it can be used, as far as is known."""
        return self._wire.alive

    def close(self) -> None:
        """Let go. What is open on it is closed by the server."""
        self._wire.end()

    # -- files

    def open(self, path: str, access: Access) -> Opened:
        """Open `path`, below the share."""
        file = Open(self._tree, path)
        message, _ = file.create(
            2, access.rights, access.looks, access.shared, access.made, access.kind, send=False
        )
        answer = SMB2CreateResponse()
        answer.unpack(self._ask(message))
        file.file_id = answer["file_id"].get_value()
        return Opened(file, answer["end_of_file"].get_value())

    def shut(self, opened: Opened) -> None:
        """Close a file. Raises nothing: a link that is lost has closed it."""
        with suppress(Lost, Refusal):
            self._ask(opened.file.close(send=False)[0])

    def write(self, opened: Opened, offset: int, data: memoryview) -> None:
        """Write all of it."""
        while data:
            message, _ = opened.file.write(bytes(data[: self._piece]), offset, send=False)
            answer = SMB2WriteResponse()
            answer.unpack(self._ask(message, min(len(data), self._piece)))
            written = answer["count"].get_value()
            if not written:
                raise Refusal(0xC000007F)
            offset += written
            data = data[written:]

    def read(self, opened: Opened, offset: int, limit: int) -> bytes:
        """Read something; b"" at the end."""
        size = min(limit, self._piece)
        message, _ = opened.file.read(offset, size, send=False)
        answer = SMB2ReadResponse()
        try:
            answer.unpack(self._ask(message, size))
        except Refusal as refusal:
            if refusal.status in errors.END:
                return b""
            raise
        return bytes(answer["buffer"].get_value())

    def flush(self, opened: Opened) -> None:
        """Have it written to the server's disk; also a folder."""
        self._ask(opened.file.flush(send=False)[0], limit=FLUSH)

    # -- what is known of them

    def size(self, opened: Opened) -> int:
        """Its length in bytes."""
        about = self._about(opened, FileInformationClass.FILE_STANDARD_INFORMATION, 24)
        return int(struct.unpack_from("<q", about, 8)[0])

    def number(self, opened: Opened) -> int:
        """The number of a file: the same under every name that it has."""
        about = self._about(opened, FileInformationClass.FILE_INTERNAL_INFORMATION, 8)
        return int(struct.unpack("<Q", about)[0])

    def free(self, opened: Opened) -> int:
        """The bytes that can be written to the share."""
        kind = FileSystemInformationClass.FILE_FS_FULL_SIZE_INFORMATION
        about = self._about(opened, kind, 32, InfoType.SMB2_0_INFO_FILESYSTEM)
        _, free, _, sectors, size = struct.unpack("<qqqII", about)
        return int(free * sectors * size)

    def _about(
        self, opened: Opened, kind: int, size: int, of: int = InfoType.SMB2_0_INFO_FILE
    ) -> bytes:
        message = SMB2QueryInfoRequest()
        message["info_type"] = of
        message["file_info_class"] = kind
        message["output_buffer_length"] = size
        message["file_id"] = opened.file.file_id
        answer = SMB2QueryInfoResponse()
        answer.unpack(self._ask(message))
        return bytes(answer["buffer"].get_value())

    def cut(self, opened: Opened, size: int) -> None:
        """Make it so long."""
        kind = FileInformationClass.FILE_END_OF_FILE_INFORMATION
        self._change(opened, kind, struct.pack("<q", size))

    def rename(self, opened: Opened, path: str, *, replace: bool) -> None:
        """Call it `path`, below the share."""
        name = path.encode("utf-16-le")
        about = struct.pack("<B7xQI", replace, 0, len(name)) + name
        self._change(opened, FileInformationClass.FILE_RENAME_INFORMATION, about)

    def _change(self, opened: Opened, kind: int, about: bytes) -> None:
        message = SMB2SetInfoRequest()
        message["info_type"] = InfoType.SMB2_0_INFO_FILE
        message["file_info_class"] = kind
        message["file_id"] = opened.file.file_id
        message["buffer"] = about
        self._ask(message)

    def names(self, opened: Opened) -> Iterator[str]:
        """What is in a folder."""
        kind = FileInformationClass.FILE_NAMES_INFORMATION
        while True:
            message, _ = opened.file.query_directory("*", kind, send=False)
            answer = SMB2QueryDirectoryResponse()
            try:
                answer.unpack(self._ask(message))
            except Refusal as refusal:
                if refusal.status in errors.NO_MORE:
                    return
                raise
            buffer = answer["buffer"].get_value()
            for entry in SMB2QueryDirectoryRequest.unpack_response(kind, buffer):
                name = entry["file_name"].get_value().decode("utf-16-le")
                if name not in (".", ".."):
                    yield name

    # -- how it is asked

    def _ask(self, message: Any, payload: int = 0, limit: float = ANSWER) -> bytes:
        """Send a request and wait for what the server says."""
        deadline = time.monotonic() + limit
        try:
            with self._credit(payload, deadline):
                request = self._wire.send(
                    message, self._session.session_id, self._tree.tree_connect_id
                )
            answer = self._await(request, deadline)
        except SMBResponseException as error:
            if error.status in errors.LOST:
                raise Lost from error
            raise Refusal(error.status) from error
        except (Lost, Refusal):
            raise
        except Exception as error:  # whatever has ended the library's own thread comes up here
            self._wire.cut()
            raise Lost from error
        finally:
            with self._room:
                self._room.notify_all()
        return bytes(answer["data"].get_value())

    @contextmanager
    def _credit(self, payload: int, deadline: float) -> Iterator[None]:
        """Wait until the server lets so much be sent; kept until it is sent."""
        charge = max(0, payload - 1) // _UNIT + 1
        with self._room:
            while self._wire.credits - self._promised < charge + (SPARE if payload else 0):
                if not self.alive or time.monotonic() > deadline:
                    raise SMBConnectionClosed
                self._room.wait(_LOOK)
            self._promised += charge
        try:
            yield
        finally:
            with self._room:
                self._promised -= charge

    def _await(self, request: Any, deadline: float) -> Any:
        while True:
            try:
                return self._wire.receive(request, timeout=_LOOK)
            except SMBResponseException:
                raise
            except SMBException:
                if not self.alive or time.monotonic() > deadline:
                    raise


@contextmanager
def _connecting(wire: Wire, account: Account) -> Iterator[None]:
    """Say why there is no connection; close what there is of it."""
    try:
        yield
    except Exception as error:
        wire.end()
        raise _why(error, wire, account) from error


def _why(error: Exception, wire: Wire, account: Account) -> Exception:
    status = error.status if isinstance(error, SMBResponseException) else 0
    if isinstance(error, SMBAuthenticationError) or status in errors.ACCOUNT | errors.IN_USE:
        return Rejected("the SMB server refuses the account")
    if status:
        if status in errors.NO_SHARE:
            return Rejected("the SMB server has no such share")
        return Unreachable(f"the SMB server answers with status {status:#010x}")
    if isinstance(error, (SMBConnectionClosed, OSError)):
        return Unreachable("the SMB server cannot be reached")
    if account.encrypted and wire.dialect and not wire.supports_encryption:
        return Rejected("the SMB server does not encrypt")
    return Unreachable("the SMB server does not answer as it should")
