"""What a request wants, how bytes become messages, and the words at the end."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import (
    BadRequest,
    Broken,
    DiskFull,
    Draining,
    FilepipeError,
    OverBudget,
    StorageFailed,
    TooLarge,
    TooManyFiles,
    Unprocessable,
)
from filepipe.protocols.fstream import (
    Messages,
    acknowledgement,
    farewell,
    is_original,
    wants_append,
    wants_binary,
    wants_body,
)
from filepipe.protocols.websocket import Op, frame


def taken_apart(frames: bytes) -> list[tuple[int, bytes]]:
    """Operation and bytes of each frame."""
    found = []
    while frames:
        assert frames[0] & 0x80
        size, head = frames[1], 2
        if size == 126:
            size, head = int.from_bytes(frames[2:4]), 4
        found.append((frames[0] & 0x0F, frames[head : head + size]))
        frames = frames[head + size :]
    return found


@pytest.mark.parametrize(
    ("header", "query", "appends"),
    [("APPEND", None, True), ("APPEND", "FOLLOW", True), ("FOLLOW", "APPEND", False),
     ("", "APPEND", True), (None, "APPEND", True), (None, "append", False), (None, None, False)],
)  # fmt: skip
def test_the_verb(header: str | None, query: str | None, appends: bool) -> None:
    """The header beats the query, an empty one does not."""
    arguments = {} if query is None else {"verb": query}
    assert wants_append(header, arguments) is appends


def test_an_original() -> None:
    """X-Verb, and nothing that other clients send."""
    assert is_original({"X-Verb": "FOLLOW", "Host": "a"})
    assert not is_original({"Host": "a"})
    for name in ("User-Agent", "Origin", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"):
        assert not is_original({"X-Verb": "FOLLOW", name: "x"})


@pytest.mark.parametrize("wants", [wants_binary, wants_body])
def test_options_take_no_value(wants: object) -> None:
    """Which would mean something some day."""
    assert callable(wants)
    name = "binary" if wants is wants_binary else "live"
    assert (wants({name: ""}), wants({})) == (True, False)
    with pytest.raises(BadRequest):
        wants({name: "1"})


@given(
    st.lists(st.tuples(st.one_of(st.text(max_size=30).map(str.encode), st.binary(max_size=60)),
                       st.booleans()), max_size=8),
    st.integers(4, 40),
)  # fmt: skip
def test_every_byte_in_small_messages(blocks: list[tuple[bytes, bool]], limit: int) -> None:
    """In order, each below the limit; text is UTF-8, and what can be text is."""
    messages = Messages(limit, None)
    wire = b"".join(b"".join(messages.frames(data, last=last)) for data, last in blocks)
    wire += b"".join(messages.frames(b"", last=True))
    found = taken_apart(wire)
    assert b"".join(data for _, data in found) == b"".join(data for data, _ in blocks)
    for op, data in found:
        assert 0 < len(data) <= limit
        if op == Op.TEXT:
            data.decode()
        else:
            with pytest.raises(UnicodeDecodeError):
                data.decode()


@given(st.text(max_size=200), st.integers(4, 40), st.lists(st.integers(0, 800), max_size=5))
def test_text_stays_text(text: str, limit: int, cuts: list[int]) -> None:
    """Wherever it is cut."""
    data = text.encode()
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    messages = Messages(limit, None)
    wire = b""
    for start, stop in itertools.pairwise(places):
        wire += b"".join(messages.frames(data[start:stop], last=stop == len(data)))
    assert all(op == Op.TEXT for op, _ in taken_apart(wire))


def test_one_kind_for_all() -> None:
    """Binary for who asked for it, text for who knows nothing else; cut anywhere."""
    data = b"\xff" + "€".encode() * 3
    for op in (Op.BINARY, Op.TEXT):
        found = taken_apart(b"".join(Messages(4, op).frames(data, last=False)))
        assert found == [(op, data[:4]), (op, data[4:8]), (op, data[8:])]


@pytest.mark.parametrize(
    ("failure", "code"),
    [(None, 1000), (Draining("x"), 1001), (DiskFull("x"), 1013), (OverBudget("x", "disk"), 1013),
     (TooManyFiles("x"), 1013),
     (TooLarge("x"), 1009), (Unprocessable("x"), 1007), (BadRequest("x"), 1002),
     (Broken("x"), 1011), (StorageFailed("x"), 1011)],
)  # fmt: skip
def test_the_code_at_the_end(failure: FilepipeError | None, code: int) -> None:
    """Each says what to do: nothing, come again, go on elsewhere, something else."""
    found, reason = farewell(failure, 5)
    assert found == code
    assert reason == {1000: "", 1001: acknowledgement(5)}.get(code, "x")


def test_lost_by_a_drain() -> None:
    """A follower of whom we cut hears where to go on; reasons have a limit."""
    lost = Broken("the appender was lost")
    lost.__cause__ = Draining("server is shutting down")
    assert farewell(lost, 7) == (1001, '{"offset":7}')
    assert len(farewell(Broken("x" * 200), 0)[1]) == 123


@given(
    st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)),
    st.integers(4, 40),
    st.sampled_from([None, Op.TEXT, Op.BINARY]),
)
def test_joined_frames_are_the_same(data: bytes, limit: int, op: Op | None) -> None:
    """However they are made."""
    cut = len(data) // 3
    one, other = Messages(limit, op), Messages(limit, op)
    for block, last in ((data[:cut], False), (data[cut:], True)):
        assert one.joined(block, last=last) == b"".join(other.frames(block, last=last))


def test_records_become_messages() -> None:
    """Each its own; of a part the character that is open at its end is left for later."""
    messages = Messages(40, None)
    wire, size = messages.of_records([b"one", "zwei €".encode()], whole=True)
    assert (size, taken_apart(wire)) == (11, [(Op.TEXT, b"one"), (Op.TEXT, "zwei €".encode())])
    wire, size = messages.of_records(["zwei €".encode()[:-1]], whole=False)
    assert (size, taken_apart(wire)) == (5, [(Op.TEXT, b"zwei ")])
    wire, size = Messages(40, Op.BINARY).of_records([b"zwei \xe2"], whole=False)
    assert (size, taken_apart(wire)) == (6, [(Op.BINARY, b"zwei \xe2")])


def test_records_are_not_mixed_with_what_is_held() -> None:
    """They are made for others, who may be elsewhere."""
    messages = Messages(40, None)
    euro = "€".encode()
    assert b"".join(messages.frames(euro[:2], last=False)) == b""
    assert messages.holds
    assert messages.of_records([b"other"], whole=True) == (frame(Op.TEXT, b"other"), 5)
    assert b"".join(messages.frames(euro[2:], last=True)) == frame(Op.TEXT, euro)
    assert not messages.holds
