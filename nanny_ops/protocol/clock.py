"""Instants on the wire: UTC, ISO 8601, ending in ``Z``."""

from datetime import UTC, datetime, timedelta

from nanny_ops.errors import ValidationFailed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(UTC)


def stamp(instant: datetime) -> str:
    """Write an instant with milliseconds and ``Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_stamp(text: str) -> datetime:
    """Read an ISO 8601 instant; one without a zone is UTC. Raises ValidationFailed."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError) as wrong:
        raise ValidationFailed(f"'{text}' is not an ISO 8601 instant such as 2026-01-31T02:00:00Z.") from wrong


def micros(instant: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    gap = instant - _EPOCH
    return (gap.days * 86_400 + gap.seconds) * 1_000_000 + gap.microseconds


def from_micros(value: int) -> datetime:
    """Return the instant of :func:`micros`."""
    return _EPOCH + timedelta(microseconds=value)


def stamp_micros(value: int | None) -> str | None:
    """Write stored microseconds as :func:`stamp` does, or None."""
    return None if value is None else stamp(from_micros(value))
