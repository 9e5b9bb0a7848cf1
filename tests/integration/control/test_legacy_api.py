"""Agents from before the guide: their exchanges, replayed over HTTP as they were recorded in words."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.control.conftest import Agent, Server, client_of, make_server, sign_in
from tests.integration.control.guide import METRICS as FLAT
from tests.integration.control.listener import Listener
from tests.integration.control.old_agent import CLAIM, METRICS, OldAgent, OldStream, claim, enrol_old

LIST = 'Reading package lists...\n[{"name":"nginx","version":"1.2","old_version":"1.1"}]\n'
#: What older scripts print.
MARKED = (
    'x\n=== JSON Output (for UI parsing) ===\n{\n "packages": [\n'
    '{"package": "curl", "new_version": "8", "current_version": "7"}]}\n'
)
GIGABYTE = 2**30
#: Seconds after which nothing is taken to come.
SILENCE = 1.0


@pytest.fixture
def old(server: Server, operator: httpx.Client) -> Iterator[OldAgent]:
    agent = enrol_old(server, operator)
    yield agent
    agent.client.close()


def order(operator: httpx.Client, agent: OldAgent, **fields: Any) -> dict[str, Any]:
    answer = operator.post("/api/patches", json={"agent_id": agent.id, "mode": "dry-run", **fields})
    assert answer.status_code == 201, answer.text
    placed: dict[str, Any] = answer.json()
    return placed


def state(operator: httpx.Client, operation_id: str) -> tuple[str, str | None]:
    found = operator.get(f"/api/patches/{operation_id}").json()
    return found["status"], found["outcome"]


def test_the_shortest_exchange(server: Server, operator: httpx.Client, anonymous: httpx.Client) -> None:
    started = anonymous.post("/api/agent", json={"action": "device-auth-start"})
    assert started.status_code == 200
    assert set(started.json()) == {"device_code", "user_code", "verification_uri", "expires_in"}
    codes = started.json()
    assert codes["expires_in"] == 600
    assert codes["verification_uri"].endswith(f"user_code={codes['user_code']}")
    assert len(codes["user_code"]) == 8
    waiting = claim(anonymous, codes["device_code"])
    assert waiting.status_code == 400
    assert "device not authorized" in waiting.json()["error"]
    allowed = operator.post("/api/agent", json={"action": "authorize", "user_code": codes["user_code"]})
    assert (allowed.status_code, allowed.json()) == (200, {"success": True, "message": "device authorized"})
    granted = claim(anonymous, codes["device_code"])
    assert granted.status_code == 200
    assert set(granted.json()) == {"access_token", "refresh_token", "expires_in", "agent_id"}
    assert granted.json()["expires_in"] == 3600
    headers = {"Authorization": f"Bearer {granted.json()['access_token']}", "User-Agent": "Go-http-client/1.1"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=20) as client:
        the_rest_of_the_exchange(OldAgent(client, granted.json()), operator)


def the_rest_of_the_exchange(agent: OldAgent, operator: httpx.Client) -> None:
    taken = agent.report()
    assert (taken.status_code, taken.json()) == (200, {"success": True, "message": "metrics recorded"})
    with OldStream(agent) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        stream.subscribe()
        placed = order(operator, agent, lxc_id="lxc-100")
        record = stream.created()
    assert (record["id"], record["mode"], record["vmid"]) == (placed["id"], "dry-run", "100")
    assert record["status"] == "pending"
    script = agent.client.get(record["script_url"])
    assert script.status_code == 200
    script_id = record["script_url"].split("/")[-2]
    checked = agent.client.get(f"/api/scripts/{script_id}/validate")
    assert checked.status_code == 200
    assert set(checked.json()) == {"id", "name", "sha256"}
    assert checked.json()["sha256"] == hashlib.sha256(script.content).hexdigest()
    done = agent.deliver(record["id"], LIST, lxc_id=record["lxc_id"])
    assert (done.status_code, done.json()) == (200, {"status": "updated"})
    found = operator.get(f"/api/patches/{placed['id']}").json()
    assert (found["status"], found["outcome"], found["exit_code"]) == ("completed", "ok", 0)
    assert [package["name"] for package in found["package_list"]] == ["nginx"]
    assert operator.get(f"/api/patches/{placed['id']}/stdout").text == LIST
    gone = agent.client.post("/api/reboot/domn50egvmbedmp/acknowledge")
    assert (gone.status_code, gone.json()["error"]) == (404, "not_found")


def test_a_poll_goes_on_until_it_is_decided(operator: httpx.Client, anonymous: httpx.Client) -> None:
    started = anonymous.post("/api/agent", json={"action": "device-auth-start"}).json()
    polls = [claim(anonymous, started["device_code"]) for _ in range(3)]  # the guide's word for the second is slow_down
    assert [poll.status_code for poll in polls] == [400] * 3
    assert all("device not authorized" in poll.json()["error"] for poll in polls)
    operator.post("/api/auth", json={"action": "deny", "user_code": started["user_code"]}).raise_for_status()
    denied = claim(anonymous, started["device_code"])
    unknown = claim(anonymous, "nobody's")
    assert (denied.status_code, denied.json()["error"]) == (400, "device code denied")
    assert (unknown.status_code, unknown.json()["error"]) == (400, "invalid device code")


def test_a_code_works_once(operator: httpx.Client, anonymous: httpx.Client, viewer: httpx.Client) -> None:
    started = anonymous.post("/api/agent", json={"action": "device-auth-start"}).json()
    allow = {"action": "authorize", "user_code": started["user_code"]}
    answers = [client.post("/api/agent", json=allow) for client in (anonymous, viewer, operator, operator)]
    assert [answer.status_code for answer in answers] == [401, 403, 200, 400]
    unknown = operator.post("/api/agent", json={"action": "authorize", "user_code": "AAAAAAAA"})
    assert (unknown.status_code, unknown.json()["error"]) == (400, "invalid user code")
    answers = [claim(anonymous, started["device_code"]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]


def test_a_refresh_token_stays_until_it_is_renewed(old: OldAgent, anonymous: httpx.Client) -> None:
    def ask(action: str, token: str) -> httpx.Response:
        return anonymous.post("/api/agent", json={"action": action, "refresh_token": token})

    first = old.tokens["refresh_token"]
    for _ in range(3):
        answer = ask("refresh", first)
        assert answer.status_code == 200
        assert (answer.json()["refresh_token"], answer.json()["agent_id"]) == ("", old.id)
        assert answer.json()["refresh_token_expires_in"] > 7 * 86_400
    renewed = ask("renew-refresh-token", first).json()
    second = renewed["refresh_token"]
    assert second not in {"", first}
    assert renewed["token_type"] == "Bearer"
    assert ask("refresh", first).status_code == 200  # the answer to renew may have been lost
    assert ask("refresh", second).status_code == 200
    stale = ask("refresh", first)
    assert (stale.status_code, stale.json()["error"]) == (401, "invalid refresh token")
    assert ask("refresh", "31c0").status_code == 401
    assert anonymous.post("/api/agent", json={"action": "refresh"}).status_code == 400


def test_a_reading_is_kept_in_the_guides_words(old: OldAgent, operator: httpx.Client) -> None:
    assert old.report().status_code == 200
    reading = operator.get(f"/api/agent/{old.id}/metrics/latest").json()["reading"]
    expected = {
        "agent_id": old.id,
        "hostname": "old-pve1",
        "dialect": "nannyagent",
        "platform": "debian",
        "platform_version": "12.11",
        "kernel_arch": "x86_64",
        "cpu_usage": 12.5,
        "memory_total": 64 * GIGABYTE,
        "memory_used": round(30.5 * GIGABYTE),
        "disk_total": 100 * GIGABYTE,
        "load_avg_15": 1.76,
        "network_in_gb": 123.45,
        "version": "0.0.15",
    }
    assert {name: reading[name] for name in expected} == expected
    assert not {"memory_free", "memory_available", "disk_free", "swap_total", "process_count"} & set(reading)
    assert reading["filesystem_info"][0]["mountpoint"] == "/"
    assert reading["filesystem_info"][0]["total"] == 100 * GIGABYTE
    agent = operator.get(f"/api/agent/{old.id}").json()
    assert (agent["version"], agent["platform"], agent["health_status"]) == ("0.0.15", "debian", "healthy")


def dialect(operator: httpx.Client, agent_id: str) -> str:
    found = operator.get("/api/agents", params={"limit": 500}).json()["items"]
    spoken: str = next(item["dialect"] for item in found if item["agent_id"] == agent_id)
    return spoken


def test_the_dialect_is_the_one_last_spoken(old: OldAgent, enrol: Callable[..., Agent], operator: httpx.Client) -> None:
    new = enrol()
    assert (dialect(operator, old.id), dialect(operator, new.id)) == ("nannyagent", "guide")
    assert new.client.post("/api/agent", json=METRICS).status_code == 200
    assert dialect(operator, new.id) == "nannyagent"
    assert new.client.post("/api/agent", json={**FLAT, "agent_id": new.id}).status_code == 200
    assert dialect(operator, new.id) == "guide"


@pytest.mark.parametrize(
    ("measured", "field"),
    [
        ({"cpu_percent": 250}, "cpu_percent"),
        ({"memory_used_gb": -1}, "memory_used_gb"),
        ({"memory_total_gb": 1e300}, "memory_total_gb"),
        ({"cpu_cores": "many"}, "cpu_cores"),
        ({"cpu_cores": None}, "cpu_cores"),
        ({"filesystems": [{"mount_path": "/"}]}, "filesystems.0.total_gb"),
    ],
)
def test_a_wrong_value_is_400(old: OldAgent, measured: dict[str, Any], field: str) -> None:
    answer = old.report(**measured)
    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert answer.json()["details"]["field"] == f"system_metrics.{field}"


def test_what_go_leaves_empty_is_taken(old: OldAgent) -> None:
    assert old.report(filesystems=None, load_average=None, network_stats=None).status_code == 200
    bare = {"action": "ingest-metrics", "system_metrics": METRICS["system_metrics"], "all_ips": None}
    assert old.say(**bare).status_code == 200


def test_the_agent_may_name_itself(old: OldAgent) -> None:
    for name, status in ((old.id, 200), ("agent-other", 403)):
        answer = old.client.post("/api/agent", json=METRICS, headers={"X-Agent-ID": name})
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"action": "dance"}, "unknown_action"),
        ({"action": ""}, "unknown_action"),
        ({"action": None}, "unknown_action"),
        ({"action": ["list"]}, "unknown_action"),
        ({"action": "register"}, "validation_error"),
        ({"action": "register", "device_code": 5}, "validation_error"),
        ({"action": "authorize", "user_code": ["x"]}, "unauthorized"),
        ({"action": "refresh", "refresh_token": {}}, "validation_error"),
        ({"action": "ingest-metrics"}, "unauthorized"),
        ({"action": "list"}, "unauthorized"),
    ],
)
def test_a_bad_body_is_never_ours_to_blame(anonymous: httpx.Client, body: dict[str, Any], error: str) -> None:
    answer = anonymous.post("/api/agent", json=body)
    assert 400 <= answer.status_code < 500
    expected = "validation_error" if body["action"] == "authorize" else error
    assert answer.json()["error"] == expected
    assert {"error", "error_description", "timestamp", "trace_id"} <= set(answer.json())


def test_people_list_look_at_and_revoke(
    old: OldAgent, operator: httpx.Client, stranger: httpx.Client, viewer: httpx.Client
) -> None:
    def ask(client: httpx.Client, action: str) -> httpx.Response:
        return client.post("/api/agent", json={"action": action, "agent_id": old.id})

    health = ask(viewer, "health").json()
    assert (health["agent_id"], health["status"], health["health"]) == (old.id, "active", "inactive")
    assert health["latest_metrics"] is None
    old.report().raise_for_status()
    health = ask(viewer, "health").json()
    assert (health["health"], health["latest_metrics"]["cpu_usage"]) == ("healthy", 12.5)
    listed = [agent for agent in ask(operator, "list").json()["agents"] if agent["id"] == old.id]
    assert [agent["hostname"] for agent in listed] == ["old-pve1"]
    assert ask(stranger, "list").json() == {"agents": []}
    assert [ask(stranger, action).status_code for action in ("health", "revoke")] == [404, 404]
    assert [ask(old.client, action).status_code for action in ("list", "health", "revoke")] == [403] * 3
    assert ask(viewer, "revoke").status_code == 403
    assert ask(operator, "revoke").json() == {"success": True, "message": "agent revoked"}
    refused = old.report()
    assert (refused.status_code, refused.json()["error"]) == (403, "agent_revoked")
    assert old.say(action="refresh", refresh_token=old.tokens["refresh_token"]).status_code == 403


def test_frames_are_as_these_agents_know_them(old: OldAgent, operator: httpx.Client) -> None:
    with OldStream(old) as stream:
        connect = stream.frame()
        name = connect[0].removeprefix("id:")
        assert connect == [f"id:{name}", "event:PB_CONNECT", f'data:{{"clientId":"{name}"}}']
        said = {"clientId": name, "subscriptions": ["investigations", "patch_operations", "reboot_operations"]}
        assert old.client.post("/api/realtime", json=said).status_code == 204
        placed = order(operator, old)
        event = stream.frame()
    assert event[:2] == [f"id:{name}", "event:patch_operations"]
    record = json.loads(event[2].removeprefix("data:"))["record"]
    assert event[2].startswith('data:{"record":{')
    assert {
        "agent_id": old.id,
        "id": placed["id"],
        "mode": "dry-run",
        "status": "pending",
        "exclusions": None,
        "lxc_id": "",
        "vmid": "",
        "exit_code": 0,
        "started_at": "",
    }.items() <= record.items()


def test_a_question_arrives_even_if_it_holds_the_word_that_drops_a_line(old: OldAgent, operator: httpx.Client) -> None:
    asked = {"agent_id": old.id, "issue": 'why does "clientId" \\clientId break it?', "priority": "high"}
    made = operator.post("/api/investigations", json=asked).json()
    with OldStream(old) as stream:
        record = stream.subscribe().created()
    assert (record["id"], record["user_prompt"], record["priority"]) == (made["id"], asked["issue"], "high")
    assert (record["status"], record["metadata"]) == ("pending", {"initiated_by": "user"})


def test_a_question_ends_where_there_is_no_model(old: OldAgent, operator: httpx.Client) -> None:
    made = operator.post("/api/investigations", json={"agent_id": old.id, "issue": "the disk is full"}).json()
    turn = {"investigation_id": made["id"], "messages": [{"role": "user", "content": "x"}], "model": ""}
    answer = old.client.post("/api/investigations", json=turn)
    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    found = operator.get(f"/api/investigations/{made['id']}").json()
    assert (found["status"], found["outcome"]) == ("failed", "unsupported")
    own = old.client.post("/api/investigations", json={"agent_id": old.id, "issue": "the disk is full"})
    assert own.status_code == 201


def test_orders_are_told_again_until_their_script_was_fetched(old: OldAgent, operator: httpx.Client) -> None:
    """The agent never acknowledges, and runs an order each time it is told of it."""
    placed = order(operator, old)
    for _ in range(2):  # it hangs up before it has begun, twice
        with OldStream(old) as stream:
            record = stream.subscribe().created()
            assert record["id"] == placed["id"]
    assert state(operator, placed["id"]) == ("pending", None)
    assert old.client.get(record["script_url"]).status_code == 200
    assert state(operator, placed["id"]) == ("running", None)
    with OldStream(old, SILENCE) as stream:
        assert stream.subscribe().is_silent()
    assert old.deliver(placed["id"], LIST).status_code == 200
    assert state(operator, placed["id"]) == ("completed", "ok")
    with OldStream(old, SILENCE) as stream:
        assert stream.subscribe().is_silent()


def test_each_of_several_waiting_orders_is_told(old: OldAgent, operator: httpx.Client) -> None:
    placed = [order(operator, old)["id"] for _ in range(3)]
    with OldStream(old) as stream:
        records = [stream.subscribe().created(), stream.created(), stream.created()]
    assert [record["id"] for record in records] == placed
    assert len({record["script_url"] for record in records}) == 3  # so that it is known which of them has begun
    assert old.client.get(records[1]["script_url"]).status_code == 200
    assert [state(operator, name)[0] for name in placed] == ["pending", "running", "pending"]


def test_an_order_whose_target_is_taken_is_told_again_when_it_is_free(old: OldAgent, operator: httpx.Client) -> None:
    first, second = order(operator, old)["id"], order(operator, old)["id"]
    with OldStream(old) as stream:
        records = [stream.subscribe().created(), stream.created()]
        assert old.client.get(records[0]["script_url"]).status_code == 200
        refused = old.client.get(records[1]["script_url"])
        assert (refused.status_code, refused.json()["error"]) == (423, "target_busy")
        # What it could not fetch it reports as a result with exit code 1.
        assert old.deliver(second, "", "1").json() == {"status": "updated"}
        assert state(operator, second) == ("pending", None)
        assert old.deliver(first, LIST).status_code == 200
        again = stream.created()
    assert again["id"] == second
    assert old.client.get(again["script_url"]).status_code == 200
    assert old.deliver(second, LIST).status_code == 200
    assert state(operator, second) == ("completed", "ok")


def test_an_order_that_was_taken_back_is_not_begun(old: OldAgent, operator: httpx.Client) -> None:
    placed = order(operator, old)
    with OldStream(old) as stream:
        record = stream.subscribe().created()
    operator.post(f"/api/patches/{placed['id']}/cancel").raise_for_status()
    assert old.client.get(record["script_url"]).status_code == 409
    # It reports what it could not do as a result with exit code 1; nothing has run, so the order stays as it was.
    assert old.deliver(placed["id"], "", "1").json() == {"status": "updated"}
    assert state(operator, placed["id"]) == ("cancelled", "cancelled")


def test_an_order_taken_back_while_it_runs_gets_its_true_end(old: OldAgent, operator: httpx.Client) -> None:
    placed = order(operator, old)
    with OldStream(old) as stream:
        assert old.client.get(stream.subscribe().created()["script_url"]).status_code == 200
    operator.post(f"/api/patches/{placed['id']}/cancel").raise_for_status()
    assert old.deliver(placed["id"], LIST).status_code == 200
    assert state(operator, placed["id"]) == ("completed", "ok")


def test_exclusions_reach_the_script_or_the_order_is_refused(old: OldAgent, operator: httpx.Client) -> None:
    order(operator, old, exclude=["nginx", "mariadb-server"])
    with OldStream(old) as stream:
        record = stream.subscribe().created()
    assert record["script_args"] == "--exclude=nginx,mariadb-server"
    assert record["exclusions"] == ["nginx", "mariadb-server"]
    more = {"agent_id": old.id, "mode": "apply", "exclude": ["nginx"], "security_only": True}
    refused = operator.post("/api/patches", json=more)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("stdout", "exit_code", "end", "names"),
    [
        (LIST, "0", ("completed", "ok"), ["nginx"]),
        ("[]\n", "0", ("completed", "nothing_to_do"), []),
        ("done\n", "0", ("completed", "ok"), []),
        (LIST, "100", ("failed", "script_failed"), ["nginx"]),
        ("", "-1", ("failed", "script_failed"), []),
        (
            MARKED,
            "0",
            ("completed", "ok"),
            ["curl"],
        ),
    ],
)
def test_results_are_taken(
    old: OldAgent, operator: httpx.Client, stdout: str, exit_code: str, end: tuple[str, str], names: list[str]
) -> None:
    placed = order(operator, old)
    for _ in range(2):
        assert old.deliver(placed["id"], stdout, exit_code).json() == {"status": "updated"}
    found = operator.get(f"/api/patches/{placed['id']}").json()
    assert ((found["status"], found["outcome"]), found["exit_code"]) == (end, int(exit_code))
    assert [package["name"] for package in found["package_list"]] == names
    assert old.deliver(placed["id"], "another", "1").status_code == 200
    assert state(operator, placed["id"]) == end


def test_a_script_that_lists_nothing_settles_nothing(old: OldAgent, operator: httpx.Client) -> None:
    package = f"curl-{old.id}"
    listed = json.dumps([{"name": package, "version": "2", "old_version": "1"}])
    assert old.deliver(order(operator, old)["id"], listed).status_code == 200
    assert old.deliver(order(operator, old)["id"], "no list\n").status_code == 200
    found = operator.get("/api/packages", params={"name": package}).json()["items"]
    assert [item["pending"] for item in found] == [True]


def test_a_wrong_result_is_refused(old: OldAgent, operator: httpx.Client, enrol: Callable[..., Agent]) -> None:
    placed, other = order(operator, old), enrol()
    address = f"/api/patches/{placed['id']}/result"
    part = {"stdout_file": ("stdout.txt", b"x", "application/octet-stream")}
    answers = {
        "no code": old.client.post(address, files=part),
        "a word": old.deliver(placed["id"], LIST, "done"),
        "no form": old.client.post(address, json={"exit_code": 0}),
        "unknown": old.deliver("patch-none", LIST),
        "foreign": other.client.post(address, files={"exit_code": (None, "0")}),
        "a person": operator.post(address, files={"exit_code": (None, "0")}),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "no code": 400,
        "a word": 400,
        "no form": 400,
        "unknown": 404,
        "foreign": 403,
        "a person": 403,
    }
    assert state(operator, placed["id"]) == ("pending", None)


def test_scripts_need_a_token_and_the_right_agent(
    old: OldAgent, operator: httpx.Client, anonymous: httpx.Client, enrol: Callable[..., Agent]
) -> None:
    placed, other = order(operator, old), enrol()
    with OldStream(old) as stream:
        address = stream.subscribe().created()["script_url"]
    script_id = placed["script_id"]
    answers = [
        anonymous.get(address),
        anonymous.get(f"/api/scripts/{script_id}/validate"),
        other.client.get(address),
        old.client.get(address.replace(placed["id"], "patch-none")),
        old.client.get(f"{address}.txt"),
        old.client.get("/api/scripts/none/validate"),
        operator.get(address),
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 403, 404, 404, 404, 200]
    assert state(operator, placed["id"]) == ("pending", None)  # nobody but its agent begins an order


def test_the_third_channel_is_for_this_dialect(
    server: Server, old: OldAgent, enrol: Callable[..., Agent], operator: httpx.Client, anonymous: httpx.Client
) -> None:
    new = enrol()
    with Listener(server, new.tokens["access_token"]) as stream:
        assert stream.subscribe(new, ["reboot_operations"]).status_code == 204
    for action in ("acknowledge", "fail"):
        answers = [
            who.post(f"/api/reboot/r-1/{action}", json={"error": "x"}) for who in (anonymous, operator, old.client)
        ]
        assert [answer.status_code for answer in answers] == [401, 403, 404]
        assert answers[2].json()["error"] == "not_found"


def reboot(operator: httpx.Client, agent: OldAgent, **fields: Any) -> httpx.Response:
    return operator.post("/api/reboots", json={"agent_id": agent.id, **fields})


def tells(agent: OldAgent, uptime: int) -> None:
    """Report container 100 as running for some seconds."""
    body = {"name": "web1", "lxc_id": "lxc/100", "status": "running", "uptime": uptime, "vmid": 100, "node": "pve1"}
    agent.client.post("/api/proxmox/lxc", json={"agent_id": "", "node_id": "", "ostype": "debian", **body})


def test_a_reboot_is_told_acknowledged_and_completed_by_proof(old: OldAgent, operator: httpx.Client) -> None:
    with OldStream(old, SILENCE) as stream:
        stream.subscribe()
        placed = reboot(operator, old, lxc_id="lxc-100", reason="new libc").json()
        record = stream.created()
        known = ("id", "status", "timeout_seconds", "vmid", "lxc_id", "reason", "acknowledged_at", "error_message")
        assert {name: record[name] for name in known} == {
            "id": placed["id"],
            "status": "sent",
            "timeout_seconds": 300,
            "vmid": "100",
            "lxc_id": "lxc-100",
            "reason": "new libc",
            "acknowledged_at": "",
            "error_message": "",
        }
        answers = [old.client.post(f"/api/reboot/{placed['id']}/acknowledge") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 409]
        assert answers[0].json() == {"success": True, "message": "reboot acknowledged"}
        assert stream.is_silent()
    with OldStream(old, SILENCE) as stream:
        assert stream.subscribe().is_silent()
    assert old.report().status_code == 200  # a heartbeat, which proves nothing
    tells(old, 86_400)
    acknowledged = time.monotonic()
    while (found := operator.get(f"/api/reboots/{placed['id']}").json())["status"] == "running":
        assert time.monotonic() < acknowledged + 60
        if time.monotonic() > acknowledged + 6:  # two sweeps have not been misled
            tells(old, 1)
        time.sleep(0.5)
    assert (found["status"], found["outcome"]) == ("completed", "ok")
    assert time.monotonic() > acknowledged + 6
    assert [one["id"] for one in operator.get("/api/reboots", params={"agent_id": old.id}).json()["items"]] == [
        placed["id"]
    ]


def test_a_reboot_that_fails_says_why(
    old: OldAgent, operator: httpx.Client, viewer: httpx.Client, enrol: Callable[..., Agent]
) -> None:
    new = enrol()
    assert reboot(viewer, old).status_code == 403
    refused = operator.post("/api/reboots", json={"agent_id": new.id})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    placed = reboot(operator, old).json()
    again = reboot(operator, old)
    assert (again.status_code, placed["id"] in again.text) == (409, True)
    address = f"/api/reboot/{placed['id']}"
    assert new.client.post(f"{address}/acknowledge").status_code == 403
    assert old.client.post(f"{address}/acknowledge").status_code == 200
    assert operator.post(f"/api/reboots/{placed['id']}/cancel").status_code == 409
    failed = old.client.post(f"{address}/fail", json={"error": "systemctl: not found"})
    assert (failed.status_code, failed.json()["success"]) == (200, True)
    found = operator.get(f"/api/reboots/{placed['id']}").json()
    assert (found["status"], found["outcome"], found["explanation"]) == (
        "failed",
        "agent_error",
        "systemctl: not found",
    )
    for action in ("acknowledge", "fail"):
        assert old.client.post(f"{address}/{action}", json={"error": "x"}).status_code == 409
    other = reboot(operator, old).json()
    assert operator.post(f"/api/reboots/{other['id']}/cancel").json()["status"] == "cancelled"
    assert old.client.post(f"/api/reboot/{other['id']}/acknowledge").status_code == 409


def test_proxmox_is_told_in_this_dialects_names(old: OldAgent, operator: httpx.Client) -> None:
    cluster = f"old-{old.id[-8:]}"
    reports = [
        (
            "node",
            {
                "agent_id": "",
                "ip": "192.0.2.10",
                "level": "",
                "local": 1,
                "name": "pve1",
                "nodeid": 1,
                "online": 1,
                "pveversion": "pve-manager/8.4.14/1",
            },
        ),
        ("cluster", {"name": cluster, "nodes": 3, "quorate": 0, "version": 2, "px_cluster_id": "cluster"}),
        (
            "lxc",
            {
                "agent_id": "",
                "node_id": "",
                "name": "web1",
                "lxc_id": "lxc/100",
                "status": "running",
                "ostype": "debian",
                "uptime": 10,
                "vmid": 100,
                "node": "pve1",
            },
        ),
        (
            "qemu",
            {
                "agent_id": "",
                "node_id": "",
                "name": "db1",
                "qemu_id": "qemu/103",
                "status": "stopped",
                "ostype": "l26",
                "uptime": 0,
                "vmid": 103,
                "kvm": 1,
                "node": "pve1",
            },
        ),
    ]
    for kind, body in reports:
        answer = old.client.post(f"/api/proxmox/{kind}", json=body)
        assert answer.status_code == 200, answer.text
    nodes = operator.get("/api/proxmox/nodes", params={"cluster": cluster}).json()["items"]
    assert [(node["name"], node["pve_version"]) for node in nodes] == [("pve1", "pve-manager/8.4.14/1")]
    guests = operator.get("/api/proxmox/guests", params={"cluster": cluster}).json()["items"]
    assert sorted((guest["kind"], guest["vmid"]) for guest in guests) == [("lxc", 100), ("qemu", 103)]
    clusters = operator.get("/api/proxmox/clusters", params={"name": cluster}).json()["items"]
    assert [(item["cluster_name"], item["quorate"]) for item in clusters] == [(cluster, 0)]
    for broken in (b"{", b"[1]", b'{"nodeid": "x"}', b'{"px_cluster_id": NaN}'):
        for kind in ("node", "cluster"):
            assert old.client.post(f"/api/proxmox/{kind}", content=broken).status_code == 400


def test_a_token_enrols_and_names_its_agent(server: Server, operator: httpx.Client, anonymous: httpx.Client) -> None:
    issued = operator.post("/api/enrollment-tokens", json={"name": "old ones"}).json()["token"]
    body = {"action": "register-with-token", **CLAIM}

    def register(token: str) -> httpx.Response:
        return anonymous.post("/api/agent", json=body, headers={"Authorization": f"Bearer {token}"})

    made = register(issued)
    assert made.status_code == 200
    agent_id = made.json()["agent_id"]
    assert dialect(operator, agent_id) == "nannyagent"
    used = register(issued)
    assert (used.status_code, set(used.json()) >= {"error", "error_description"}) == (403, True)
    assert [register(token).status_code for token in ("nsk_none", "none")] == [401, 401]
    assert anonymous.post("/api/agent", json=body).status_code == 401
    own = {"name": "static", "kind": "agent", "agent_id": agent_id}
    static = operator.post("/api/tokens", json=own).json()["token"]
    assert register(static).json() == {"agent_id": agent_id}
    with client_of(server, static) as client:
        for name, status in ((agent_id, 200), ("agent-other", 403)):
            answer = client.post("/api/agent", json=METRICS, headers={"X-Agent-ID": name})
            assert answer.status_code == status


def test_the_limits_of_all_agents_hold(tmp_path: Path) -> None:
    server = make_server(tmp_path / "data", NANNY_RATE_LIMITS="on")
    server.start()
    try:
        with sign_in(server, "operator") as person:
            agent = enrol_old(server, person)
            answers = [agent.report() for _ in range(3)]
            agent.client.close()
    finally:
        server.stop()
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["error"] == "rate_limited"
    assert int(answers[2].headers["retry-after"]) > 0
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
