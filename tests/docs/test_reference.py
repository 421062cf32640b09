"""docs/reference says of every metric, error, route and header what the program does."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from filepipe import keys, prometheus
from filepipe.errors import FilepipeError
from filepipe.service import Service, Spilling
from filepipe.web import auto
from filepipe.web.routes.status import DAEMON_PATHS
from tests.conftest import Daemon, curl

ROOT = Path(__file__).parents[2]
HTTP = (ROOT / "docs/reference/http.md").read_text()
ERRORS = (ROOT / "docs/reference/errors.md").read_text()
METRICS = (ROOT / "docs/reference/metrics.md").read_text()


def section(page: str, title: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every line of every table, but for the heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {number for number, line in enumerate(lines) if line.startswith("|---")}
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for number, line in enumerate(lines)
        if number not in heads and number + 1 not in heads
    ]


def names(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall("`(.+?)`", cell)


# -- metrics


async def test_the_metrics_are_those_of_a_scrape() -> None:
    """Name, type, labels and meaning, in the order of the text."""
    service = Service(Spilling("memory:", 1, 1, 1), max_keys=1)
    service.statistics.responses[200] += 1
    text = prometheus.render(service, draining=False).decode()
    await service.aclose()
    expected = []
    for family in text_string_to_metric_families(text):
        name = f"`{family.name}{'_total' if family.type == 'counter' else ''}`"
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels)
        shown = ", ".join(f"`{label}`" for label in labels) or "none"
        expected.append([name, family.type, shown, family.documentation])
    assert expected == rows(METRICS)


# -- errors


def tree(root: type[FilepipeError]) -> Iterator[type[FilepipeError]]:
    """A class and all below it, in the order of the source."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == root.__module__:
            yield from tree(child)


def test_the_errors_are_those_of_the_tree() -> None:
    """Class, code, status and meaning."""
    expected = []
    for error in tree(FilepipeError):
        meaning = (error.__doc__ or "").splitlines()[0]
        expected.append([f"`{error.__name__}`", f"`{error.code}`", str(error.status), meaning])
    assert expected == rows(ERRORS)


def test_the_codes_are_stable_names() -> None:
    """No two classes share a code."""
    codes = [error.code for error in tree(FilepipeError)]
    assert len(codes) == len(set(codes))


def test_every_status_of_an_error_is_explained() -> None:
    """http.md says when each of them comes."""
    explained = {int(row[0]) for row in rows(section(HTTP, "Statuses"))}
    assert {error.status for error in tree(FilepipeError)} <= explained


# -- routes


def test_the_methods_of_a_key_are_those_of_auto(start: Callable[..., Daemon]) -> None:
    """With everything allowed that can be."""
    daemon = start("--allow-delete")
    answer = curl("-i", "-X", "OPTIONS", daemon.url("/key")).stdout.decode()
    allow = re.search(r"^Allow: (.*?)\r?$", answer, re.MULTILINE)
    assert allow
    table = rows(section(HTTP, "`auto`: the methods of a key"))
    documented = {names(row[0])[0] for row in table if not names(row[0])[0].startswith("?")}
    assert set(allow[1].split(", ")) == documented


def test_the_methods_of_file_pipe_are_all_there(start: Callable[..., Daemon]) -> None:
    """The refusal of another method names them."""
    daemon = start("--protocol", "file-pipe")
    answer = curl("-i", "-X", "POST", daemon.url("/key")).stdout.decode()
    allow = re.search(r"^Allow: (.*?)\r?$", answer, re.MULTILINE)
    assert allow
    documented = {names(row[0])[0] for row in rows(section(HTTP, "`file-pipe`"))}
    assert set(allow[1].split(", ")) == documented


def test_the_reserved_names_are_all_there() -> None:
    """Whole names, and first segments."""
    documented = {names(row[0])[0] for row in rows(section(HTTP, "`auto`: names that are no keys"))}
    reserved = {f"/{name}" for name in keys.RESERVED_NAMES}
    reserved |= {f"/{segment}/…" for segment in keys.RESERVED_SEGMENTS}
    assert reserved == documented


def test_the_reserved_names_answer_as_told(daemon: Daemon) -> None:
    """GET gets the status of the table; a write is refused, but for a stream."""
    for name, answer, _ in rows(section(HTTP, "`auto`: names that are no keys")):
        url = daemon.url(names(name)[0].replace("…", "x"))
        status = ("--path-as-is", "-o", "/dev/null", "-w", "%{http_code}")
        assert answer == curl(*status, url).stdout.decode(), name
        segment = names(name)[0].split("/")[1]
        refused = {"channels": b"405", "upload": b"405", "files": b"404", "streams": b"201"}.get(
            segment, b"400"
        )
        assert curl(*status, "-X", "PUT", "-d", "x", url).stdout == refused, name


def test_the_daemons_own_paths_are_all_there() -> None:
    """They are the same on every listener."""
    documented = [names(row[0])[0] for row in rows(section(HTTP, "On every listener"))]
    assert list(DAEMON_PATHS) == documented


def test_what_is_not_built_is_said() -> None:
    """Queries and headers that are refused today."""
    text = section(HTTP, "`auto`: the methods of a key")
    for query in auto._UNBUILT_QUERIES:
        assert f"`?{query}`" in text


# -- headers


def header_names() -> set[str]:
    """Every text in the HTTP layer that can only be the name of a header."""
    found = set()
    for path in (ROOT / "filepipe/web").rglob("*.py"):
        if path.name == "forward.py":
            continue  # those go to somebody else's server
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                if re.fullmatch(r"[A-Z][A-Za-z]*(-[A-Z][A-Za-z]*)*", text) and not text.isupper():
                    found.add(text)
    return found


def test_every_header_is_explained() -> None:
    """Those that are looked at, and those that are sent."""
    tables = section(HTTP, "Headers of a request") + section(HTTP, "Headers of an answer")
    explained = {name.partition(":")[0] for row in rows(tables) for name in names(row[0] + row[1])}
    explained |= set(names(tables))
    found = header_names()
    assert {"ETag", "If-Range", "Upload-Offset"} <= found
    assert not found - explained
