"""Words near a candidate: which stand there, and which only a mask says."""

import pytest

from collectors.redact.context import Words


@pytest.mark.parametrize(
    ("text", "stands"),
    [("call [phone: 5", True), ("call [PHONE] 5", False), ("[PHONE] phone 5", True), ("[DATE_OF_PHONE] 5", False)],
)
def test_what_a_mask_says_is_no_context(text, stands):
    """A text that was treated before is treated as it was: its masks speak of nothing."""
    assert Words(("phone",)).before(text, text.rindex("5")) is stands
