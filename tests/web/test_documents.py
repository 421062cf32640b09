"""Pages from files: what is escaped, what a nonce is for, and that the wheel has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from filepipe.web.documents import Document, escape, scripted_policy

STATIC = Path(__file__).parents[2] / "filepipe/web/static"
SCRIPTS = sorted(path.name for path in STATIC.glob("*.js"))
TEMPLATES = sorted(path.name for path in STATIC.glob("*.html"))


def test_a_text_is_escaped_and_a_part_is_not() -> None:
    """What a caller chose cannot become markup; what we made stays it."""
    page = Document("piping.html", ("piping.js",))
    body, _ = page.render({"version": "<b>'\"&"})
    assert b"filepipe &lt;b&gt;&#x27;&quot;&amp;</p>" in body
    assert b'find("send")' in body


def test_every_answer_has_its_own_nonce() -> None:
    """A nonce that is known beforehand would be none."""
    page = Document("piping.html", ("piping.js",))
    (first, one), (_, two) = page.render({"version": ""}), page.render({"version": ""})
    assert one != two
    assert len(one) >= 22
    assert first.count(f'nonce="{one}"'.encode()) == 2


def test_what_is_no_text_is_sent_all_the_same() -> None:
    """The bytes of a request's head may be no UTF-8."""
    body, _ = Document("piping.html").render({"version": "a\udcffb"})
    assert b"a?b" in body


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_loads_nothing_and_styles_nothing_inline(name: str) -> None:
    """Under the policy neither would work, and neither is missed."""
    text = (STATIC / name).read_text()
    assert not re.search(r"\s(on[a-z]+|style)=", text)
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    assert text.startswith("<!doctype html>")
    assert re.search(r'<meta charset="utf-8">', text, re.IGNORECASE)
    assert '<html lang="en">' in text


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_field_has_a_label(name: str) -> None:
    """So that it can be found without eyes."""
    text = (STATIC / name).read_text()
    inside = "".join(re.findall(r"<label.*?</label>", text, re.DOTALL))
    for field in re.findall(r"<(?:input|textarea|select|progress)\b.*?>", text, re.DOTALL):
        assert field in inside or "aria-labelledby=" in field, field


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_makes_no_markup_of_text(name: str) -> None:
    """Keys are shown by `textContent`; and the script cannot end its own element."""
    text = (STATIC / name).read_text()
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                 "</script", "http://", "https://"):  # fmt: skip
        assert word not in text, word


def test_escape_covers_attributes() -> None:
    """Both kinds of quotes, too."""
    assert escape("<\"'&>") == "&lt;&quot;&#x27;&amp;&gt;"


def test_the_policy_of_a_page_with_a_script() -> None:
    """Nothing but the page itself and its own server."""
    assert scripted_policy("N") == (
        "default-src 'none'; script-src 'nonce-N'; style-src 'nonce-N'; connect-src 'self'; "
        "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def test_the_wheel_has_them() -> None:
    """Whoever installs it has the pages too."""
    builder = WheelBuilder(str(STATIC.parents[2]))
    packed = {file.distribution_path for file in builder.recurse_included_files()}
    names = {f"filepipe/web/static/{path.name}" for path in STATIC.iterdir()}
    assert len(names) >= 8
    assert names <= packed
