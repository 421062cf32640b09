"""From a server's URL and a key to the address of a request."""

from __future__ import annotations

from yarl import URL

from filepipe.client.errors import BadAddress
from filepipe.keys import Key, quote_key


def base_url(text: str) -> URL:
    """Read the URL of a server; it may have a path, below which the keys are."""
    url = whole_url(text)
    if url.raw_query_string or url.raw_fragment:
        raise BadAddress("the URL of a server has no query and no fragment")
    return URL(str(url).removesuffix("/") + "/", encoded=True)


def whole_url(text: str) -> URL:
    """Read an http or https URL as it is, without normalising it."""
    try:
        url = URL(text, encoded=text.isascii())
        usable = url.scheme in {"http", "https"} and bool(url.host) and bool(url.port)
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise BadAddress("the URL is not one like http://host:3000")
    return url


def key_url(base: URL, key: str | URL) -> URL:
    """Return the address of a key, percent-encoded with its slashes kept, or a URL as it is."""
    if isinstance(key, URL):
        return key
    bare = key.removeprefix("/")
    if not bare:
        raise BadAddress("the key is empty")
    try:
        return URL(str(base) + quote_key(Key(bare)), encoded=True)
    except UnicodeEncodeError:
        raise BadAddress("the key is not valid UTF-8") from None


def with_query(url: URL, **values: float | None) -> URL:
    """Add parameters of seconds, whole where they are; None adds nothing."""
    pieces = [
        f"{name.replace('_', '-')}={value:.12g}"
        for name, value in values.items()
        if value is not None
    ]
    if not pieces:
        return url
    glue = "&" if url.raw_query_string else "?"
    return URL(str(url.with_fragment(None)) + glue + "&".join(pieces), encoded=True)


def without_secrets(url: URL) -> URL:
    """Return what may be shown and written down: no user, no password, no query."""
    return url.with_user(None).with_query(None).with_fragment(None)
