"""The table of calls."""

import re

from nanny_ops.lab.pve.routes import ROUTES


def test_no_address_is_answered_by_two_calls() -> None:
    node = "status version certificates/info lxc qemu/1/config lxc/1/status/current tasks tasks/U/status tasks/U/log"
    samples = ["/version", "/cluster/status", "/cluster/resources", "/access/permissions", "/nodes"]
    samples += [f"/nodes/a/{rest}" for rest in node.split()]
    for sample in samples:
        assert sum(bool(re.fullmatch(route.pattern, sample)) for route in ROUTES if route.method == "GET") == 1, sample


def test_every_call_has_a_docstring_of_its_own() -> None:
    told = {route.function.__doc__ for route in ROUTES}
    assert None not in told
    assert len(told) == len({route.function for route in ROUTES})
