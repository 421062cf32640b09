"""What a webhook is sent, byte for byte, and when it is sent again."""

from __future__ import annotations

import base64
import dataclasses
import json

import pytest

from filepipe.protocols import webhook
from tests.records.test_outbox import EVENT


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """An example of its reference libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = webhook.signature(
        secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_headers_belong_together() -> None:
    """The signature is over the id and the time that are beside it."""
    headers = webhook.headers(b"s" * 32, "msg_1", 1700000000, b"{}")
    assert headers["Webhook-Id"] == "msg_1"
    assert headers["Webhook-Timestamp"] == "1700000000"
    expected = webhook.signature(b"s" * 32, "msg_1", 1700000000, b"{}")
    assert headers["Webhook-Signature"] == expected
    others = [(b"t" * 32, "msg_1", 1), (b"s" * 32, "msg_2", 1), (b"s" * 32, "msg_1", 2)]
    assert expected not in [webhook.signature(*other, b"{}") for other in others]


def test_a_body_is_ascii_json() -> None:
    """Of names with any characters."""
    body = webhook.body(dataclasses.replace(EVENT, folder="ü/v"))
    assert body.isascii()
    fields = json.loads(body)
    assert (fields["path"], fields["filename"]) == ("ü/v/ä'b", "ä'b")
    assert (fields["completed_at"], fields["failed_at"]) == ("1970-01-01T00:00:10Z", None)
    failed = json.loads(
        webhook.body(dataclasses.replace(EVENT, kind="upload.failed", error="why", final_path=None))
    )
    assert (failed["completed_at"], failed["failed_at"]) == (None, "1970-01-01T00:00:10Z")
    assert failed["error"] == "why"


def test_the_delays_grow_and_end() -> None:
    """From a second to hours, a fifth around each; then no more."""
    exact = [webhook.delay(failed, lambda: 0.5) for failed in range(1, 9)]
    assert exact == [1, 5, 30, 120, 600, 3600, 21600, None]
    assert webhook.delay(2, lambda: 0.0) == pytest.approx(4)
    assert webhook.delay(2, lambda: 1.0) == pytest.approx(6)
