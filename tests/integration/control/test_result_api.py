"""Results over real HTTP: streamed, idempotent, bounded, and nothing half-written."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.control.store import operation as store
from nanny_ops.control.store import retention
from nanny_ops.control.store.output import Outputs
from nanny_ops.control.store.tables import packages
from nanny_ops.protocol.patch import TRUNCATION_MARK
from tests.integration.control.conftest import Agent, Server, enrol_by, make_server, sign_in
from tests.integration.control.listener import deliver, order

Enrol = Callable[..., Agent]
NGINX = {
    "name": "nginx",
    "version": "1.18.0-6ubuntu14.3",
    "old_version": "1.18.0-6ubuntu14.2",
    "action": "upgrade",
}


@pytest.fixture
def agent(enrol: Enrol) -> Agent:
    """An agent on Debian."""
    return enrol(platform="debian", platform_family="debian")


@pytest.mark.rows("G0-PT-08", "G0-ER-01")
def test_the_guides_upload_ends_the_order(server: Server, operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent, lxc_id="lxc-100")
    answer = deliver(
        agent,
        placed["id"],
        b"Reading package lists...\n",
        b"(no errors)\n",
        lxc_id="lxc-100",
        timestamp="2025-12-30T10:35:00Z",
        package_list=[NGINX],
    )
    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "message": "Patch results uploaded successfully"},
    )
    seen = operator.get(f"/api/patches/{placed['id']}").json()
    assert (seen["status"], seen["outcome"], seen["duration"]) == ("completed", "ok", 15234)
    assert seen["package_list"] == [{**NGINX, "security": None, "repository": "", "size": None}]
    assert operator.get(f"/api/patches/{placed['id']}/stdout").content == b"Reading package lists...\n"
    assert operator.get(f"/api/patches/{placed['id']}/stderr").content == b"(no errors)\n"
    mine = packages.select().where(packages.c.agent_id == agent.id)
    known = server.in_store(lambda tx: [row.name for row in tx.connection.execute(mine)])
    assert known == ["nginx"]


@pytest.mark.rows("G0-PT-08")
@pytest.mark.parametrize(
    ("told", "status", "outcome"),
    [
        ({"success": True}, "completed", "nothing_to_do"),
        ({"success": True, "outcome": "script_failed"}, "failed", "script_failed"),
        ({"success": False}, "failed", "script_failed"),
        ({"success": False, "outcome": "ok"}, "failed", "script_failed"),
        (
            {"success": False, "outcome": "target_unknown", "reason": "There is no guest 100."},
            "failed",
            "target_unknown",
        ),
        ({"success": False, "outcome": "moonstruck"}, "failed", "script_failed"),
        ({"success": False, "outcome": "cancelled"}, "cancelled", "cancelled"),
    ],
)
def test_what_a_result_means(
    operator: httpx.Client, agent: Agent, told: dict[str, Any], status: str, outcome: str
) -> None:
    placed = order(operator, agent)
    assert deliver(agent, placed["id"], exit_code=100, **told).status_code == 200
    seen = operator.get(f"/api/patches/{placed['id']}").json()
    assert (seen["status"], seen["outcome"], seen["exit_code"]) == (status, outcome, 100)
    if status == "failed":
        assert seen["reason"]


@pytest.mark.rows("G0-PT-08")
def test_metadata_may_be_a_file_too(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)
    metadata = json.dumps({"operation_id": placed["id"], "success": True})
    files = {"metadata": ("metadata.json", metadata, "application/json")}
    assert agent.client.post(f"/api/patches/{placed['id']}/results", files=files).status_code == 200


@pytest.mark.rows("G0-PT-09")
def test_the_same_result_counts_once(server: Server, operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)
    answers = [
        deliver(agent, placed["id"], package_list=[NGINX], timestamp=f"2026-01-01T00:00:0{n}Z") for n in range(3)
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert len(operator.get(f"/api/patches/{placed['id']}").json()["package_list"]) == 1
    assert len(list((server.data_dir / "results" / placed["id"]).iterdir())) == 1


@pytest.mark.rows("G0-PT-09")
def test_the_first_of_two_results_stands(server: Server, operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)
    deliver(agent, placed["id"], b"first")
    second = deliver(agent, placed["id"], b"second", success=False)
    assert second.status_code == 200
    assert "stands" in second.json()["message"]
    seen = operator.get(f"/api/patches/{placed['id']}").json()
    assert (seen["status"], seen["outcome"]) == ("completed", "nothing_to_do")
    assert operator.get(f"/api/patches/{placed['id']}/stdout").content == b"first"
    assert len(list((server.data_dir / "results" / placed["id"]).iterdir())) == 1
    assert "second result" in server.log()


def test_a_late_result_tells_what_really_happened(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)
    operator.post(f"/api/patches/{placed['id']}/cancel").raise_for_status()
    assert deliver(agent, placed["id"], package_list=[NGINX]).status_code == 200
    seen = operator.get(f"/api/patches/{placed['id']}").json()
    assert (seen["status"], seen["outcome"]) == ("completed", "ok")
    assert [(past["status"], past["outcome"]) for past in seen["history"]] == [("cancelled", "cancelled")]
    assert "operator@example.com" in seen["history"][0]["reason"]


def test_a_cancelled_run_stays_cancelled_and_keeps_its_output(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)
    operator.post(f"/api/patches/{placed['id']}/cancel").raise_for_status()
    assert deliver(agent, placed["id"], b"half way", success=False, outcome="cancelled").status_code == 200
    assert operator.get(f"/api/patches/{placed['id']}").json()["status"] == "cancelled"
    assert operator.get(f"/api/patches/{placed['id']}/stdout").content == b"half way"


@pytest.mark.rows("G0-PT-09", "G0-ER-01", "G0-ER-02")
def test_a_result_for_something_else_is_refused(operator: httpx.Client, enrol: Enrol, agent: Agent) -> None:
    placed = order(operator, agent)
    wrong = deliver(agent, placed["id"], operation_id="patch-other")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "operation_mismatch")
    assert wrong.json().keys() >= {"error", "error_description", "timestamp"}
    foreign = deliver(enrol(), placed["id"])
    assert (foreign.status_code, foreign.json()["error"]) == (403, "forbidden")
    unknown = deliver(agent, "patch-none")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")
    asked = {"agent_id": agent.id, "issue": "Something is not right"}
    investigation = operator.post("/api/investigations", json=asked).json()
    assert deliver(agent, investigation["id"]).status_code == 404
    assert operator.get(f"/api/patches/{placed['id']}").json()["status"] == "pending"


@pytest.mark.rows("R4")
@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ("{", "metadata"),
        ('{"operation_id": "x"}', "metadata.success"),
        ('{"operation_id": "x", "success": true, "duration": -1}', "metadata.duration"),
        ('{"operation_id": "x", "success": true, "package_list": [{"version": "1"}]}', "metadata.package_list.0.name"),
    ],
)
def test_wrong_metadata_is_named(operator: httpx.Client, agent: Agent, metadata: str, named: str) -> None:
    placed = order(operator, agent)
    files = {"metadata": (None, metadata, "application/json"), "stdout": ("o", b"x")}
    answer = agent.client.post(f"/api/patches/{placed['id']}/results", files=files)
    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert answer.json()["details"]["field"] == named


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{}'),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="stdout"\r\n\r\n\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            2 * b'--x\r\nContent-Disposition: form-data; name="stdout"\r\n\r\n1\r\n' + b"--x--\r\n",
        ),
        ("multipart/form-data; boundary=x", b"--x\r\nX-Long: " + b"y" * 20_000 + b"\r\n\r\n\r\n--x--\r\n"),
    ],
    ids=["json", "no boundary", "nonsense", "empty", "cut", "no metadata", "twice", "long header"],
)
def test_a_form_that_is_none_is_400(
    server: Server, operator: httpx.Client, agent: Agent, kind: str, body: bytes
) -> None:
    placed = order(operator, agent)
    path = f"/api/patches/{placed['id']}/results"
    answer = agent.client.post(path, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400, answer.text
    assert not list((server.data_dir / "results" / placed["id"]).iterdir())


def test_an_upload_that_breaks_off_leaves_nothing(server: Server, operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)
    with socket.create_connection(("127.0.0.1", server.port)) as half:
        head = f"POST /api/patches/{placed['id']}/results HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n"
        head += f"Authorization: Bearer {agent.tokens['access_token']}\r\n"
        head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        half.sendall(head.encode() + b'--x\r\nContent-Disposition: form-data; name="stdout"\r\n\r\nabc')
    assert deliver(agent, placed["id"], b"whole").status_code == 200
    assert operator.get(f"/api/patches/{placed['id']}/stdout").content == b"whole"
    assert "unexpected error" not in server.log()


def test_an_output_that_was_dropped_for_its_age_is_said_to_be(
    server: Server, operator: httpx.Client, agent: Agent
) -> None:
    placed = order(operator, agent)
    assert deliver(agent, placed["id"], b"whole").status_code == 200
    Outputs(server.data_dir).forget(placed["id"])
    server.in_store(lambda tx: retention.note_outputs_dropped(tx, [placed["id"]], 1_000_000))
    answer = operator.get(f"/api/patches/{placed['id']}/stdout")
    assert (answer.status_code, "was deleted on 1970-01-01" in answer.text) == (404, True)
    assert operator.get(f"/api/patches/{placed['id']}").json()["outputs_dropped_at"].startswith("1970-01-01")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Client, Agent]]:
    """A control plane that takes 64 KiB of results, with an operator and an agent."""
    server = make_server(tmp_path_factory.mktemp("small") / "data", NANNY_RESULT_CAP_BYTES="65536")
    server.start()
    with sign_in(server, "operator") as operator:
        agent = enrol_by(server, operator, "pve1", platform="debian")
        yield server, operator, agent
        agent.client.close()
    server.stop()


@pytest.mark.rows("G0-PT-09")
@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_is_413_and_leaves_nothing(small: tuple[Server, httpx.Client, Agent], chunked: bool) -> None:
    server, operator, agent = small
    placed = order(operator, agent)
    body = b'--x\r\nContent-Disposition: form-data; name="stdout"; filename="o"\r\n\r\n' + b"y" * 200_000
    pieces = (body[start : start + 8192] for start in range(0, len(body), 8192))
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    path = f"/api/patches/{placed['id']}/results"
    answer = agent.client.post(path, content=pieces if chunked else body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert not list((server.data_dir / "results" / placed["id"]).iterdir())
    assert deliver(agent, placed["id"], b"y" * 1000).status_code == 200


@pytest.mark.rows("G0-ER-01")
def test_without_room_it_is_503_and_later_200(small: tuple[Server, httpx.Client, Agent]) -> None:
    server, operator, agent = small
    placed = order(operator, agent)
    results = server.data_dir / "results"
    aside = results.rename(results.with_name("aside")) if results.exists() else None
    results.write_text("no room here")
    refused = deliver(agent, placed["id"])
    assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert operator.get(f"/api/patches/{placed['id']}").json()["status"] == "pending"
    results.unlink()
    if aside is not None:
        aside.rename(results)
    assert deliver(agent, placed["id"]).status_code == 200


@pytest.mark.rows("G0-ER-01", "G0-ER-02")
def test_what_breaks_inside_is_500_and_tells_no_secrets(small: tuple[Server, httpx.Client, Agent]) -> None:
    server, operator, agent = small
    placed = order(operator, agent)
    server.in_store(lambda tx: _break(tx, placed["id"]))
    answer = agent.client.get(f"/api/agent/{agent.id}/operations")
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert answer.json().keys() >= {"error", "error_description", "timestamp"}
    assert "KeyError" not in answer.text
    server.in_store(lambda tx: _mend(tx, placed["id"]))


def _break(tx: Any, operation_id: str) -> None:
    store.change(tx, operation_id, request={})


def _mend(tx: Any, operation_id: str) -> None:
    store.change(tx, operation_id, status="failed", request={"mode": "apply", "timeout_seconds": 1})


@pytest.mark.rows("R4")
def test_a_large_result_does_not_grow_the_server(server: Server, operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)
    before = _resident(server)
    whole = b"0123456789abcdef" * (2 * 1024 * 1024)
    assert deliver(agent, placed["id"], whole).status_code == 200
    assert _resident(server) - before < 16 * 1024
    got = operator.get(f"/api/patches/{placed['id']}/stdout").content
    assert got == whole


def _resident(server: Server) -> int:
    """Return the most memory the server has had resident so far, in KiB."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


@pytest.mark.rows("G0-PT-09")
def test_an_output_that_was_cut_is_marked(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)
    told = f"line\n{TRUNCATION_MARK}\n".encode()
    assert deliver(agent, placed["id"], told, stdout_truncated=True).status_code == 200
    seen = operator.get(f"/api/patches/{placed['id']}").json()
    assert (seen["stdout_truncated"], seen["stderr_truncated"]) == (True, False)
    assert operator.get(f"/api/patches/{placed['id']}/stdout").content.splitlines()[-1] == TRUNCATION_MARK.encode()
