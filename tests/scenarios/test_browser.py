"""What people do at the pages, done by a real Chromium, with curl at the other end."""

from __future__ import annotations

import re
import shlex
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import chromium
from tests.conftest import Daemon, curl, eventually, read_until, start_curl

SECONDS = 15_000
"""Milliseconds within which what is waited for must happen."""

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"

COMPLAINTS: list[str] = []
"""What the pages of the test that runs have complained of."""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests."""
    if chromium.installed() is None:
        pytest.skip("this machine has no chromium")
    with chromium.launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that waits for nobody for long; each test takes keys of its own."""
    arguments = ["--wait", "20", "--max-wait", "20", "--listen", "127.0.0.1:0"]
    arguments += ["--listen", "127.0.0.1:0=piping", "--retention", "1 minute"]
    daemon = Daemon(arguments, tmp_path_factory.mktemp("browser"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(scope="module")
def pages(browser: Browser) -> Iterator[dict[str, Page]]:
    """Pages by what they are like; one is opened for many tests."""
    pages: dict[str, Page] = {}
    yield pages
    for page in pages.values():
        page.context.close()


@pytest.fixture
def visit(browser: Browser, daemon: Daemon, pages: dict[str, Page]) -> Iterator[Open]:
    """Go to a page of the daemon; at the end none may have complained, but of a refusal."""
    used: list[Page] = []

    def open_page(path: str = "/", *, listener: int = 0, **likeness: Any) -> Page:
        page = pages.get(str(likeness))
        if page is None:
            page = pages[str(likeness)] = browser.new_context(**likeness).new_page()
            page.set_default_timeout(SECONDS)
            chromium.complain(page, COMPLAINTS)
        used.append(page)
        page.goto(daemon.url(path, listener))
        return page

    yield open_page
    for page in used:
        page.goto("about:blank")
    refusal = "Failed to load resource: the server responded with a status of"
    complaints = [each for each in COMPLAINTS if refusal not in each]
    COMPLAINTS.clear()
    assert not complaints


def choose(page: Page, how: str, key: str, file: Path | str, data: bytes = b"hello") -> None:
    """Fill the form with a file; `data` is what one has that is given by its name."""
    named = {"name": str(file), "mimeType": "application/octet-stream", "buffer": data}
    page.locator("#file").set_input_files(file if isinstance(file, Path) else named)
    page.get_by_label("Key: whoever knows it").fill(key)
    page.get_by_label(how).check()


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file larger than all buffers on the way."""
    file = tmp_path_factory.mktemp("big") / "big.bin"
    with file.open("wb") as opened:
        opened.truncate(64 << 20)
    return file


def send(page: Page) -> None:
    """Press the button."""
    page.get_by_role("button", name="Send", exact=True).click()


def says(page: Page, words: str | re.Pattern[str]) -> None:
    """What came of it."""
    expect(page.locator("#result")).to_have_text(words, timeout=SECONDS)


def finished(party: subprocess.Popen[bytes]) -> bytes:
    """What curl got."""
    output, _ = party.communicate(timeout=30)
    assert party.returncode == 0
    return output


# -- send


def test_hand_over_live(visit: Open, daemon: Daemon, tmp_path: Path) -> None:
    """A receiver gets the file under its name, and the sender is told that it arrived."""
    data = bytes(range(256)) * 4000
    receiving = start_curl("-OJ", daemon.url("/live-file"), cwd=tmp_path)
    page = visit()
    choose(page, "Hand over live", "live-file", "Grüße (1).bin", data)
    send(page)
    says(page, "Arrived: delivered to 1 receiver.")
    finished(receiving)
    (file,) = tmp_path.iterdir()
    assert file.name.endswith(" (1).bin")
    assert file.read_bytes() == data


def test_keep_for_later(visit: Open, daemon: Daemon) -> None:
    """A text under a key that is minted; the commands that are shown run as they are."""
    page = visit()
    page.get_by_role("radio", name="Text").check()
    page.locator("#text").fill("Grüße")
    send(page)
    says(page, "Stored whole: 7 B, kept for 1 minute unless it is read.")
    key = page.get_by_label("Key: whoever knows it").input_value()
    assert re.fullmatch("[a-z2-9]{5}-[a-z2-9]{5}", key)
    assert page.get_by_label("Link").input_value() == daemon.url(f"/{key}")
    assert curl(daemon.url(f"/{key}")).stdout.decode() == "Grüße"
    code = page.get_by_role("img", name=f"QR code of {daemon.url(f'/{key}')}")
    expect(code).to_be_visible()
    eventually(lambda: code.evaluate("image => image.naturalWidth") > 0)
    expect(page.get_by_text("This address leads to this machine only.")).to_be_visible()


def test_the_commands_that_are_shown(visit: Open, daemon: Daemon, tmp_path: Path) -> None:
    """They send and receive under a key that a shell would stumble over."""
    key = "it's $HOME & a;b/ü?#"
    page = visit()
    page.get_by_label("Key: whoever knows it").fill(key)
    (tmp_path / "FILE").write_bytes(b"hello")
    for label in ("Send with curl", "Receive with curl"):
        command = page.get_by_label(label).input_value()
        subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
        assert shlex.split(command)[0] == "curl"
        (tmp_path / "FILE").unlink(missing_ok=True)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == b"hello"


def test_a_key_in_use(visit: Open, daemon: Daemon, big: Path) -> None:
    """The server's sentence is shown, also where most of the body is still to be sent."""
    curl("-T", "-", daemon.url("/taken?max-age=60"), input=b"first")
    page = visit()
    choose(page, "Keep for later", "taken", big)
    send(page)
    says(page, "Not stored: key already exists (409)")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def test_nobody_came(visit: Open) -> None:
    """Within the time that the server waits."""
    page = visit()
    assert page.evaluate("document.body.dataset.wait") == "20"
    page.evaluate("document.body.dataset.wait = '0.5'")
    choose(page, "Hand over live", "lonely", "a.txt")
    send(page)
    says(page, "Waiting for the receiver, then handing over.")
    says(page, "Did not arrive: nobody came within 0.5 seconds (408)")


def test_a_receiver_who_leaves(visit: Open, daemon: Daemon, big: Path) -> None:
    """The sender is told that it did not arrive."""
    page = visit()
    choose(page, "Hand over live", "half", big)
    with daemon.connect(b"GET /half HTTP/1.1\r\nHost: localhost\r\n\r\n") as sock:
        send(page)
        read_until(sock, b"\r\n\r\n")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    says(page, re.compile(r"^Did not arrive: .+ \(502\)$"))


def test_cancel(visit: Open, daemon: Daemon) -> None:
    """The key is free again."""
    page = visit()
    choose(page, "Hand over live", "given-up", "a.txt")
    send(page)
    row = page.get_by_role("row", name="given-up")
    expect(row).to_contain_text("rendezvous")
    page.get_by_role("button", name="Cancel").click()
    says(page, "Cancelled.")
    expect(row).to_have_count(0, timeout=SECONDS)
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()


def test_nothing_to_send(visit: Open) -> None:
    """That is said, and nothing is sent."""
    page = visit()
    send(page)
    says(page, "Choose a file or write a text first.")


# -- receive


def test_receive_from_curl(visit: Open, daemon: Daemon) -> None:
    """The download begins while curl still sends, and ends when it ends."""
    page = visit()
    page.get_by_label("Key", exact=True).fill("from/curl ü.bin")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
        sending = start_curl("-T", "-", daemon.url("/from/curl%20%C3%BC.bin"), stdin=-1)
        assert sending.stdin is not None
        sending.stdin.write(b"first ")
        sending.stdin.flush()
    sending.communicate(b"last")
    assert download.value.suggested_filename == "curl ü.bin"
    assert Path(download.value.path()).read_bytes() == b"first last"


def test_open_in_a_tab(visit: Open, daemon: Daemon) -> None:
    """What cannot do harm may be looked at."""
    curl("-T", "-", "-H", "Content-Type: text/plain", daemon.url("/words"), input=b"hello")
    page = visit()
    page.get_by_label("Key", exact=True).fill("words")
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Open").click()
    expect(opened.value.locator("body")).to_have_text("hello")


# -- the dashboard


def test_the_list_is_live(visit: Open, daemon: Daemon) -> None:
    """What comes and goes shows up without anybody asking; markup in a key is text."""
    page = visit()
    expect(page.locator("#liveness")).to_have_text("live")
    curl("-T", "-", daemon.url(f"/{quote(HOSTILE, safe='')}"), input=b"hello", check=False)
    curl("-T", "-", daemon.url(f"/{quote(HOSTILE.replace('/', ''))}"), input=b"hello")
    row = page.get_by_role("row").filter(has_text=HOSTILE.replace("/", ""))
    expect(row.get_by_role("cell").nth(1)).to_have_text("5 B")
    assert page.locator("tbody img").count() == 0
    waiting = start_curl(daemon.url("/longed-for"))
    row = page.get_by_role("row", name="longed-for")
    expect(row).to_contain_text("no sender yet")
    expect(row).to_contain_text("1 waiting")
    waiting.kill()
    waiting.communicate()
    expect(row).to_have_count(0, timeout=SECONDS)


def test_a_rendezvous_in_the_list(visit: Open, daemon: Daemon) -> None:
    """How many are here, of how many."""
    page = visit()
    sending = start_curl("-X", "POST", "-d", "x", daemon.url("/trio?n=3"))
    receiving = start_curl(daemon.url("/trio?n=3"))
    row = page.get_by_role("row", name="trio")
    expect(row).to_contain_text("1 of 3 here")
    for party in (sending, receiving):
        party.kill()
        party.communicate()


def test_a_log_in_the_list(visit: Open, daemon: Daemon) -> None:
    """It has no end that it could be on its way to, until it is closed."""
    page = visit()
    curl("-X", "PUT", "-d", "12345", daemon.url("/diary?append"))
    row = page.get_by_role("row", name="diary")
    expect(row.get_by_role("cell").nth(1)).to_have_text("5 B")
    expect(row.locator("progress")).to_be_hidden()
    lengths = [row["length"] for row in daemon.state()["keys"] if row["key"] == "diary"]
    assert lengths == [None]
    curl("-X", "PUT", "-d", "6", daemon.url("/diary?append&close"))
    expect(row.get_by_role("cell").nth(1)).to_have_text("6 B")
    lengths = [row["length"] for row in daemon.state()["keys"] if row["key"] == "diary"]
    assert lengths == [6]


def test_what_strangers_see(visit: Open, daemon: Daemon) -> None:
    """Lines without keys, and why."""
    curl("-T", "-", daemon.url("/not-for-strangers"), input=b"hello")
    page = visit(extra_http_headers={"X-Forwarded-For": "192.0.2.1"})
    expect(page.get_by_text("Keys are not shown to you")).to_be_visible()
    expect(page.get_by_role("rowheader", name="hidden").first).to_be_visible()
    assert "not-for-strangers" not in page.content()


def test_the_daemon_stops_with_a_page_open(browser: Browser, start: Callable[..., Daemon]) -> None:
    """One signal is enough, and the page says so."""
    stopping = start()
    context = browser.new_context()
    page = context.new_page()
    page.goto(stopping.url("/"))
    expect(page.locator("#liveness")).to_have_text("live")
    assert stopping.stop() == 0
    expect(page.locator("#liveness")).to_have_text("reconnecting")
    context.close()
    stopping.assert_clean_log()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(visit: Open, daemon: Daemon, scheme: str) -> None:
    """Nothing sticks out, however long a key is."""
    key = "long-" + "x" * 300 + scheme
    curl("-T", "-", daemon.url(f"/{key}"), input=b"hello")
    page = visit(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.get_by_label("Key: whoever knows it").fill(key)
    expect(page.get_by_role("rowheader").filter(has_text=key)).to_be_visible()
    for path in ("/", f"/noscript?key={key}"):
        if path != "/":
            page.goto(daemon.url(path))
        assert page.evaluate("document.documentElement.scrollWidth") == 360


# -- without script


def test_hand_over_without_script(visit: Open, daemon: Daemon) -> None:
    """From the first page to what the server says, with nothing but forms."""
    page = visit("/noscript", java_script_enabled=False)
    page.get_by_label("Key: whoever knows it").fill("plain key")
    page.get_by_label("What").select_option("text")
    page.get_by_role("button", name="Set").click()
    page.get_by_label("Text").last.fill("hello")
    receiving = start_curl(daemon.url("/plain%20key"))
    page.get_by_role("button", name="Hand over live").click()
    expect(page.locator("body")).to_have_text("delivered to 1 receiver")
    assert finished(receiving) == b"hello"


def test_receive_without_script(visit: Open, daemon: Daemon) -> None:
    """By a link."""
    curl("-T", "-", daemon.url("/plain.bin"), input=b"hello")
    page = visit("/noscript?key=plain.bin", java_script_enabled=False)
    with page.expect_download() as download:
        page.get_by_role("link", name="plain.bin").click()
    assert Path(download.value.path()).read_bytes() == b"hello"


@pytest.mark.parametrize(
    ("path", "text"),
    [("/noscript?key=", f'">{HOSTILE}'), ("/noscript?key=", "javascript:alert(1)"),
     ("/-/piping/noscript?path=", f'">{HOSTILE}'), ("/-/piping/noscript?path=", "//127.0.0.1:1/")],
)  # fmt: skip
def test_a_hostile_link(visit: Open, path: str, text: str) -> None:
    """Somebody follows it, and nothing happens but that it is shown."""
    page = visit(path + quote(text))
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    assert page.get_by_label(re.compile("^(Key|Secret)")).input_value() == text
    assert page.locator("img, script").count() == 0
    action = page.locator("form[method=post]").evaluate("form => form.action")
    assert action.startswith(page.url.partition("/noscript")[0] + "/")


# -- piping


@pytest.mark.parametrize(("listener", "root"), [(1, "/"), (0, "/-/piping/")])
def test_piping_with_script(visit: Open, daemon: Daemon, listener: int, root: str) -> None:
    """Its page sends to where its link leads."""
    page = visit(root, listener=listener)
    page.locator("#file").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}
    )
    link = page.locator("#link").inner_text()
    assert link.startswith(daemon.url(root, listener))
    receiving = start_curl(link)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#lines")).to_contain_text("received successfully.", timeout=SECONDS)
    assert finished(receiving) == b"hello"


def test_piping_without_script(visit: Open, daemon: Daemon) -> None:
    """The browser shows the lines that the server says."""
    page = visit("/noscript", listener=1, java_script_enabled=False)
    page.get_by_label("Secret path").fill("by-hand")
    page.get_by_role("button", name="Set").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}
    )
    receiving = start_curl(daemon.url("/by-hand", 1))
    page.get_by_role("button", name="Send").click()
    expect(page.locator("body")).to_contain_text("received successfully.", timeout=SECONDS)
    assert finished(receiving) == b"hello"
