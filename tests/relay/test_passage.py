"""From one socket to several: every byte, in step, and the end held back."""

import asyncio
import os
import sys

import pytest

from tests.relay.passages import Crossing
from tests.relay.transfers import sock_read, sock_send

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


@pytest.fixture
def crossing(plane, connect):
    """Make a passage of so many bytes to so many sinks."""
    return lambda length, count=1: Crossing(plane, connect, length, count)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 4097, 1_048_576, 5_000_001])
async def test_every_byte_to_every_sink(crossing, size, count):
    """Whatever the size, each sink gets exactly what was sent, and the loop hears how much."""
    data = os.urandom(size)
    crossing = crossing(size, count).open().attach_all().pass_on()
    reads = [asyncio.create_task(sock_read(reader, size)) for reader in crossing.readers]
    await sock_send(crossing.sender, data)
    await crossing.passing
    assert await asyncio.gather(*crossing.attached) == [size] * count
    assert await asyncio.gather(*reads) == [data] * count
    assert sum(crossing.moved) == size
    assert crossing.asked == 1


@pytest.mark.parametrize("count", [1, 2])
async def test_no_bytes_at_all(crossing, count):
    """It is over as soon as all are there, and asks before that as always."""
    crossing = crossing(0, count).open().pass_on()
    await asyncio.sleep(0.01)
    assert crossing.asked == 0
    crossing.attach_all()
    await crossing.passing
    assert await asyncio.gather(*crossing.attached) == [0] * count
    assert (crossing.moved, crossing.asked) == ([], 1)
