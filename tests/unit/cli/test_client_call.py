"""What every noun's calls are written with."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.cli.client_call import Calls, segment


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_segment_stays_one_part_of_a_path_and_can_be_read_back(text: str) -> None:
    path = urlsplit(f"http://control.example/api/nodes/{segment(text)}/history").path
    assert path.count("/") == 4
    assert unquote(path.split("/")[3]) == text


def test_calls_alone_cannot_be_made() -> None:
    with pytest.raises(TypeError, match=r"_every.*_record.*_send"):
        Calls()  # type: ignore[abstract]
