"""Instants travel as UTC with milliseconds and come back as they were."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.clock import now, parse_stamp, stamp


def test_a_stamp_is_utc_and_ends_in_z() -> None:
    summer = timezone(timedelta(hours=2))
    assert stamp(datetime(2026, 7, 1, 2, 30, 0, 123_999, tzinfo=summer)) == "2026-07-01T00:30:00.123Z"


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_stamp_reads_back_to_the_millisecond(instant: datetime) -> None:
    instant = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    assert parse_stamp(stamp(instant)) == instant


@pytest.mark.parametrize("text", ["2026-01-31T02:00:00Z", "2026-01-31T02:00:00", "2026-01-31T04:00:00+02:00"])
def test_a_zone_is_honoured_and_utc_without_one(text: str) -> None:
    assert parse_stamp(text) == datetime(2026, 1, 31, 2, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValidationFailed, match="not an ISO 8601 instant"):
        parse_stamp(text)


def test_now_knows_its_zone() -> None:
    assert now().utcoffset() == timedelta(0)
