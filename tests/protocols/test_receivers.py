"""`?n=`: a plain number within its limits, and nothing that merely resembles one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.protocols.receivers import BadNumber, wanted_receivers


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("2", 2), ("64", 64), ("007", 7)])
def test_a_number(text, number):
    """Plain digits, up to the limit."""
    assert wanted_receivers(text, 64) == number


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "1.5", "2x", "+1", " 1", "1 ", "1\n", "0x1", "1e1", "1_0", "--1", "-", "٣", "²",
     "1" * 10, "1" * 5000],
)  # fmt: skip
def test_what_is_no_number(text):
    """It has no value, so that a front may tell the two refusals apart."""
    with pytest.raises(BadNumber, match=r"^n is not a whole number from 1 to 64$") as refused:
        wanted_receivers(text, 64)
    assert refused.value.value is None


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("-1", -1), ("65", 65), ("999999999", 10**9 - 1)]
)
def test_a_number_outside_the_limits(text, value):
    """It is a number all the same, which the refusal carries."""
    with pytest.raises(BadNumber, match=r"^n is not a whole number from 1 to 64$") as refused:
        wanted_receivers(text, 64)
    assert refused.value.value == value


@given(st.text(max_size=12), st.integers(1, 10**6))
def test_any_text(text, most):
    """Whatever it is, a number within the limits comes of it, or a refusal."""
    try:
        number = wanted_receivers(text, most)
    except BadNumber:
        assert (
            not text.isdecimal()
            or not text.isascii()
            or not 1 <= int(text) <= most
            or len(text) > 9
        )
    else:
        assert 1 <= number <= most
        assert number == int(text)
