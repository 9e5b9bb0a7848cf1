"""How measured values are written."""

import pytest

from nanny_ops.cli.unit import measured, percent, rate, share, size, trouble


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1000, "0.977 KiB"), (1 << 30, "1 GiB"), (1.5 * 2**40, "1.5 TiB")],
)
def test_bytes(value: float | None, text: str) -> None:
    assert size(value) == text


def test_parts_and_rates() -> None:
    assert (percent(0.256), percent(None), rate(1024), rate(None)) == ("26 %", "", "1 KiB/s", "")
    assert (share(512, 1024), share(512, None), share(None, 5)) == ("512 B (50 %)", "512 B", "")
    assert trouble({"stale": 1, "forbidden": 2}) == "2 forbidden, 1 stale"


def test_what_is_unknown_uses_nothing_that_could_be_told() -> None:
    row = {"usage": {"cpu": 0.5, "mem": 1, "maxmem": 2}, "state_since": "a", "unknown_since": "b"}
    assert measured({**row, "status": "running"})["cpu"] == "50 %"
    unknown = measured({**row, "status": "unknown"})
    assert (unknown["cpu"], unknown["memory"], unknown["since"]) == ("", "", "b")
