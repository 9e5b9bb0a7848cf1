"""Two teams on one control plane: whatever the address, another team's ids answer 403 or 404 and are in no list.

The routes come from the OpenAPI document, so that a new one is asked too; one that takes ids this test does not know,
or a body that it cannot fill, fails until it is told here.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.fakes.release import archive
from tests.integration.control import snapshots
from tests.integration.control.conftest import (
    STRANGER,
    Agent,
    Server,
    client_of,
    enrol_by,
    make_server,
    sign_in,
)
from tests.integration.control.guide import CLUSTER, LXC, METRICS, NODE
from tests.integration.control.inventory import reading
from tests.integration.control.listener import deliver, order
from tests.integration.control.old_agent import enrol_old

SIGNED_IN = ("admin", "operator", "viewer", STRANGER)
#: Never ends, and tells nothing before a subscription: it has its own test below.
STREAM = "/api/realtime"
#: The same for people, who hear of their own teams without asking.
EVENTS = "/api/proxmox/events/stream"
#: Hold no team's things.
OPEN = {"/health", "/health/ready", "/metrics", "/api/auth", "/api/auth/device", STREAM, EVENTS}
#: Parts of an address that are no ids.
WORDS = {"collection": "patch_scripts", "name": "x.sh"}
#: Addresses under which nothing can be found in this release, or not by whoever asks as these do.
NOTHING_THERE = re.compile(r"/api/files/|/signature$|/validate$|/api/playbooks/|playbook-runs/.*/output$")
#: Answers for as long as somebody listens.
ENDLESS = re.compile(r"/stream$")
REPORT = {"outcome": "unsupported", "reason": "no"}
PLAYED: dict[str, Any] = {
    "playbook": "site.yml", "check": True, "started_at": "2026-01-31T02:00:00Z", "ended_at": "2026-01-31T02:00:41Z",
    "hosts": {"pve1": {"ok": 1}},
}  # fmt: skip
#: A good body for each address with an id that takes one, so that nothing but the id can be wrong with a request.
BODIES: dict[str, dict[str, Any]] = {
    "/api/operations/{operation_id}/steps": {"json": {"steps": []}},
    "/api/operations/{operation_id}/ack": {"json": {"state": "running"}},
    "/api/operations/{operation_id}/renew": {"json": {"lease": 1}},
    "/api/operations/{operation_id}/output": {"json": {"stream": "stdout", "offset": 0, "text": "x"}},
    "/api/patches/{operation_id}/results": {"files": {"metadata": (None, "{}", "application/json")}},
    "/api/patches/{operation_id}/result": {"files": {"exit_code": (None, "0")}},
    "/api/investigations/{investigation_id}/report": {"json": REPORT},
    "/api/reboot/{reboot_id}/fail": {"json": {"error": "no"}},
    "/api/reboots/{reboot_id}/result": {"json": {"outcome": "unknown"}},
    "/api/prunes/{prune_id}/result": {"json": {"outcome": "ok"}},
    "/api/updates/{update_id}/result": {"json": {"outcome": "ok"}},
    "/api/releases/{release_id}/signatures": {"json": {"key_id": "0" * 32, "signature": "A" * 86 + "=="}},
    "/api/scripts/{script_id}/signatures": {"json": {"key_id": "0" * 32, "signature": "A" * 86 + "=="}},
    "/api/users/{user_id}": {"json": {"disabled": False}},
    "/api/users/{user_id}/password": {"json": {"password": "another pass phrase"}},
    "/api/signing-keys/{key_id}/endorsements": {"json": {"key_id": "0" * 32, "signature": "A" * 86 + "=="}},
}


@dataclass
class Team:
    """One team's principals by name, and one id of everything that it has."""

    team_id: str
    agent: Agent
    clients: dict[str, httpx.Client]
    ids: dict[str, str] = field(default_factory=dict)

    def secret_ids(self) -> set[str]:
        """Return what must not be seen outside; keys may not be there in every release."""
        return {value for name, value in self.ids.items() if name != "key_id"}


