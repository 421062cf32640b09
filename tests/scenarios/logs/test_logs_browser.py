"""Following with the EventSource of a real Chromium, which goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests import chromium
from tests.between import Between
from tests.conftest import Daemon, eventually
from tests.scenarios.logs.asking import append

FOLLOW = """path => {
    window.followed = {text: '', ids: [], ends: []}
    window.following = new EventSource(path)
    following.onmessage = event => {
        followed.text += event.data
        followed.ids.push(event.lastEventId)
    }
    following.addEventListener('closed', event => followed.ends.push(`closed ${event.data}`))
}"""


@pytest.fixture
def line(shared: Daemon) -> Iterator[Between]:
    """A line to the daemon that can be cut."""
    between = Between(shared.address[1])
    yield between
    between.close()


@pytest.fixture
def page(line: Between) -> Iterator[Page]:
    """A page of the daemon, seen through the line."""
    if chromium.installed() is None:
        pytest.skip("this machine has no chromium")
    with chromium.launched() as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{line.port}/")
        yield page


def test_an_event_source(shared: Daemon, line: Between, page: Page, path: str) -> None:
    """Over a cut line to the end of the log, after which it asks no more; no byte twice."""
    append(shared, path, "grün\n".encode(), "", "-H", "Content-Type: text/plain")
    page.evaluate(FOLLOW, f"{path}?follow")  # the page has an EventSource of its own, too
    eventually(lambda: page.evaluate("followed.text") == "grün\n")
    line.cut()
    append(shared, path, b"more ")
    eventually(lambda: page.evaluate("followed.text") == "grün\nmore ")
    append(shared, path, b"last", "&close")
    eventually(lambda: page.evaluate("following.readyState == EventSource.CLOSED"))
    assert page.evaluate("followed") == {
        "text": "grün\nmore last",
        "ids": ["6", "11", "15"],
        "ends": ["closed 15"],
    }
