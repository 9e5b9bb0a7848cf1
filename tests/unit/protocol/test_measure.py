"""The bounds that keep a report storable."""

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol import measure


@pytest.mark.parametrize(
    ("bound", "largest", "too_large"),
    [
        (measure.Word, "x" * 255, "x" * 256),
        (measure.Text, "x" * 4096, "x" * 4097),
        (measure.Amount, 2**63 - 1, 2**63),
        (measure.Count, 2**31, 2**31 + 1),
    ],
)
def test_bounds(bound: object, largest: object, too_large: object) -> None:
    check = TypeAdapter(bound).validate_python
    assert check(largest) == largest
    with pytest.raises(ValidationError):
        check(too_large)
