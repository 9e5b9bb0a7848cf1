"""What can be said of an rpm repository without rpm; the rest is proved by the managers that read it."""

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.lab.rpm_repository import inside


def test_a_root_without_the_programs_is_told(tmp_path):
    with pytest.raises(MachineError, match="'rpmbuild' failed in a fresh root"):
        inside(tmp_path, "rpmbuild", "-bb", "/tmp/ware.spec")
