"""What a request brings with it."""

import pytest

from nanny_ops.lab.pve.arrival import FORM, parameters
from nanny_ops.lab.pve.refusal import Unreadable


def test_a_name_that_comes_twice_is_a_list() -> None:
    assert parameters("a=1", FORM, b"command=sh&command=-c&command=id", "8.4") == {
        "a": "1",
        "command": ["sh", "-c", "id"],
    }


def test_json_becomes_text() -> None:
    body = b'{"a": true, "b": 5, "c": ["x", 1], "d": null}'
    assert parameters("", "application/json", body, "8.4") == {"a": "1", "b": "5", "c": ["x", "1"]}


@pytest.mark.rows("PVE-05")
@pytest.mark.parametrize(
    ("kind", "body", "status", "beginning"),
    [
        ("application/json", b"{bad json", 500, '\'"\' expected, at character offset 1 (before "bad json")'),
        ("application/json", b"nonsense", 500, "malformed JSON string"),
        ("text/plain", b"x=1", 506, "upload 'Content-Type 'text/plain' not implemented"),
    ],
)
def test_what_cannot_be_read(kind: str, body: bytes, status: int, beginning: str) -> None:
    with pytest.raises(Unreadable) as wrong:
        parameters("", kind, body, "9.2")
    assert wrong.value.status == status
    assert wrong.value.text.startswith(beginning)
