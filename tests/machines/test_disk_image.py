"""The search of raw blocks finds what stood in a file for a millisecond, and nothing that was never written."""

from pathlib import Path

import pytest

from tests.machines.conftest import need_machines
from tests.machines.disk_image import DiskImage

pytestmark = [pytest.mark.machine, pytest.mark.one_debian, pytest.mark.timeout(300)]
WRITTEN, NEVER = b"nsk_" + b"w" * 43, b"nsk_" + b"n" * 43


def test_what_is_deleted_at_once_is_found(tmp_path: Path) -> None:
    need_machines()
    with DiskImage(tmp_path / "disk", size=256, journal=64) as image:
        brief = image.place / "brief"
        brief.write_bytes(WRITTEN)
        brief.unlink()
        for _ in range(50):  # into the blocks that are free now
            brief.write_bytes(b"x" * 4096)
            brief.unlink()
        assert image.found({WRITTEN, NEVER}) == {WRITTEN}
