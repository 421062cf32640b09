"""Producers: which record is new, which was before, and which cannot be told."""

import pytest

from filepipe.channels import producers
from filepipe.channels.producers import Producers
from filepipe.errors import BadRequest, SequenceGap, StaleEpoch, TooManyKeys
from filepipe.journal.frames import Mark


@pytest.fixture
def known():
    """One producer that is in epoch 3 at record 5."""
    return Producers({"a": Mark("a", 3, 5)})


@pytest.mark.parametrize(
    ("mark", "new"),
    [
        (Mark("a", 3, 6), True),
        (Mark("a", 3, 5), False),
        (Mark("a", 3, 0), False),
        (Mark("a", 4, 0), True),
        (Mark("b", 0, 0), True),
        (Mark("b", 9, 0), True),
    ],
)
def test_new_or_not(known, mark, new):
    """The next one is, and the first one of an epoch."""
    assert known.is_new(mark) is new


@pytest.mark.parametrize(
    ("mark", "error"),
    [
        (Mark("a", 3, 7), SequenceGap),
        (Mark("b", 0, 1), SequenceGap),
        (Mark("a", 2, 6), StaleEpoch),
        (Mark("a", 4, 6), BadRequest),
    ],
)
def test_what_cannot_be(known, mark, error):
    """A gap, an epoch that is over, an epoch that begins in the middle."""
    with pytest.raises(error):
        known.is_new(mark)


def test_what_is_on_its_way_counts(known):
    """Before it is acknowledged."""
    known.admit(Mark("a", 3, 6))
    assert not known.is_new(Mark("a", 3, 6))
    assert known.is_new(Mark("a", 3, 7))


def test_there_are_not_more_than_so_many(known, monkeypatch):
    """Those that are known go on."""
    monkeypatch.setattr(producers, "MOST", 1)
    with pytest.raises(TooManyKeys):
        known.is_new(Mark("b", 0, 0))
    assert known.is_new(Mark("a", 3, 6))
