"""Errors of machines are caught by family: what Proxmox VE did, what the spool did."""

import pytest

from nanny_ops import errors


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (errors.ProxmoxForbidden, errors.ProxmoxError),
        (errors.ProxmoxUnreachable, errors.ProxmoxError),
        (errors.DiskFull, errors.SpoolError),
        (errors.ProgramTimeout, errors.MachineError),
    ],
)
def test_each_belongs_to_its_family(error: type[errors.NannyError], family: type[errors.NannyError]) -> None:
    with pytest.raises(family):
        raise error
    assert issubclass(family, errors.MachineError)
    assert error.code != family.code
