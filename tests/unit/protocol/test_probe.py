"""Probes as they travel: bounds hold on the control plane's edge."""

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.probe import Probe

EDGE = TypeAdapter(Probe)


def test_a_probe_needs_its_kind_alone() -> None:
    probe = EDGE.validate_python({"kind": "services"})
    assert (probe.kind, probe.timeout_seconds, probe.path) == ("services", 10, "/")


@pytest.mark.parametrize("wrong", [{"kind": "dance"}, {"kind": "tcp", "port": 70000}, {"kind": "load", "most": -1}])
def test_what_is_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EDGE.validate_python(wrong)
