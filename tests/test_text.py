"""Values as people write them."""

import pytest

from emulator.text import text_of


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.0, "5"), (0.1, "0.1"), (1.0000001, "1.0000001"), (1234567.0, "1234567"), (7, "7"), ("JSQ", "JSQ")],
)
def test_text_of_a_value_is_short_and_loses_nothing(value, text):
    assert text_of(value) == text
