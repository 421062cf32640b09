"""Delivery: what a receiver's kernel has is delivered, what waits in ours is not."""

from __future__ import annotations

from filepipe.web.delivery import CHECKED


def test_small_bodies_are_not_asked_for():
    """The limit that http.md names."""
    assert CHECKED == 64 * 1024
