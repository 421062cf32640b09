"""The history of a log, sent by the kernel to who has just come, and to who is slow.

Rule: it is one chunk of a chunked body: its head is written and gone before the kernel begins, and
nothing else is written until the kernel is done.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from filepipe.channels.follower import Follower
from filepipe.errors import Broken, Unavailable
from filepipe.relay.moves import Outflow
from filepipe.relay.plane import Plane
from filepipe.web.stall import Watch


async def send_history(
    plane: Plane,
    request: web.BaseRequest,
    follower: Follower,
    patience: float,
    count: Callable[[int], None],
) -> None:
    """Send what is there, for as long as that is much; the head of the answer is out.

    `patience` is how many seconds the reader may take nothing; `count` is told how many bytes went.
    Raises `Broken`, `Stalled`, `StorageFailed`.
    """
    transport = request.transport
    while transport is not None and plane.takes(transport, follower.ready):
        try:
            outflow = await _outflow(
                plane, transport.get_extra_info("socket").fileno(), follower, patience
            )
        except Unavailable:  # the event loop needs no thread for it
            return
        try:
            await _send(plane, request, outflow, patience)
        finally:
            count(outflow.moved)
            follower.offset = outflow.offset


async def _outflow(plane: Plane, sock: int, follower: Follower, patience: float) -> Outflow:
    stop = follower.offset + follower.ready
    gauge = plane.gauge(await follower.log.descriptor(), stop)
    return Outflow(sock, gauge, follower.offset, stop, patience)


async def _send(plane: Plane, request: web.BaseRequest, outflow: Outflow, patience: float) -> None:
    chunked = request.version >= (1, 1)
    submitted = False
    try:
        transport = request.transport
        if transport is None:
            raise Broken("the reader left")
        # an empty write buffer is the only one that cannot mix with what the kernel sends
        transport.set_write_buffer_limits(high=0)
        with Watch(patience, "took") as watch:
            watch.begin()
            if chunked:
                transport.write(b"%x\r\n" % (outflow.stop - outflow.offset))
            await request.writer.drain()
        submitted = True
        await plane.empty(outflow)
        if chunked:
            transport.write(b"\r\n")
        transport.set_write_buffer_limits()
    finally:
        if not submitted:
            outflow.close()
