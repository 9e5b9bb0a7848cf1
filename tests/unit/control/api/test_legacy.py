"""What agents from before the guide are sent, and what is read out of what they send."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.api.legacy import frame, greeting, guided, is_legacy, is_unbegun, packages
from nanny_ops.control.services.principal import HostAgent, Person

ASKED = {
    "id": "inv-1",
    "agent_id": "agent-1",
    "user_prompt": "why is it slow",
    "status": "pending",
    "priority": "high",
    "created_at": "2026-01-01T00:00:00.000Z",
}
NAMES = {"nodeid": "node_id"}


def test_a_stream_begins_as_they_know_it() -> None:
    assert greeting("abc") == b'id:abc\nevent:PB_CONNECT\ndata:{"clientId":"abc"}\n\n'


PIECES = st.sampled_from(["clientId", "client", "Id", "\\", '"', "\n", "\\u0049", "data:", "a"])


@given(st.lists(PIECES).map("".join))
def test_no_text_of_a_person_drops_or_breaks_an_event(prompt: str) -> None:
    written = frame("abc", {"action": "create", "record": {**ASKED, "user_prompt": prompt}})
    assert written is not None
    lines = written.decode().split("\n")
    assert lines[:2] == ["id:abc", "event:investigations"]
    assert lines[3:] == ["", ""]
    assert "clientId" not in lines[2]
    said = json.loads(lines[2].removeprefix("data:"))
    assert list(said) == ["record", "action"]
    assert said["record"]["user_prompt"] == prompt


def test_an_order_is_told_again_only_before_it_began() -> None:
    told = [is_unbegun({"record": {"status": status}}) for status in ("pending", "delivered", "running")]
    assert told == [True, False, False]


def test_only_agents_speak_a_dialect() -> None:
    assert is_legacy(HostAgent("agent-1", "team", "pve1", dialect="nannyagent"))
    assert not is_legacy(HostAgent("agent-1", "team", "pve1"))
    assert not is_legacy(Person("user-1", "a@example.com", "a", False, {}))


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"nodeid": 1, "name": "pve1"}, {"node_id": 1, "name": "pve1"}),
        ({"nodeid": 1, "node_id": 2}, {"node_id": 2}),
        ({"name": "pve1"}, {"name": "pve1"}),
        ({"name": "nodeid"}, {"name": "nodeid"}),
        (["nodeid"], ["nodeid"]),
    ],
)
def test_names_are_translated(sent: Any, read: dict[str, Any]) -> None:
    found = json.loads(guided(json.dumps(sent).encode(), NAMES))
    assert {name: found[name] for name in read} == read if isinstance(read, dict) else found == read


@given(st.binary(max_size=40))
def test_what_is_not_json_is_left_to_whoever_refuses_it(junk: bytes) -> None:
    raw = b'{"nodeid":' + junk
    try:
        json.loads(raw)
    except ValueError:
        assert guided(raw, NAMES) == raw


@pytest.mark.parametrize(
    ("stdout", "names"),
    [
        (b"", None),
        (b"done\n", None),
        (b"[]\n", []),
        (b'a\n[{"name":"nginx"}]\n', ["nginx"]),
        (b'[{"name":"old"}]\n[{"name":"new"}]\nbye\n', ["new"]),
        (b'[{"name":"nginx"}]\n[not json]\n', ["nginx"]),
        (b'[{"name":"nginx"}]\n[1]\n', None),
        (b'[{"version":"1"}]', None),
        (b'=== JSON Output (for UI parsing) ===\n{"packages":5}', None),
        (b"=== JSON Output (for UI parsing) ===\n" + b"[" * 100_000, None),
        (b"\xff\n[]", []),
    ],
)
def test_the_last_list_counts(stdout: bytes, names: list[str] | None) -> None:
    found = packages(stdout)
    assert (None if found is None else [package.name for package in found]) == names


@given(st.binary(max_size=200))
def test_no_output_is_too_odd(stdout: bytes) -> None:
    packages(stdout + b"\n[" + stdout)
