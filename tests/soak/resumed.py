"""Rounds in which a sender is lost and comes back: nobody who reads notices anything but time."""

from __future__ import annotations

import contextlib

from tests.conftest import eventually
from tests.scenarios.peers import Download, Upload, key_of, sha, stored
from tests.soak.ground import Ground
from tests.soak.live import LARGE


def go_on(ground: Ground) -> None:
    """A sender is lost up to four times and goes on, elsewhere too: every reader has the whole."""
    daemon, way = ground.way()
    body, key = ground.body(LARGE), ground.key()
    path, size = f"/{key}", len(body)
    known = ground.random.random() < 0.5

    def sender(start: int) -> Upload:
        span = f"{start}-{size - 1}/{size}" if known else f"{start}-*/*"
        return Upload(daemon, path, way.length(size - start), f"Content-Range: bytes {span}")

    cuts = sorted(ground.random.sample(range(1, size), ground.random.randint(1, 4)))
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Download(daemon, path))]
        offset = 0
        for cut in cuts:
            peer = stack.enter_context(sender(offset))
            peer.send(body[offset:cut])
            eventually(lambda cut=cut: stored(daemon, key) == cut)
            lose = ground.random.choice((Upload.reset, Upload.leave, None))
            if lose is not None:  # else it stays, silent
                lose(peer)
                eventually(lambda: (key_of(daemon, key) or {}).get("state") == "suspended")
            if ground.random.random() < 0.5:
                readers.append(stack.enter_context(Download(daemon, path)))
            offset = max(1, cut - ground.random.choice((0, 0, ground.random.randint(1, 70_000))))
        last = stack.enter_context(sender(offset))
        answer = last.finish(body[offset:])
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
        for reader in readers:
            assert reader.begin() == 200
            assert sha(reader.rest() or b"") == sha(body), "a reader has not the whole"
