"""What `auto` shows a browser: the page, the page for browsers without script, QR codes."""

from __future__ import annotations

import asyncio
import functools
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import segno
from aiohttp import web

from filepipe import __version__
from filepipe.errors import BadKey, BadRequest
from filepipe.keys import Key, is_reserved, parse_key, quote_key, quote_text
from filepipe.protocols.query import parse_query
from filepipe.sizes import format_duration, format_size
from filepipe.web.context import Context
from filepipe.web.documents import Document, escape, scripted_policy
from filepipe.web.routes.status import is_local
from filepipe.web.user_content import SANDBOX_HEADERS

_PAGE = Document("page.html", ("sending.js", "page.js"))
_NOSCRIPT = Document("noscript.html")

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}

PATIENCE: Final = 600.0
"""Seconds that a live sender's page waits for its receiver, if `max_wait` allows."""

_KEPT: Final = (600.0, 3600.0, 86400.0)
"""Seconds for which the page offers to keep a body, beside the default."""


def page(context: Context, request: web.BaseRequest) -> web.Response:
    """The page with the forms and the live dashboard."""
    dashboard, local = context.dashboard, is_local(request)
    rules = context.rules
    texts = {
        "version": __version__,
        "base": (rules.public_url or "").rstrip("/"),
        "live": "yes" if dashboard.is_open(local=local) else "no",
        "wait": f"{min(PATIENCE, rules.max_wait):g}",
        "patience": format_duration(rules.wait),
    }
    body, nonce = _PAGE.render(texts, {"kept": _kept(rules.retention, rules.max_retention)})
    return _html(body, scripted_policy(nonce))


def _kept(default: float, longest: float) -> str:
    choices = [default, *(each for each in _KEPT if default < each <= longest)]
    return "".join(
        f'<option value="{seconds:g}">{escape(format_duration(seconds))}</option>'
        for seconds in choices
    )


def _html(body: bytes, policy: str, status: int = 200) -> web.Response:
    headers = {
        **HEADERS,
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
    }
    return web.Response(body=body, status=status, headers=headers)


# -- without script


def noscript(context: Context, request: web.BaseRequest, query: str) -> web.Response:
    """Forms that the browser sends by itself, and the list as it is now.

    The query, which a form wrote, chooses `key` and `mode`; a key that cannot be used is a 400.
    """
    arguments = parse_query(query.replace("+", "%20"))
    text = arguments.get("key", "")
    mode = "text" if arguments.get("mode") == "text" else "file"
    status, key, trouble = 200, None, ""
    try:
        key = usable_key(text) if text else None
    except BadRequest as error:
        status, trouble = 400, f"This key cannot be used: {error}."
    wait = min(PATIENCE, context.rules.max_wait)
    below = quote_key(key) if key else ""
    texts = {
        "key": text,
        "trouble": trouble,
        "url": f"./{below}",
        "action": f"./{below}?wait={wait:g}",
        "patience": format_duration(wait),
        "version": __version__,
    }
    parts = {
        "disabled": "" if key else " disabled",
        "receive": "" if key else " hidden",
        "no_trouble": "" if trouble else " hidden",
        "field": _FIELDS[mode].format(disabled="" if key else " disabled"),
        "file_chosen": " selected" if mode == "file" else "",
        "text_chosen": " selected" if mode == "text" else "",
        "list": _list(context, request),
    }
    body, nonce = _NOSCRIPT.render(texts, parts)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return _html(body, policy, status)


_FIELDS: Final = {
    "file": '<label>File <input type="file" name="file" required{disabled}></label>',
    "text": '<label>Text <textarea name="text" rows="6" required{disabled}></textarea></label>',
}


def usable_key(text: str) -> Key:
    """The key that somebody wrote as plain text. Raises `BadKey`."""
    key = parse_key(quote_text(text))
    if is_reserved(key):
        raise BadKey("this name is reserved")
    return key


def _list(context: Context, request: web.BaseRequest) -> str:
    """The channels as a table, as far as this caller may see them."""
    dashboard, local = context.dashboard, is_local(request)
    if not dashboard.is_open(local=local):
        return '<p class="note">What this server holds is not shown here.</p>'
    found = dashboard.picture(local=local)
    rows = [_row(row) for row in found.get("keys", found.get("unnamed", []))]
    rows += [_wait(row) for row in found.get("waiting_keys", found.get("unnamed_waiting", []))]
    if not rows:
        return '<p class="empty">Nothing is here.</p>'
    more = f'<p class="note">and {found["left_off"]} more</p>' if found["left_off"] else ""
    return f"<table><thead>{_HEAD}</thead><tbody>{''.join(rows)}</tbody></table>{more}"


_HEAD: Final = (
    '<tr><th scope="col">Key</th><th scope="col">Kind</th><th scope="col">Bytes</th>'
    '<th scope="col">Age</th><th scope="col">Readers</th></tr>'
)


def _row(row: Mapping[str, Any]) -> str:
    age = format_duration(round(row["age"]))
    state = f"{row['kind']}, {row['state']}"
    people = [(row["readers"], "reading"), (row["waiting"], "waiting")]
    if "seats" in row:
        people.insert(0, (row["seated"], f"of {row['seats']} here"))
    people.append((row["writers_waiting"], "sending next"))
    return _cells(row.get("key"), state, format_size(row["size"]), age, _count(people))


def _wait(row: Mapping[str, Any]) -> str:
    people = [(row["readers"], "waiting"), (row["writers"], "waiting to send")]
    return _cells(row.get("key"), row["kind"] or "no sender yet", "", "", _count(people))


def _count(people: Sequence[tuple[int, str]]) -> str:
    return ", ".join(f"{number} {what}" for number, what in people if number)


def _cells(key: str | None, *texts: str) -> str:
    """A line of the table; the labels are for a narrow screen, where empty cells are not shown."""
    name = '<span class="soft">hidden</span>' if key is None else escape(key)
    return _LINE.format(name, *map(_filled, texts))


def _filled(text: str) -> str:
    return f">{escape(text)}" if text else ' class="none">'


_LINE: Final = (
    '<tr><th scope="row" class="key">{}</th><td data-label="Kind"{}</td>'
    '<td data-label="Bytes"{}</td><td data-label="Age"{}</td><td data-label="Readers"{}</td></tr>'
)


# -- QR codes


async def qr(base: str, query: str) -> web.Response:
    """The URL of `?key=` below `base` as a picture. Raises `BadRequest`."""
    arguments = parse_query(query)
    if "key" not in arguments:
        raise BadRequest("the query names no key")
    url = f"{base}/{quote_key(usable_key(arguments['key']))}"
    svg = await asyncio.to_thread(_qr_svg, url)
    headers = {**SANDBOX_HEADERS, "Cache-Control": "no-store", "Content-Type": "image/svg+xml"}
    return web.Response(body=svg, headers=headers)


@functools.lru_cache(maxsize=128)
def _qr_svg(text: str) -> bytes:
    """Black on white, whatever the page's colours are: scanners need that."""
    try:
        code = segno.make(text, error="m", micro=False)
    except segno.DataOverflowError:
        raise BadRequest("the URL is too long for a QR code") from None
    picture = io.BytesIO()
    looks = {"light": "#fff", "svgclass": None, "lineclass": None, "omitsize": True}
    code.save(picture, kind="svg", xmldecl=False, **looks)
    return picture.getvalue()