@dataclass(frozen=True)
class Plane:
    """A control plane with two teams, and the operations of its document."""

    server: Server
    admin: httpx.Client
    a: Team
    b: Team
    operations: list[tuple[str, str, bool]]

    def crossings(self) -> Iterator[tuple[str, httpx.Client, Team]]:
        """Yield every principal of a team beside the other team."""
        for own, other in ((self.a, self.b), (self.b, self.a)):
            for name, client in own.clients.items():
                yield name, client, other


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Fill a control plane of its own: one thing of each kind in both teams."""
    server = make_server(tmp_path_factory.mktemp("tenancy") / "data")
    server.start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        people = {
            role: stack.enter_context(sign_in(server, role)) for role in ("admin", "operator", "viewer", STRANGER)
        }
        a = team(server, "team-default", "operator A", people["operator"], people["admin"], stack)
        b = team(server, "team-other", "operator B", people[STRANGER], people["admin"], stack)
        a.clients["viewer A"] = people["viewer"]
        document = httpx.get(f"{server.url}/openapi.json", timeout=20).json()
        operations = [
            (method.upper(), path, "requestBody" in operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]
        yield Plane(server, people["admin"], a, b, operations)


def team(
    server: Server, team_id: str, name: str, person: httpx.Client, admin: httpx.Client, stack: contextlib.ExitStack
) -> Team:
    """Enrol an agent and make one thing of each kind."""
    agent = enrol_by(server, person, f"host-{team_id}", platform="debian", platform_family="debian")
    stack.callback(agent.client.close)
    made = Team(team_id, agent, {name: person, f"agent of {name}": agent.client})
    own = f"#!/bin/sh\n# {team_id}\necho '[]'\n"
    script_id = created(person, "/api/scripts", {"name": "own", "content": own})["id"]
    placed = order(person, agent, script_id=script_id)
    deliver(agent, placed["id"], b"out\n", b"err\n").raise_for_status()
    question = {"agent_id": agent.id, "issue": "why is it slow at night"}
    reported(agent, team_id)
    fleet = created(person, "/api/enrollment-tokens", {"name": "rack"})
    static = created(person, "/api/tokens", {"name": "static", "kind": "agent", "agent_id": agent.id})
    # The admin of the installation may do anything anywhere; a token that he made for one team may not.
    scoped = created(admin, "/api/tokens", {"name": "scoped", "scopes": ["admin"], "team_id": team_id})
    for label, token in ((f"static token of {name}", static), (f"admin's token for the team of {name}", scoped)):
        made.clients[label] = stack.enter_context(client_of(server, token["token"]))
    made.ids = {
        "agent_id": agent.id,
        "operation_id": placed["id"],
        "script_id": script_id,
        "investigation_id": created(person, "/api/investigations", question)["id"],
        "token_id": fleet["id"],
        "own_token_id": static["id"],
        "reboot_id": rebooted(server, person, stack),
        "release_id": released(person, team_id),
        "update_id": created(person, "/api/updates", {"agent_id": agent.id})["id"],
        "key_id": "0" * 32,
        "exception_id": created(person, "/api/package-exceptions", {"package": "nginx", "reason": "r"})["id"],
        "run_id": run_and_cancelled(admin, team_id),
        "user_id": member(admin, team_id),
        "report_id": created(person, "/api/play-reports", PLAYED)["id"],
        **snapshots.make(server, team_id, agent.id),
        "batch_id": created(person, "/api/patch-batches", {"order": {"mode": "dry-run"}, "all": True})["id"],
    }
    for noun in ("clusters", "nodes", "guests", "storages", "tasks"):
        made.ids[noun] = person.get(f"/api/proxmox/{noun}").json()["items"][0]["id"]
    return made


def rebooted(server: Server, person: httpx.Client, stack: contextlib.ExitStack) -> str:
    """Order a reboot of the only kind of agent that carries one out."""
    old = enrol_old(server, person)
    stack.callback(old.client.close)
    made: str = created(person, "/api/reboots", {"agent_id": old.id})["id"]
    return made


def run_and_cancelled(admin: httpx.Client, team_id: str) -> str:
    """Order a run of a playbook, and take it back before it does anything."""
    made: str = created(admin, "/api/playbook-runs", {"playbook": "facts", "check": True, "team_id": team_id})["id"]
    admin.post(f"/api/playbook-runs/{made}/cancel").raise_for_status()
    return made


def member(admin: httpx.Client, team_id: str) -> str:
    """Make an account that is in this team alone."""
    asked = {"email": f"member@{team_id}.example.com", "role": "viewer", "password": "a pass phrase"}
    made: str = created(admin, "/api/users", {**asked, "team_id": team_id})["id"]
    return made


def released(person: httpx.Client, version: str) -> str:
    """Add a release that holds nothing but its name."""
    answer = person.post("/api/releases", content=archive(version))
    assert answer.status_code == 201, answer.text
    release_id: str = answer.json()["id"]
    return release_id


def created(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def reported(agent: Agent, team_id: str) -> None:
    """Send one reading and one report of each kind."""
    cluster = {**CLUSTER, "cluster_id": f"c-{team_id}", "cluster_name": f"n-{team_id}"}
    agent.client.post("/api/agent", json={**METRICS, "agent_id": agent.id}).raise_for_status()
    for kind, body in (("cluster", cluster), ("node", NODE), ("lxc", LXC)):
        agent.client.post(f"/api/proxmox/{kind}", json=body).raise_for_status()
    whole = reading(f"n-{team_id}", cluster={**cluster, "guests": [100, 200]})
    agent.client.post("/api/proxmox/inventory", json=whole).raise_for_status()


def address(path: str, ids: dict[str, str]) -> str:
    """Put ids into an address of the document."""
    if path.startswith("/api/tokens/"):
        ids = {**ids, "token_id": ids["own_token_id"]}
    noun = path.removeprefix("/api/proxmox/").partition("/")[0]
    known = {**WORDS, **ids, "key": ids.get(noun, "")}
    missing = [name for name in re.findall(r"{(\w+)}", path) if not known.get(name)]
    assert not missing, f"tell this test an id for {missing} of {path}"
    return re.sub(r"{(\w+)}", lambda found: known[found.group(1)], path)


def test_no_id_of_another_team_is_any_good(plane: Plane) -> None:
    asked = 0
    for method, path, has_body in plane.operations:
        if "{" not in path:
            continue
        assert not has_body or path in BODIES, f"tell this test a good body for {method} {path}"
        for name, client, other in plane.crossings():
            answer = client.request(method, address(path, other.ids), **BODIES.get(path, {}))
            assert answer.status_code in {403, 404}, (name, method, path, answer.status_code, answer.text)
            assert not other.secret_ids() & set(re.findall(r"[\w-]{12,}", only_text(answer, path, other))), (name, path)
            asked += 1
    assert asked > 150


def only_text(answer: httpx.Response, path: str, other: Team) -> str:
    """Return the answer without what it repeats of the request itself."""
    text = answer.text
    for said in (address(path, other.ids), *re.findall(r"'([^']+)'", text)):
        text = text.replace(said, "")
    return text


def test_the_same_ids_are_good_for_their_own_team(plane: Plane) -> None:
    """Without this the test above would pass with ids that nobody has."""
    for own in (plane.a, plane.b):
        for method, path, _ in plane.operations:
            if method != "GET" or "{" not in path or NOTHING_THERE.search(path) or ENDLESS.search(path):
                continue
            answers = [client.get(address(path, own.ids)).status_code for client in own.clients.values()]
            assert 200 in answers, (path, answers)
            assert own.agent.client.get(address(path, own.ids)).status_code in {200, 403}, path


def test_no_list_shows_what_is_another_teams(plane: Plane) -> None:
    listed = 0
    for method, path, _ in plane.operations:
        if method != "GET" or "{" in path or path in OPEN:
            continue
        for name, client, other in plane.crossings():
            for query in ({"limit": "500"}, {"limit": "500", "agent_id": other.agent.id}):
                answer = client.get(path, params=query if path != "/api/audit/export" else None)
                assert answer.status_code in {200, 403, 422}, (name, path, answer.text)
                shown = [one for one in other.secret_ids() if one in answer.text.replace(str(answer.url), "")]
                assert not shown, (name, path, shown)
                listed += answer.status_code == 200
    assert listed > 50


def test_no_body_names_what_is_another_teams(plane: Plane) -> None:
    for name, client, other in plane.crossings():
        own = plane.b if other is plane.a else plane.a
        theirs, mine = other.ids, own.ids
        turn = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        for path, body in (
            ("/api/patches", {"agent_id": theirs["agent_id"], "mode": "dry-run"}),
            ("/api/patches", {"agent_id": mine["agent_id"], "mode": "dry-run", "script_id": theirs["script_id"]}),
            ("/api/investigations", {"agent_id": theirs["agent_id"], "issue": "why is it slow at night"}),
            ("/api/reboots", {"agent_id": theirs["agent_id"]}),
            ("/api/playbook-runs", {"playbook": "facts", "check": True, "team_id": other.team_id}),
            ("/api/prunes", {"agent_id": theirs["agent_id"], "keep": 0}),
            ("/api/investigations", {**turn, "investigation_id": theirs["investigation_id"]}),
            ("/api/tokens", {"name": "x", "kind": "agent", "agent_id": theirs["agent_id"]}),
            ("/api/tokens", {"name": "x", "scopes": ["read"], "team_id": other.team_id}),
            ("/api/enrollment-tokens", {"name": "x", "team_id": other.team_id}),
            ("/api/play-reports", {**PLAYED, "team_id": other.team_id}),
            ("/api/users", {"email": "x@y", "role": "viewer", "password": "a pass phrase", "team_id": other.team_id}),
            ("/api/agent", {**METRICS, "agent_id": theirs["agent_id"]}),
        ):
            answer = client.post(path, json=body)
            assert answer.status_code in {403, 404}, (name, path, body, answer.status_code, answer.text)


def test_no_stream_can_be_taken_over(plane: Plane) -> None:
    with plane.a.agent.client.stream("GET", STREAM) as stream:
        lines = stream.iter_lines()  # kept, since the stream ends with its reader
        connected = next(line for line in lines if line.startswith("data:"))
        client_id = json.loads(connected.removeprefix("data:"))["clientId"]
        for name, client in (*plane.b.clients.items(), ("operator A", plane.a.clients["operator A"])):
            body = {"clientId": client_id, "subscriptions": ["patch_operations"]}
            assert client.post(STREAM, json=body).status_code == 403, name


def test_a_stream_hears_of_its_own_team_only(plane: Plane) -> None:
    """Events go by agent: what is ordered for one is not replayed to another."""
    with plane.b.agent.client.stream("GET", STREAM) as stream:
        lines = stream.iter_lines()
        connected = next(line for line in lines if line.startswith("data:"))
        body = {"clientId": json.loads(connected.removeprefix("data:"))["clientId"]}
        body["subscriptions"] = ["patch_operations", "investigations"]
        theirs = order(plane.a.clients["operator A"], plane.a.agent)["id"]
        assert plane.b.agent.client.post(STREAM, json=body).status_code == 204
        mine = order(plane.b.clients["operator B"], plane.b.agent)["id"]
        heard = ""
        while mine not in heard:
            heard += next(lines)
        assert theirs not in heard
        assert plane.a.agent.id not in heard


def test_what_happens_is_heard_in_its_own_team_only(plane: Plane) -> None:
    with plane.b.clients["operator B"].stream("GET", EVENTS) as stream:
        lines = stream.iter_lines()
        assert "connect" in next(lines)
        for team_ in (plane.a, plane.b):
            cluster = {**CLUSTER, "cluster_id": f"c-{team_.team_id}", "cluster_name": f"n-{team_.team_id}"}
            whole = reading("n", cluster=cluster)
            whole["lxc"][0]["name"] = f"renamed-{team_.team_id}"
            team_.agent.client.post("/api/proxmox/inventory", json=whole).raise_for_status()
        heard = ""
        while "renamed-team-other" not in heard:
            heard += next(lines)
        assert "team-default" not in heard
    for name, client, other in plane.crossings():
        listed = client.get("/api/proxmox/events")
        assert f"renamed-{other.team_id}" not in listed.text, name


def test_the_admin_of_the_installation_sees_both(plane: Plane) -> None:
    shown = plane.admin.get("/api/agents?limit=500").text
    assert plane.a.agent.id in shown
    assert plane.b.agent.id in shown
