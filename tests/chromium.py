"""The Chromium that the system has, driven by playwright; it finds no network but ours."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, Page, sync_playwright

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--no-first-run",
]  # fmt: skip


def installed() -> str | None:
    """The path of the program, None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def complain(page: Page, complaints: list[str]) -> None:
    """From now on add what the browser complains of: errors, warnings, violations of the policy."""

    def note(kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            complaints.append(f"{kind}: {text}")

    page.on("console", lambda message: note(message.type, message.text))
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
