"""A snapshot says in its description which operation made it."""

import pytest

from nanny_ops.protocol.snapshot import description, maker_of


def test_the_maker_is_read_back_also_with_the_line_end_that_proxmox_adds() -> None:
    assert maker_of(description("patch-1f2e") + "\n") == "patch-1f2e"


@pytest.mark.parametrize("text", ["", "before the upgrade", "Made before operation ; x", "Made before operation a b;"])
def test_other_words_name_nobody(text: str) -> None:
    assert maker_of(text) == ""
