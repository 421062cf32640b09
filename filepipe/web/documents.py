"""HTML pages: read once, sent as one answer with style and script inside, and nothing from outside.

Rule 1: whatever a caller or a sender chose is escaped here, or set as text by the page's script.
Rule 2: each answer has a nonce of its own, and a policy under which only what bears it counts.
"""

from __future__ import annotations

import html
import importlib.resources
import secrets
from collections.abc import Mapping, Sequence
from string import Template

_FOLDER = importlib.resources.files("filepipe.web") / "static"


def _read(name: str) -> str:
    return _FOLDER.joinpath(name).read_text("utf-8")


def escape(text: str) -> str:
    """The text as it may stand in an element or in a quoted attribute."""
    return html.escape(text)


class Document:
    """A page made of files in `static/`: a template, the style of all pages, and its scripts.

    Without scripts it is a page for browsers that run none.
    """

    def __init__(self, template: str, scripts: Sequence[str] = ()) -> None:
        self._template = Template(_read(template))
        self._style = _read("page.css")
        self._script = "\n".join(_read(name) for name in scripts)

    def render(
        self, texts: Mapping[str, str], parts: Mapping[str, str] | None = None
    ) -> tuple[bytes, str]:
        """The page and its nonce; `texts` are escaped, `parts` are markup already."""
        nonce = secrets.token_urlsafe(16)
        values = {name: escape(text) for name, text in texts.items()}
        markup = {"style": self._style, "script": self._script, **(parts or {})}
        page = self._template.substitute(values, nonce=nonce, **markup)
        # a request's head may hold bytes that are no text
        return page.encode("utf-8", "replace"), nonce


def scripted_policy(nonce: str) -> str:
    """The Content-Security-Policy of a page with a script: itself and its own server only."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
