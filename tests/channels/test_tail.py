"""The end of a log in memory: what is there is right, and it is bounded and paid for."""

import sys

from filepipe.accountant import Budget
from filepipe.channels.tail import MOST, PIECES, SIZE, Tail


def filled(memory, *pieces, start=0):
    """A tail of these pieces."""
    tail = Tail(memory)
    for piece in pieces:
        tail.add(start, piece)
        start += len(piece)
    return tail


def test_it_gives_what_it_has():
    """From any offset, never more than was asked for, never across pieces."""
    tail = filled(Budget("memory", None), b"abc", b"defg", start=10)
    assert tail.read(9, 5) is None
    assert tail.read(10, 5) == b"abc"
    assert tail.read(11, 5) == b"bc"
    assert tail.read(13, 2) == b"de"
    assert tail.read(16, 2) == b"g"
    assert tail.read(17, 2) is None


def test_a_piece_is_shared():
    """Each reader that is at its beginning gets the same bytes, and not a copy."""
    piece = bytes(1000)
    tail = filled(Budget("memory", None), piece)
    assert tail.read(0, 1000) is piece


def test_it_is_bounded_and_paid_for():
    """In bytes and in pieces; in the end nothing is held."""
    memory = Budget("memory", None)
    tail = filled(memory, *[bytes(SIZE // 2)] * 5)
    assert memory.used == SIZE
    tail.clear()
    assert memory.used == 0
    tail = filled(memory, *[b"x"] * 3 * PIECES)
    assert memory.used == PIECES
    assert tail.read(2 * PIECES, 1) == b"x"
    assert tail.read(2 * PIECES - 1, 1) is None


def test_where_there_is_no_room_it_keeps_none():
    """And never has a gap."""
    memory = Budget("memory", 5)
    tail = filled(memory, b"abc", b"defg", b"hi")
    assert tail.read(0, 3) is None
    assert tail.read(7, 3) == b"hi"
    assert memory.used == 2


def test_where_a_record_ends():
    """Of those that were told, however many were written together; nothing is made up."""
    tail = Tail(Budget("memory", None))
    tail.add(10, b"abcdef", [12, 12, 16])
    tail.add(16, b"gh", [18])
    ends = {offset: tail.end_of_record(offset) for offset in (0, 9, 10, 11, 12, 15, 16, 17, 18)}
    assert ends == {0: None, 9: None, 10: 12, 11: 12, 12: 16, 15: 16, 16: 18, 17: 18, 18: None}


def test_a_portion():
    """Across pieces, up to the limit, from anywhere; by records only whole ones."""
    tail = Tail(Budget("memory", None))
    tail.add(10, b"abcdef", [12, 12, 16])
    tail.add(16, b"gh", [18])

    def portion(offset, limit, *, whole=False):
        return tail.portion(offset, limit, whole=whole)

    assert portion(10, 99) == [b"abcdef", b"gh"]
    assert portion(11, 6) == [b"bcdef", b"g"]
    assert portion(9, 99) is None
    assert portion(18, 99) is None
    assert portion(10, 99, whole=True) == [b"ab", b"cdef", b"gh"]
    assert portion(10, 5, whole=True) == [b"ab"]
    assert portion(13, 5, whole=True) == [b"def", b"gh"]
    assert portion(12, 3, whole=True) is None


def test_what_somebody_needs_is_kept():
    """Beyond what is usual, but not for ever."""
    memory = Budget("memory", None)
    tail = Tail(memory)
    tail.needed = SIZE
    for number in range(4):
        tail.add(number * SIZE, bytes(SIZE))
    assert tail.read(SIZE - 1, 1) is None
    assert tail.read(SIZE, 1) is not None
    for number in range(4, 40):
        tail.add(number * SIZE, bytes(SIZE))
    assert memory.used == MOST
    tail.needed = sys.maxsize
    tail.add(40 * SIZE, b"x")
    assert memory.used == 1
