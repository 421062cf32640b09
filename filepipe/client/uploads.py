"""Files in parts, durable on the server: sent, resumed, looked at and removed."""

from __future__ import annotations

import unicodedata
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from yarl import URL

from filepipe.client.backoff import Backoff
from filepipe.client.line import Line
from filepipe.client.part_file import PartFile
from filepipe.client.part_meter import Tally
from filepipe.client.parts_api import PartsApi, UploadInfo
from filepipe.client.progress import Progress
from filepipe.client.upload_note import NoteFile, state_folder
from filepipe.client.upload_run import UploadRun, Wish

# How many seconds without a stored part an upload may take to go on. A server that restarts, or
# that waits for a sender who has gone, should be given more time than a download gives it.
RETRY_WINDOW: Final = 300.0
# Enough that the line is busy while the server flushes a part.
SIDE_BY_SIDE: Final = 4


@dataclass(frozen=True, slots=True)
class UploadResult:
    """A file that the server has whole and durably: as what, and the bytes sent in this run."""

    id: str
    path: str
    size: int
    sent: int
    info: UploadInfo


class Uploads:
    """The uploads of one server, as `Client.uploads`; its methods need the API key."""

    def __init__(self, base: URL, line: Line, api_key: str | None) -> None:
        self._api = PartsApi(base, line, api_key)

    async def upload(
        self,
        path: Path,
        *,
        to: str | None = None,
        parts: int = SIDE_BY_SIDE,
        checksum: str | None = None,
        overwrite: bool | None = None,
        storage: str | None = None,
        resume: bool = True,
        progress: Progress | None = None,
    ) -> UploadResult:
        """Bring a regular file there, as `to` or under its own name, `parts` at a time.

        Each part is verified by its SHA-256; `checksum`, that of the whole as hex, lets the server
        verify the whole as well. `overwrite` False never replaces a file of that name, None leaves
        it to the server; so does `storage` None, which else names one of its storages. With
        `resume` a note is left for the next call, which goes on after a crash too. Raises
        `SourceChanged` when the file changes meanwhile, `Interrupted` when `RETRY_WINDOW` seconds
        stored nothing, OSError for what is no regular file.
        """
        wish = Wish(to or _own_name(path), checksum, overwrite, storage)
        file = PartFile(path)
        try:
            notes = self._notes(path, wish) if resume else None
            tally = Tally(file.facts.size, progress)
            run = UploadRun(self._api, file, notes, wish, Backoff(RETRY_WINDOW), tally)
            info = await run.run(parts)
        finally:
            file.close()
        return UploadResult(info.id, info.final_path or info.path, info.size, tally.sent, info)

    async def status(self, upload_id: str) -> UploadInfo:
        """Ask how far an upload is; raises `NotThere`."""
        return await self._api.status(upload_id)

    async def listing(self) -> list[UploadInfo]:
        """Ask for all uploads, the newest first."""
        found: list[UploadInfo] = []
        while page := await self._api.page(found[-1].id if found else None):
            found += page
        return found

    async def tokens(self, upload_id: str) -> dict[int, str]:
        """Have tokens issued for the parts that are missing, by their numbers.

        Each lets whoever has it send that one part. Raises `NotThere`, or `Busy` when there is
        nothing to send any more.
        """
        return await self._api.tokens(upload_id)

    async def remove(self, upload_id: str) -> None:
        """Cancel an upload, or remove a complete one with its file.

        Raises `NotThere`, or `Busy` while it is being finished.
        """
        await self._api.remove(upload_id)

    def _notes(self, path: Path, wish: Wish) -> NoteFile:
        target = "\0".join(map(str, astuple(wish)))
        return NoteFile(state_folder(), self._api.server, path, target)


def _own_name(path: Path) -> str:
    # macOS hands out decomposed names, which the server refuses.
    return unicodedata.normalize("NFC", path.name)
