"""Playbooks run by Ansible itself, through the API: checked, run, followed, cancelled, killed, and refused."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.control.playbooks import descent
from tests.integration.control.conftest import Server, make_server, sign_in

#: Seconds for what takes some on a quiet machine.
PATIENCE = 90
LOOK = """
- name: Look
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Write a note
      ansible.builtin.copy: {content: "{{ note }}", dest: "{{ where }}", mode: "0600"}
    - name: Say what should not be said
      ansible.builtin.debug: {msg: "password=hunter2 of {{ note }}"}
    - name: Say it hidden
      ansible.builtin.debug: {msg: "swordfish"}
      no_log: true
    - name: Say the vault's password
      ansible.builtin.debug: {msg: "correct-horse-vault"}
    - name: Many
      ansible.builtin.debug: {msg: "item {{ item }}"}
      loop: "{{ range(100) | list }}"
"""
LOOK_META = """
argument_specs:
  Look:
    options:
      note: {type: str, required: true}
      where: {type: path, required: true}
      level: {type: int, choices: [1, 2]}
      api_key: {type: str, no_log: true}
"""
#: Its processes lead sessions of their own, and say their numbers in a file.
HANG = """
- name: Hang
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Sleep
      ansible.builtin.shell: |
        setsid sleep 876 &
        echo $! $$ > {{ where }}.new && mv {{ where }}.new {{ where }}
        sleep {{ seconds | default(875) }}
        kill %1 || true
"""
HANG_META = """
argument_specs: {Hang: {options: {where: {type: path, required: true}, seconds: {type: int}}}}
nanny_ops: {changes: false}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A control plane with playbooks of its own, and a vault's password that a play will say."""
    home = tmp_path_factory.mktemp("playbooks")
    own = home / "own"
    own.mkdir(mode=0o755)
    for name, text, meta in (("look", LOOK, LOOK_META), ("hang", HANG, HANG_META)):
        (own / f"{name}.yml").write_text(text)
        (own / f"{name}.meta.yml").write_text(meta)
    vault = home / "vault"
    vault.write_text("correct-horse-vault\n")
    vault.chmod(0o600)
    server = make_server(home / "data", NANNY_PLAYBOOK_DIR=str(own), NANNY_PLAYBOOK_VAULT_PASSWORD_FILE=str(vault))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def boss(site: Server) -> Iterator[httpx.Client]:
    """A client of an admin there."""
    with sign_in(site, "admin") as client:
        yield client


def order(client: httpx.Client, playbook: str, **asked: Any) -> dict[str, Any]:
    """Order a run."""
    answer = client.post("/api/playbook-runs", json={"playbook": playbook, **asked})
    assert answer.status_code == 201, answer.text
    placed: dict[str, Any] = answer.json()
    return placed


def until(what: Callable[[], Any]) -> Any:
    """Wait until something is so and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)
    return found


def ended(client: httpx.Client, run: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of a run and return it."""

    def look() -> dict[str, Any] | None:
        try:
            shown: dict[str, Any] = client.get(f"/api/playbook-runs/{run['id']}").json()
        except httpx.TransportError:  # the control plane is being started again
            return None
        return shown if shown.get("status") not in {"pending", "running"} else None

    found: dict[str, Any] = until(look)
    return found


def pids(where: Path) -> list[int]:
    """Wait for the numbers of a hanging task's processes."""
    text: str = until(lambda: where.exists() and where.read_text())
    return [int(word) for word in text.split()]


