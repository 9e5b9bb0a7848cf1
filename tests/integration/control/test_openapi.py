"""The OpenAPI document is true: whatever is sent, no 5xx, and no status that the document does not name."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance

from tests.integration.control.conftest import Server, enrol_by, make_server, sign_in

#: Endless streams: schemathesis would wait for their end. tests/integration/control/test_realtime_api.py has them.
STREAMS = ["/api/realtime"]
CHECKS = [not_a_server_error, status_code_conformance]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A control plane of its own, since what is sent revokes agents and signs people out."""
    server = make_server(tmp_path_factory.mktemp("fuzzed") / "data")
    server.start()
    yield server
    said = server.log()
    server.stop()
    assert "unexpected error" not in said


@pytest.fixture(scope="module")
def tokens(fuzzed: Server) -> dict[str, str]:
    """One token of each kind of principal."""
    with sign_in(fuzzed, "operator") as operator:
        agent = enrol_by(fuzzed, operator, "fuzzed")
        agent.client.close()
        return {"person": operator.headers["Authorization"], "agent": agent.client.headers["Authorization"]}


@pytest.fixture(scope="module")
def api(fuzzed: Server) -> Any:
    """The document, without the streams and without signing out (which would end the test's own token)."""
    schema = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")
    return schema.exclude(path=[*STREAMS, "/api/auth/logout"], method=None).exclude(path_regex="/revoke$")


schema = schemathesis.pytest.from_fixture("api")


FUZZ = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def send(case: Any, token: str | None) -> None:
    case.call_and_validate(headers={"Authorization": token} if token else {}, checks=CHECKS, timeout=20)


@schema.parametrize()
@FUZZ
@pytest.mark.rows("G0-ER-01")
def test_a_persons_requests_are_answered_as_documented(case: Any, tokens: dict[str, str]) -> None:
    send(case, tokens["person"])


@schema.parametrize()
@FUZZ
@pytest.mark.rows("G0-ER-01")
def test_an_agents_requests_are_answered_as_documented(case: Any, tokens: dict[str, str]) -> None:
    send(case, tokens["agent"])


@schema.parametrize()
@FUZZ
@pytest.mark.rows("G0-ER-01")
def test_nobodys_requests_are_answered_as_documented(case: Any, tokens: dict[str, str]) -> None:
    del tokens  # only made so that all three tests meet the same store
    send(case, None)


def test_every_operation_has_a_summary_and_documents_its_refusals(fuzzed: Server) -> None:
    document = httpx.get(f"{fuzzed.url}/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            assert "503" in operation["responses"], (method, path)
            if operation.get("security"):
                assert {"401", "403"} <= operation["responses"].keys(), (method, path)
