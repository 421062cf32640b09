"""A page as a browser takes it apart, for tests that ask what is markup and what is text."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class Tags(HTMLParser):
    """Every element of a page as a browser reads it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str, **wanted: Any) -> list[dict[str, str | None]]:
        """The attributes of those that are meant."""
        return [has for name, has in self.found if name == tag and wanted.items() <= has.items()]