def alive(numbers: list[int]) -> list[int]:
    """Return which of these processes live."""
    return [pid for pid in numbers if _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_check_changes_nothing_and_allows_the_run(site: Server, boss: httpx.Client, tmp_path: Path) -> None:
    note = tmp_path / "note"
    asked = {"vars": {"note": "hello", "where": str(note)}}
    refused = boss.post("/api/playbook-runs", json={"playbook": "look", **asked})
    assert refused.status_code == 409, refused.text
    check = ended(boss, order(boss, "look", check=True, **asked))
    assert (check["outcome"], note.exists()) == ("ok", False), check
    run = order(boss, "look", **asked)
    assert run["checked_by"] == check["id"]
    heard = [event for event in followed(boss, run["id"]) if event["run_id"] == run["id"]]
    run = ended(boss, run)
    assert (run["outcome"], run["hosts"]["localhost"]["changed"], note.read_text()) == ("ok", 1, "hello")
    assert heard[0]["kind"] == "play"
    assert heard[-1] == {**heard[-1], "kind": "ended", "outcome": "ok"}
    states = {event["task"]: (event["state"], event["message"]) for event in heard if event["kind"] == "host"}
    assert states["Write a note"] == ("changed", "")
    assert states["Say it hidden"] == ("ok", "hidden: no_log")
    assert len(heard) < 30, "a loop's items are not told one by one"
    listed = boss.get(f"/api/playbook-runs/{run['id']}/events?limit=500").json()["items"]
    assert [event["kind"] for event in listed] == [event["kind"] for event in heard]
    output = boss.get(f"/api/playbook-runs/{run['id']}/output").text
    assert "item 99" in output
    folder = site.data_dir / "playbooks" / "runs" / run["id"]
    kept = "".join(path.read_text() for path in folder.rglob("*") if path.is_file()) + json.dumps(listed)
    for secret in ("hunter2", "swordfish", "correct-horse-vault"):
        assert secret not in kept
    assert not (folder / "runner").exists()
    told = boss.get("/api/audit?action=playbook.run").json()["items"]
    assert {entry["object"] for entry in told} >= {check["id"], run["id"]}


def followed(client: httpx.Client, run_id: str) -> Iterator[dict[str, Any]]:
    """Yield a run's events as its stream sends them, to the last."""
    with client.stream("GET", f"/api/playbook-runs/{run_id}/stream", timeout=PATIENCE) as stream:
        for line in stream.iter_lines():
            if line.startswith('data: {"action"'):
                record = json.loads(line.removeprefix("data: "))["record"]
                yield record
                if record["kind"] == "ended":
                    return


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"playbook": "nope"}, 404, "There is no playbook 'nope'"),
        ({"playbook": "../own/look"}, 404, "There is no playbook"),
        ({"playbook": "look", "vars": {"note": "x"}}, 422, "'where' is missing"),
        ({"playbook": "look", "vars": {"note": 1, "where": "/x"}}, 422, "'note' must be a text"),
        ({"playbook": "look", "vars": {"note": "x", "where": "/x", "level": 3}}, 422, "one of: 1, 2"),
        ({"playbook": "look", "vars": {"note": "x", "where": "/x", "more": 3}}, 422, "takes no 'more'"),
        ({"playbook": "look", "vars": {"note": "x", "where": "/x", "api_key": "s"}}, 422, "is a secret"),
        ({"playbook": "look", "vars": {"note": "{{ 1 }}", "where": "/x"}}, 422, "holds a template"),
        ({"playbook": "facts", "limit": ["@/etc/passwd"]}, 422, "no host or group"),
        ({"playbook": "facts", "limits": ["x"]}, 422, ""),
        ({"playbook": "look", "vars": {"note": "x", "where": "/x"}, "no_check_first": True}, 422, "say why"),
    ],
)
def test_what_is_wrong_is_refused_with_a_sentence(
    boss: httpx.Client, asked: dict[str, Any], status: int, words: str
) -> None:
    answer = boss.post("/api/playbook-runs", json=asked)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]["message"]


def test_viewers_look_and_operators_read_but_neither_runs(site: Server) -> None:
    for role in ("viewer", "operator"):
        with sign_in(site, role) as client:
            assert client.post("/api/playbook-runs", json={"playbook": "facts", "check": True}).status_code == 403
            shipped = [
                one["name"] for one in client.get("/api/playbooks").json()["items"] if one["origin"] == "shipped"
            ]
            assert "facts" in shipped
            assert client.get("/api/playbooks/facts").json()["changes"] is False
            for run in client.get("/api/playbook-runs").json()["items"]:
                allowed = client.get(f"/api/playbook-runs/{run['id']}/output").status_code != 403
                assert allowed == (role == "operator")
            assert client.get("/api/playbooks/..%2fown%2flook").status_code == 404


def test_cancel_and_the_end_of_the_time_leave_no_process(boss: httpx.Client, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    slow = order(boss, "hang", vars={"where": str(one)})
    short = order(boss, "hang", vars={"where": str(two)}, timeout_seconds=10)
    mine = pids(one)
    assert len(alive(mine)) == 2
    assert boss.post(f"/api/playbook-runs/{slow['id']}/cancel").json()["cancel_requested_at"]
    assert ended(boss, slow)["outcome"] == "cancelled"
    assert alive(mine) == []
    assert ended(boss, short)["outcome"] == "timed_out"
    assert alive(pids(two) if two.exists() else []) == []
    assert boss.post(f"/api/playbook-runs/{short['id']}/cancel").status_code == 409


def test_runs_outlive_the_control_plane_and_a_lost_one_is_unknown(
    site: Server, boss: httpx.Client, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    good = order(boss, "hang", vars={"where": str(one), "seconds": 5})
    lost = order(boss, "hang", vars={"where": str(two)})
    pids(one)
    mine = pids(two)
    site.kill()
    [keeper] = [pid for pid in descent.marked(lost["id"]) if b"keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(keeper, signal.SIGKILL)
    assert alive(mine), "they outlive their keeper"
    site.start()
    assert ended(boss, good)["outcome"] == "ok"
    kinds = [event["kind"] for event in boss.get(f"/api/playbook-runs/{good['id']}/events").json()["items"]]
    assert kinds == ["play", "task", "host", "stats", "ended"]
    shown = ended(boss, lost)
    assert (shown["outcome"], "is gone" in shown["reason"]) == ("unknown", True)
    until(lambda: not alive(mine))


def test_a_vault_file_that_cannot_be_read_is_told_before_anything_runs(site: Server, boss: httpx.Client) -> None:
    vault = Path(site.env["NANNY_PLAYBOOK_VAULT_PASSWORD_FILE"])
    vault.unlink()
    answer = boss.post("/api/playbook-runs", json={"playbook": "facts", "check": True})
    assert answer.status_code == 503
    assert "playbook_vault_password_file" in answer.json()["error"]["message"]
