"""tee(2), which Python does not offer: one pipe's bytes for another pipe, without copying them."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable


@functools.cache
def _tee() -> Callable[[int, int, int, int], int]:
    # a function of CDLL runs without the GIL
    function = ctypes.CDLL(None, use_errno=True).tee
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
    function.restype = ctypes.c_ssize_t
    return function


def tee(reading: int, writing: int, size: int) -> int:
    """Give the pipe `writing` what `reading` begins with, and leave it there as well.

    Returns how many bytes, at most `size`; fewer where `writing` has no room. Never waits: raises
    `BlockingIOError` when nothing can be given now, another `OSError` when it failed.
    """
    given = _tee()(reading, writing, size, os.SPLICE_F_NONBLOCK)
    if given < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return given
