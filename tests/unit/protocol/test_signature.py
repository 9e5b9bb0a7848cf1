"""What is signed is unambiguous, and base64 is written in one way only."""

import base64

import pytest

from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol import signature as words

SHA = "ab" * 32


def test_each_purpose_and_each_field_changes_what_is_signed() -> None:
    key = bytes(32)
    messages = {
        words.script_message("apt-1", SHA),
        words.script_message("apt-2", SHA),
        words.script_message("apt-1", "cd" * 32),
        words.key_message(key, "offline"),
        words.key_message(key, "control-plane"),
        words.key_message(b"\1" * 32, "offline"),
    }
    assert len(messages) == 6
    assert words.script_message("apt-1", SHA) == b"nanny-ops script v1\napt-1\n" + SHA.encode() + b"\n"
    assert words.key_message(key, "offline") == b"nanny-ops signing key v1\noffline\n" + b"A" * 43 + b"=\n"


@pytest.mark.parametrize(
    ("script_id", "sha256"), [("a\nb", SHA), ("", SHA), ("a" * 129, SHA), ("apt", SHA.upper()), ("apt", SHA + "\n")]
)
def test_nothing_can_be_smuggled_into_a_message(script_id: str, sha256: str) -> None:
    with pytest.raises(ValidationFailed):
        words.script_message(script_id, sha256)


def test_a_key_has_one_name() -> None:
    assert words.key_id(bytes(32)) == "66687aadf862bd776c8fc18b8e9f8e20"


@pytest.mark.parametrize("text", ["", "A" * 44, "A" * 43, "A" * 42 + "B=", " " + "A" * 43 + "=", "é" * 44])
def test_only_the_one_way_to_write_a_key_is_taken(text: str) -> None:
    with pytest.raises(ValidationFailed) as wrong:
        words.decode(text, 32, "public_key")
    assert wrong.value.details["field"] == "public_key"


def test_a_key_is_read_as_it_was_written() -> None:
    raw = bytes(range(32))
    assert words.decode(words.encode(raw), 32, "public_key") == raw
    assert words.encode(raw) == base64.b64encode(raw).decode()
