"""The pages of the protocol `piping`: web form, form without script, version, help.

Pure functions: what they need of the request is passed in.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from filepipe import __version__
from filepipe.errors import BadRequest
from filepipe.web.documents import Document, scripted_policy

_PAGE = Document("piping.html", ("sending.js", "piping.js"))
_NOSCRIPT = Document("piping_noscript.html")

_FIELDS: Final = {
    "file": '<label>File <input type="file" name="input_file"{state}></label>',
    "text": '<label>Text <textarea name="input_text" rows="8"{state}></textarea></label>',
}

# A path that no browser takes for a scheme or another host, whatever it strips before it looks.
_HERE = re.compile(r"/?(?![ /])[^\x00-\x1f\x7f:\\]*")

_MAX_FIELDS: Final = 32

_TEXT_HEADERS: Final = {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"}

_HELP: Final = """\
Help for Piping at {base}
(filepipe {version})

======= Get =======
curl {base}/mypath

======= Send =======
# a file
curl -T myfile {base}/mypath

# a text
echo 'hello!' | curl -T - {base}/mypath

# a directory, as tar.gz
tar zfcp - ./mydir | curl -T - {base}/mypath

# encrypted on the way
openssl aes-256-cbc -pbkdf2 < myfile | curl -T - {base}/mypath
curl {base}/mypath | openssl aes-256-cbc -d -pbkdf2 > myfile

# to two receivers, each of whom asks for {base}/mypath?n=2
curl -T myfile '{base}/mypath?n=2'
"""


def base_url(*, tls: bool, forwarded_proto: str | None, host: str | None, prefix: str) -> str:
    """Where the caller reaches this server, without a trailing slash.

    `tls` if the listener encrypts; `prefix` is where the protocol is mounted, empty at a root.
    """
    secure = tls or "https" in (forwarded_proto or "")
    return f"{'https' if secure else 'http'}://{host or 'hostname'}{prefix}"


def front() -> web.Response:
    """The form that sends by script."""
    body, nonce = _PAGE.render({"version": __version__})
    headers = {
        "Content-Type": "text/html",
        "Content-Security-Policy": scripted_policy(nonce),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return web.Response(body=body, headers=headers)


def noscript(query: str) -> web.Response:
    """The form that the browser sends by itself; the query chooses `path` and `mode`."""
    arguments = _form_fields(query)
    path = arguments.get("path", "")
    mode = "text" if arguments.get("mode") == "text" else "file"
    state = "" if path else " disabled"
    parts = {
        "field": _FIELDS[mode].format(state=state),
        "state": state,
        "file_chosen": " selected" if mode == "file" else "",
        "text_chosen": " selected" if mode == "text" else "",
    }
    body, nonce = _NOSCRIPT.render({"path": path, "action": _below(path)}, parts)
    headers = {
        "Content-Type": "text/html",
        "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return web.Response(body=body, headers=headers)


def _form_fields(query: str) -> dict[str, str]:
    """What a form sent by GET. Raises `BadRequest`."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise BadRequest(f"query has more than {_MAX_FIELDS} parameters") from None
    return dict(pairs)


def _below(path: str) -> str:
    """The path as the form's action: verbatim, unless a browser would send the form elsewhere."""
    return path if _HERE.fullmatch(path) else f"./{path}"


def version() -> web.Response:
    """One line."""
    return web.Response(body=f"{__version__}\n".encode(), headers=_TEXT_HEADERS)


def help_text(base: str) -> web.Response:
    """What to type, with this server's own URL."""
    text = _HELP.format(base=base, version=__version__)
    return web.Response(body=text.encode("utf-8", "replace"), headers=_TEXT_HEADERS)


def favicon() -> web.Response:
    """Nothing, so that browsers do not ask again."""
    return web.Response(status=204)


def robots() -> web.Response:
    """Nothing either, and it is not there."""
    return web.Response(status=404, headers={"Content-Length": "0"})
