"""GET: it waits for its upload, takes it alone, and ends honestly."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import eventually
from tests.scenarios.mount import Mount, finished
from tests.scenarios.peers import Upload

VERSIONS = ("1.0", "1.1")
NO_UPLOAD = "No active upload stream for this file"


@pytest.mark.parametrize("version", VERSIONS)
def test_no_upload(front: Mount, hurried: Mount, name: str, version: str) -> None:
    """404 in the original's words: at once with `?wait=0`, else after `--wait`."""
    for one, path in ((front, f"{name}?wait=0"), (hurried, name)):
        answer = one.ask("GET", path, version=version)
        assert (answer.status, answer.text) == (404, NO_UPLOAD)
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert front.ask("GET", name, "Prefer: wait=0", version=version).status == 404


@pytest.mark.parametrize("wait", ["x", "-1", "2h"])
def test_a_wait_that_cannot_be(front: Mount, name: str, wait: str) -> None:
    """400: it is an order."""
    assert front.ask("GET", f"{name}?wait={wait}").status == 400


def test_a_second_download(front: Mount, name: str) -> None:
    """One upload is for one: the other one waits for the next, or gets 404 at the end."""
    with front.receiver(name) as first:
        eventually(lambda: front.waiting(name) == 1)
        with front.sender("PUT", name, 10) as upload:
            upload.send(b"hello")
            assert (first.begin(), first.take(5)) == (200, b"hello")
            assert front.ask("GET", f"{name}?wait=0").text == NO_UPLOAD
            second = front.start_curl(name)
            eventually(lambda: front.waiting(name) == 1)
            upload.send(b"world")
            assert first.rest() == b"world"
        assert front.give("PUT", name, b"for the second").status == 200
        assert finished(second).body == b"for the second"
    assert front.ask("GET", f"{name}?wait=0").status == 404


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("length", [100, None], ids=["length", "chunked"])
@pytest.mark.parametrize("end", [Upload.leave, Upload.reset, Upload.half_close])
def test_an_uploader_that_dies_half_way(
    root: Mount, name: str, end: Callable[[Upload], None], length: int | None, version: str
) -> None:
    """The downloader does not take the part for the whole."""
    with (
        root.receiver(name, version=version) as download,
        root.sender("PUT", name, length) as upload,
    ):
        upload.send(b"hello")
        assert (download.begin(), download.take(5)) == (200, b"hello")
        end(upload)
        assert download.rest() is None


def test_nothing_runs_in_a_browser(front: Mount, name: str) -> None:
    """What strangers send is saved, never shown, and becomes no service worker."""
    for content_type in ("text/html", "image/png", "text/plain"):
        download = front.start_curl(name)
        header = f"Content-Type: {content_type}"
        assert front.give("PUT", name, b"<script>", header).status == 200
        answer = finished(download)
        assert answer["Content-Type"] == content_type
        assert answer["Content-Disposition"] == f'attachment; filename="{name[1:]}"'
        assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert answer["X-Content-Type-Options"] == "nosniff"
    assert front.ask("GET", name, "Service-Worker: script").status == 403
