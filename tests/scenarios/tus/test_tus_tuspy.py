"""tuspy, as its authors ship it: uploads, is cut in the middle, goes on."""

from __future__ import annotations

import asyncio
import io

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from tests.scenarios.mount import fresh
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.tus.cutting import cutting
from tests.scenarios.tus.wire import KEY, Wire

DATA = body_of(3 * MIB)


def client(url: str) -> TusClient:
    """A client of the daemon at this URL."""
    return TusClient(f"{url}/files/", headers={"X-API-Key": KEY})


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("chunk_size", [MIB, 10 * MIB])
def test_a_file_is_uploaded(wire: Wire, chunk_size: int, checked: bool) -> None:
    """In one body or in several, with and without their checksums."""
    name = fresh("tuspy")
    client(wire.daemon.url()).uploader(
        file_stream=io.BytesIO(DATA),
        chunk_size=chunk_size,
        metadata={"filename": name},
        upload_checksum=checked,
    ).upload()
    assert (wire.root / name).read_bytes() == DATA


def test_a_file_is_uploaded_asynchronously(wire: Wire) -> None:
    """By the other half of the library, without metadata."""
    uploader = client(wire.daemon.url()).async_uploader(
        file_stream=io.BytesIO(DATA), chunk_size=MIB
    )
    asyncio.run(uploader.upload())
    assert uploader.url is not None
    assert (wire.root / "keys" / uploader.url.rpartition("/")[2]).read_bytes() == DATA


def test_a_cut_upload_is_tried_again(wire: Wire) -> None:
    """By the client itself, from where the daemon says."""
    key = fresh("tuspy")
    with cutting(wire.address, MIB, 2 * MIB) as proxy:
        client(proxy.url).uploader(
            file_stream=io.BytesIO(DATA), metadata={"key": key}, retries=3, retry_delay=0
        ).upload()
    assert proxy.cut == 2
    assert proxy.sent < len(DATA) + 2 * MIB  # else it began anew each time
    assert wire.call("GET", f"/{key}").body == DATA


def test_a_cut_upload_goes_on_by_its_url(wire: Wire) -> None:
    """By a new client, which asks how far it is."""
    with cutting(wire.address, MIB) as proxy:
        first = client(proxy.url).uploader(file_stream=io.BytesIO(DATA))
        with pytest.raises((TusUploadFailed, TusCommunicationError)):
            first.upload()
    assert first.url is not None
    path = "/files/" + first.url.rpartition("/")[2]
    second = client(wire.daemon.url()).uploader(
        file_stream=io.BytesIO(DATA), url=wire.daemon.url(path)
    )
    assert 0 < second.offset < len(DATA)
    second.upload()
    assert (wire.root / "keys" / path.rpartition("/")[2]).read_bytes() == DATA


def test_a_refusal_is_understood(wire: Wire) -> None:
    """The client says what the daemon said."""
    stranger = TusClient(wire.daemon.url("/files/"), headers={"X-API-Key": "wrong"})
    with pytest.raises(TusCommunicationError, match="401"):
        stranger.uploader(file_stream=io.BytesIO(DATA)).upload()
