"""Makes the pictures of docs/dashboard.md: `python tests/pictures.py`.

A daemon holds a channel of each kind, and Chromium looks at its page.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests import chromium, png  # noqa: E402
from tests.conftest import Daemon, curl, eventually, start_curl  # noqa: E402

IMAGES = ROOT / "docs/images"
SETTINGS = ["--wait", "10m", "--public-url", "https://pipe.example.org"]
LOOKS = [("dashboard-desktop", 1080, "light"), ("dashboard-phone", 360, "dark")]
"""Name, width in pixels, colours."""

CURVES = 30.0
"""Seconds in which the curves get something to show."""


def flow(process: subprocess.Popen[bytes], rate: int) -> None:
    """Feed a sender's stdin in gusts of about `rate` bytes a second, until it ends."""
    block = os.urandom(1 << 16)
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        while process.poll() is None:
            started = time.monotonic()
            for _ in range(max(1, rate // 4 // len(block))):
                process.stdin.write(block)
            swell = 1 + 0.5 * (int(started) % 5 - 2) / 2
            time.sleep(0.25 * swell)


@contextlib.contextmanager
def bustle(daemon: Daemon) -> Iterator[None]:
    """Channels of each kind, some of them moving."""
    url = daemon.url
    image = daemon.folder / "debian-12.iso"
    with image.open("wb") as file:
        file.truncate(660_000_000)  # of nothing but zeros, which take no room
    summer = os.urandom(3_200_000)
    curl("-T", "-", url("/photos/summer.zip?max-age=10m"), input=summer, check=True)
    curl("-T", "-", url("/notes.txt?max-age=10m"), input=b"Bring the big tent.\n", check=True)
    parties = [
        start_curl("-T", str(image), "--limit-rate", "9M", url("/debian-12.iso")),
        live := start_curl("-X", "POST", "-T", "-", url("/backup.tar"), stdin=subprocess.PIPE),
        start_curl("-o", os.devnull, url("/debian-12.iso")),
        start_curl("-o", os.devnull, url("/debian-12.iso")),
        start_curl("-o", os.devnull, url("/backup.tar")),
        start_curl("-T", "-", url("/talk.mp4?n=3"), stdin=subprocess.PIPE),
        start_curl("-o", os.devnull, url("/talk.mp4?n=3")),
        start_curl("-d", "frame 1", url("/channels/render/frames")),
        start_curl("-d", "frame 2", url("/channels/render/frames")),
        start_curl("-o", os.devnull, url("/from-anna")),
    ]
    stream = threading.Thread(target=flow, args=(live, 4 << 20))
    stream.start()
    try:
        yield
    finally:
        for party in parties:
            party.kill()
        for party in parties:
            party.communicate()
        stream.join()


def is_busy(daemon: Daemon) -> bool:
    """Whether everything is there that is to be seen."""
    state = daemon.state()
    return len(state["keys"]) == 5 and len(state["waiting_keys"]) == 2


def look(browser: Browser, url: str, name: str, width: int, scheme: str) -> None:
    """One picture of the whole page."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    complaints: list[str] = []
    chromium.complain(page, complaints)
    page.goto(url)
    page.fill("#send-key", "photos/summer.zip")
    page.locator("#send-key").blur()
    time.sleep(CURVES)
    image = page.screenshot(full_page=True)
    context.close()
    (IMAGES / f"{name}.png").write_bytes(png.squeezed(image))
    assert not complaints, complaints


def main() -> None:
    """Make them all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with chromium.launched() as browser:
        for name, width, scheme in LOOKS:
            with tempfile.TemporaryDirectory() as folder:
                daemon = Daemon(SETTINGS, Path(folder))
                try:
                    with bustle(daemon):
                        eventually(partial(is_busy, daemon))
                        look(browser, daemon.url("/"), name, width, scheme)
                finally:
                    daemon.kill()


if __name__ == "__main__":
    main()
