"""The OpenAPI document is true: whatever is sent, no 5xx, and no status that the document does not name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance

from tests.integration.control import snapshots
from tests.integration.control.conftest import Server, enrol_by, make_server, sign_in
from tests.integration.control.old_agent import enrol_old

#: Streams: schemathesis would wait for their end. test_realtime_api.py and others have them.
WATCHED = [f"/api/{noun}/stream" for noun in ("patches/{operation_id}", "patch-batches/{batch_id}")]
WATCHED += [f"/api/{noun}/stream" for noun in ("reboots/{reboot_id}", "updates/{update_id}")]
STREAMS = ["/api/realtime", "/api/proxmox/events/stream", "/api/playbook-runs/{run_id}/stream", *WATCHED]
#: These end the tokens with which the test goes on.
LEFT_OUT = [*STREAMS, "/api/auth/logout", "/api/agents/{agent_id}/revoke"]
#: Requests per address of a person and of an agent; more find no more, the minutes are better spent elsewhere.
EXAMPLES = {"person": 25, "agent": 12, "nobody": 25}
#: Requests of nobody to an address that asks for a token: each ends at the gate.
AT_THE_GATE = 3
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


@dataclass(frozen=True)
class Known:
    """Tokens of each kind of principal, and ids of things that are there."""

    tokens: dict[str, str]
    ids: dict[str, str]


@pytest.fixture(scope="module")
def known(fuzzed: Server) -> Known:
    """Fill the store with one thing of each kind."""
    with sign_in(fuzzed, "operator") as operator:
        agent = enrol_by(fuzzed, operator, "fuzzed", platform="debian", platform_family="debian")
        agent.client.close()
        order = operator.post("/api/patches", json={"agent_id": agent.id, "mode": "dry-run"}).json()
        question = {"agent_id": agent.id, "issue": "why is it slow at night"}
        ids = {
            "agent_id": agent.id,
            "operation_id": order["id"],
            "script_id": order["script_id"],
            "investigation_id": operator.post("/api/investigations", json=question).json()["id"],
        }
        tokens = {"person": operator.headers["Authorization"], "agent": agent.client.headers["Authorization"]}
        old = enrol_old(fuzzed, operator)
        old.client.close()
        ids |= snapshots.make(fuzzed, "team-default", agent.id)
        ids["reboot_id"] = operator.post("/api/reboots", json={"agent_id": old.id}).json()["id"]
        return Known(tokens, ids)


@pytest.mark.timeout(900)
@pytest.mark.rows("G0-ER-01")
@pytest.mark.parametrize("who", ["person", "agent", "nobody"])
def test_whatever_is_sent_is_answered_as_documented(fuzzed: Server, known: Known, who: str) -> None:
    schema = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json").exclude(path=LEFT_OUT)
    headers = {"Authorization": known.tokens[who]} if who in known.tokens else {}
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 20
    for operation in operations:
        gated = who == "nobody" and operation.definition.raw.get("security")
        fuzz(operation, headers, known.ids, AT_THE_GATE if gated else EXAMPLES[who])


def fuzz(operation: Any, headers: dict[str, str], ids: dict[str, str], examples: int) -> None:
    """Send good and bad requests; every other one names things that are there."""

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        case=operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE),
        real=st.booleans(),
    )
    def send(case: Any, real: bool) -> None:
        if real:
            case.path_parameters = {name: ids.get(name, value) for name, value in case.path_parameters.items()}
            if isinstance(case.body, dict) and "agent_id" in case.body:
                case.body["agent_id"] = ids["agent_id"]
            case.headers.pop("Authorization", None)
        case.call_and_validate(headers=headers, checks=CHECKS, timeout=20)

    send()


def test_every_operation_has_a_summary_and_documents_its_refusals(fuzzed: Server) -> None:
    document = httpx.get(f"{fuzzed.url}/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            assert "503" in operation["responses"], (method, path)
            if operation.get("security"):
                assert {"401", "403"} <= operation["responses"].keys(), (method, path)
