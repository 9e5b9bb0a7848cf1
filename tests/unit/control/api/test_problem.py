"""One error class, two renderings, and a sentence that names the first wrong field."""

from typing import Any

import pytest
from starlette.requests import Request

from nanny_ops.control.api.problem import from_validation, is_agent_plane
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.errors import BadRequest, UnknownAction, ValidationFailed


def request(path: str, **state: Any) -> Request:
    made = Request({"type": "http", "path": path, "headers": [], "query_string": b"", "method": "GET"})
    for key, value in state.items():
        setattr(made.state, key, value)
    return made


@pytest.mark.parametrize(
    ("path", "flat"),
    [
        ("/api/agent", True),
        ("/api/agent/agent-1", True),
        ("/api/auth", True),
        ("/api/auth/login", False),
        ("/api/agents", False),
        ("/api/realtime", True),
        ("/api/proxmox/lxc", True),
        ("/api/proxmox/guests", False),
        ("/api/patches", False),
        ("/api/patches/x/results", True),
        ("/api/patches/x/script", True),
        ("/api/investigations", False),
        ("/nothing", False),
    ],
)
def test_the_address_decides_the_shape(path: str, flat: bool) -> None:
    assert is_agent_plane(request(path)) is flat


def test_an_agent_always_reads_flat_errors() -> None:
    assert is_agent_plane(request("/api/investigations", principal=HostAgent("agent-1", "team", "pve1")))


def test_the_first_wrong_field_is_named() -> None:
    errors = [{"type": "missing", "loc": ("body", "register", "device_code"), "msg": "Field required"}]
    error = from_validation(errors)
    assert isinstance(error, ValidationFailed)
    assert error.message == "register.device_code: Field required"
    assert isinstance(from_validation([{"type": "json_invalid", "loc": (), "msg": "x"}]), BadRequest)
    assert isinstance(from_validation([{"type": "union_tag_invalid", "loc": (), "msg": "x"}]), UnknownAction)
