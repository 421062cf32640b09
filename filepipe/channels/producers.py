"""Producers whose records come again when an answer was lost: each record is in the log once.

A producer has a name, and an epoch, which grows when it begins anew. It numbers its records
from 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from filepipe.errors import BadRequest, SequenceGap, StaleEpoch, TooManyKeys
from filepipe.journal.frames import Mark

MOST = 10_000
"""Producers that one log remembers."""


class Producers:
    """How far each producer of a log has come, with what is on its way."""

    __slots__ = ("_marks",)

    def __init__(self, known: Mapping[str, Mark]) -> None:
        self._marks = dict(known)

    def is_new(self, mark: Mark) -> bool:
        """Whether the record is to be appended; False if it was before.

        Raises `StaleEpoch`, `SequenceGap`, `BadRequest`, `TooManyKeys`.
        """
        known = self._marks.get(mark.producer)
        if known is not None and mark.epoch < known.epoch:
            raise StaleEpoch(known.epoch)
        if known is not None and mark.epoch > known.epoch and mark.number:
            raise BadRequest("a new epoch of a producer begins with number 0")
        if known is None and len(self._marks) >= MOST:
            raise TooManyKeys("too many producers of one log")
        last = known.number if known is not None and known.epoch == mark.epoch else -1
        if mark.number > last + 1:
            raise SequenceGap(last + 1, mark.number)
        return mark.number > last

    def admit(self, mark: Mark) -> None:
        """Its record is on its way."""
        self._marks[mark.producer] = mark
