"""Kinds, methods, orders: who gets what under one key."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.peers import key_of
from tests.scenarios.rendezvous.parties import Receiver, Sender, waiting
from tests.web.ways import GENERAL, PLAIN

pytestmark = pytest.mark.parametrize("hall", ["relay"], indirect=True)  # the bodies are small

BODY = b"hello"


@dataclass(frozen=True)
class Case:
    """A writer's method and query, his readers' queries, what he and they get.

    `late` is what they get if he comes last, where that is something else.
    """

    method: str
    query: str
    readers: Sequence[str]
    told: int = 200
    got: Sequence[int] = ()
    late: tuple[int, Sequence[int]] | None = None

    def expected(self, *, writer_last: bool) -> tuple[int, list[int]]:
        """What the writer is told, and what the readers get, in any order."""
        told, got = self.late if self.late and writer_last else (self.told, self.got)
        return told, sorted(got or [200] * len(self.readers))

    @property
    def wait(self) -> str:
        """Who will get nothing need not wait for long."""
        return "0.4" if self.got else "20"


CASES = {
    "put": Case("PUT", "", [""]),
    "put, several": Case("PUT", "", ["", "", "?n=2"]),
    "post": Case("POST", "", [""]),
    "post n=1": Case("POST", "?n=1", ["?n=1"]),
    "put n=1": Case("PUT", "?n=1", [""]),
    "put n=2": Case("PUT", "?n=2", ["", ""]),
    "post n=2": Case("POST", "?n=2", ["?n=2", ""]),
    "post n=3": Case("POST", "?n=3", ["", "?n=3", ""]),
    "post, one too many": Case("POST", "", ["", ""], 200, [200, 404]),
    "post n=2, one too many": Case("POST", "?n=2", ["", "?n=2", ""], 200, [200, 200, 404]),
    "post n=2, one too few": Case("POST", "?n=2", [""], 408, [404]),
    "post, another number": Case("POST", "", ["?n=2"], 408, [409], (409, [404])),
    "post n=2, another number": Case("POST", "?n=2", ["?n=1"], 408, [409], (409, [404])),
    "put n=2, another number": Case("PUT", "?n=2", ["?n=3"], 408, [409], (409, [404])),
}

# the doorman meets nobody with a query, and so nobody with a short wait
RUNS = [
    pytest.param(case, before, fields, id=f"{name} after {before}{'' if fields else ', plain'}")
    for name, case in CASES.items()
    for before in (range(len(case.readers) + 1) if not case.got else (0, len(case.readers)))
    for fields in ((GENERAL,) if case.got or "" not in case.readers else (PLAIN, GENERAL))
]


@pytest.mark.parametrize(("case", "before", "fields"), RUNS)
def test_who_gets_what(
    hall: Daemon, path: str, case: Case, before: int, fields: tuple[str, ...]
) -> None:
    """`before` of the readers are there when the writer comes; all get his bytes, or their due."""
    told, got = case.expected(writer_last=before == len(case.readers))
    with contextlib.ExitStack() as parties:

        def come(query: str) -> Receiver:
            if case.got or query or fields != PLAIN:  # the doorman takes nothing with a query
                query += f"{'&' if query else '?'}wait={case.wait}"
            return parties.enter_context(Receiver(hall, path + query, *fields))

        readers = []
        for query in case.readers[:before]:
            readers.append(come(query))
            eventually(lambda: waiting(hall) == len(readers))
        query = f"{case.query}{'&' if case.query else '?'}wait={case.wait}"
        writer = parties.enter_context(Sender(hall, path + query, len(BODY), method=case.method))
        if not before:
            eventually(lambda: key_of(hall, path[1:]) is not None)
        readers += [come(query) for query in case.readers[before:]]
        writer.send(BODY)
        answers = [reader.told() for reader in readers]
        assert sorted(answer.status for answer in answers) == got
        assert {answer.body for answer in answers if answer.status == 200} <= {BODY}
        assert writer.told().status == told
    eventually(lambda: waiting(hall) == 0)


WRITERS = {
    "pipe": ("PUT", ""), "post": ("POST", ""), "piping": ("POST", "/-/piping"),
    "piping strict": ("PUT", "/-/piping"), "beam": ("PUT", "/-/beam"),
    "file-pipe": ("PUT", "/-/file-pipe"),
}  # fmt: skip
READERS = {"auto": "", "piping": "/-/piping", "beam": "/-/beam", "file-pipe": "/-/file-pipe"}


@pytest.mark.parametrize("first", [False, True], ids=["reader first", "writer first"])
@pytest.mark.parametrize(("writer", "reader"), list(itertools.product(WRITERS, READERS)))
def test_of_one_protocol_and_another(
    hall: Daemon, path: str, writer: str, reader: str, *, first: bool
) -> None:
    """Whatever the two speak, it is the same key, and the bytes get through."""
    method, prefix = WRITERS[writer]
    with contextlib.ExitStack() as parties:

        def send() -> Sender:
            query = "?strict=1" if "strict" in writer else ""
            sender = Sender(hall, prefix + path + query, len(BODY), method=method)
            sender.send(BODY)
            return parties.enter_context(sender)

        if first:
            sender = send()
            eventually(lambda: key_of(hall, path[1:]) is not None)
        receiver = parties.enter_context(Receiver(hall, READERS[reader] + path))
        if not first:
            eventually(lambda: waiting(hall) == 1)
            sender = send()
        answer = receiver.told()
        assert (answer.status, answer.body) == (200, BODY)
        assert sender.told().status == 200
