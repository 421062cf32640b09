"""JSON on the wire and as lines: what is one value, what is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadRequest
from filepipe.protocols.stream_values import array_of, lines_of

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b'{"a": 1}', b'{"a": 1}\n'),
        (b" [1, 2] ", b"1\n2\n"),
        (b"[[1,2],[3,4]]", b"[1,2]\n[3,4]\n"),
        (b"[[[1]]]", b"[[1]]\n"),
        (b"[]", b""),
        (b"[[]]", b"[]\n"),
        (b"null", b"null\n"),
        (b'{\n "a":\r\n 1}', b'{  "a":   1}\n'),
        (b'"a\\nb"', b'"a\\nb"\n'),
        (b"1e999", b"1e999\n"),
        (b"9" * 5000, b"9" * 5000 + b"\n"),
        (b'{"a":1,"a":2}', b'{"a":1,"a":2}\n'),
    ],
)
def test_values_are_kept_as_they_were_written(body, lines):
    """One a line; of an array its elements."""
    assert lines_of(body) == lines


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"[1", b"[1,]", b"[,1]", b"[1 2]", b"1 2", b"[] []", b"[1]]", b"nul",
        b"NaN", b"[Infinity]", b"{'a': 1}", b'"\xff"', b'"a\nb"', b"\xef\xbb\xbf1", b"01",
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_json(body):
    """Each is refused with one sentence."""
    with pytest.raises(BadRequest, match="the body is"):
        lines_of(body)


@given(st.lists(VALUES), st.sampled_from([None, 2]))
def test_what_goes_in_comes_out(values, indent):
    """However it was written."""
    lines = lines_of(json.dumps(values, indent=indent).encode())
    assert lines.count(b"\n") == len(values)
    assert json.loads(array_of(lines)) == values


@pytest.mark.parametrize(
    ("lines", "array"),
    [
        (b"", b"[]"),
        (b"1\n\n \n2\n", b"[1,2]"),
        (b"1\r\n2", b"[1,2]"),
        (b'plain "text"\n1\n', b'["plain \\"text\\"",1]'),
        (b"1,2\n", b'["1,2"]'),
        (b'"a\nb"\n', b'["\\"a","b\\""]'),
        (b"\xff\n", '["\ufffd"]'.encode()),
        (b"[" * 100_000, None),
    ],
)
def test_lines_that_others_appended(lines, array):
    """What is no JSON is shown as a string; the whole is JSON in any case."""
    found = array_of(lines)
    json.loads(found)
    assert array is None or found == array
