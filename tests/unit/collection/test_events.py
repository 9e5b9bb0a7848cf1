"""The source of events: lines become events, the position survives, and what is wrong is said at once."""

import asyncio
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.house.tree import ROOT

SOURCE = ROOT / "ansible/collections/ansible_collections/nanny/ops/extensions/eda/plugins/event_source/events.py"


@pytest.fixture(scope="module")
def source() -> ModuleType:
    """The source as ansible-rulebook loads it: from its file."""
    spec = importlib.util.spec_from_file_location("nanny_events", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lines_become_events(source: ModuleType) -> None:
    lines = source.Lines()
    said = [": ping", "", "event: record", "id: 7", "data: {", "data:}", "", "retry: 5", ""]
    assert [event for line in said if (event := lines.take(line))] == [("record", "7", "{\n}")]


def test_the_position_survives(source: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "seq"
    source.Position(str(file)).keep("12")
    assert source.Position(str(file)).seq == "12"
    assert [path.name for path in tmp_path.iterdir()] == ["seq"]
    file.write_text("moon")
    with pytest.raises(ValueError, match="no number"):
        source.Position(str(file))
    assert source.Position(None).seq == ""


@pytest.mark.parametrize(
    ("kinds", "fits"), [([], True), (["guest"], True), (["guest.started"], True), (["gue"], False), (["node"], False)]
)
def test_kinds_and_families_of_kinds(source: ModuleType, kinds: list[str], fits: bool) -> None:
    assert source.fits("guest.started", kinds) is fits


@pytest.mark.parametrize(
    "args",
    [{"url": "http://ops.example.com", "token": "x"}, {"url": "moon", "token": "x"}, {"token": "x"}],
)
def test_wrong_arguments_are_said_at_once(source: ModuleType, args: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"nanny\.ops\.events"):
        asyncio.run(source.main(asyncio.Queue(), args))


def test_what_is_lost_is_told_as_a_gap(source: ModuleType, tmp_path: Path) -> None:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    (tmp_path / "seq").write_text("1\n")
    position = source.Position(str(tmp_path / "seq"))
    gap = ("gap", "9", '{"last_seen": 1, "resumes_after": 9}')
    asyncio.run(source.hand_over("https://ops", gap, position, source.Way(queue, {}), ["gap"]))
    assert queue.get_nowait()["nanny"] == {"kind": "gap", "last_seen": 1, "resumes_after": 9, "seq": 9}
    assert position.seq == "9"
    asyncio.run(source.hand_over("https://ops", gap, position, source.Way(queue, {}), ["patch"]))
    assert queue.empty()


def record(seq: int, **fields: Any) -> tuple[str, str, str]:
    """Return an event as it is read from the stream."""
    return ("record", str(seq), json.dumps({"record": {"kind": "patch.ended", "name": "web", **fields}}))


def test_the_number_is_kept_when_the_engine_has_stored_the_event(source: ModuleType, tmp_path: Path) -> None:
    async def told() -> tuple[str, str, dict[str, Any]]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        stored: asyncio.Queue[Any] = asyncio.Queue()
        position = source.Position(str(tmp_path / "deep" / "seq"))
        way = source.Way(queue, {"eda_feedback_queue": stored})
        handing = asyncio.create_task(source.hand_over("https://ops", record(7), position, way, []))
        event = await queue.get()
        await asyncio.sleep(0)
        before = position.seq
        way.late = 0.01  # a second, so that what the engine has stored is on its disk
        await stored.put(event)
        await handing
        assert not position.path.exists()
        await asyncio.sleep(0.05)
        return before, position.path.read_text().strip(), event

    before, after, event = asyncio.run(told())
    assert (before, after) == ("", "7")
    assert event == source.as_event("https://ops", {"kind": "patch.ended", "name": "web"}, "7")
    assert event["meta"]["uuid"] != source.as_event("https://ops", {}, "8")["meta"]["uuid"]


def test_an_engine_that_takes_nothing_ends_the_source(source: ModuleType, tmp_path: Path) -> None:
    position = source.Position(str(tmp_path / "seq"))
    way = source.Way(asyncio.Queue(), {"eda_feedback_queue": asyncio.Queue()}, patience=0)
    with pytest.raises(source.NotTaken, match="was not taken"):
        asyncio.run(source.hand_over("https://ops", record(7), position, way, []))
    assert position.seq == "", "begun anew, it tells that event again"


def test_plays_are_limited_to_the_host_unless_they_are_for_others(source: ModuleType, tmp_path: Path) -> None:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    for limited in (True, False):
        way = source.Way(queue, {"limit_to_host": limited})
        asyncio.run(source.hand_over("https://ops", record(7), source.Position(None), way, []))
    assert queue.get_nowait()["meta"]["hosts"] == ["web"]
    assert "hosts" not in queue.get_nowait()["meta"]


def test_no_text_names_other_signs_for_templates(source: ModuleType) -> None:
    told = {"reason": "#jinja2:variable_start_string:'[['\n[[ 1 ]]", "name": "a #jinja2: b"}
    found = source.inert(told)
    assert found["reason"].startswith("# jinja2:")
    assert found["name"] == told["name"]


def test_no_template_begins_in_what_was_told(source: ModuleType) -> None:
    told = {"name": "{{ lookup('pipe', 'id') }}", "detail": {"reason": ["{{{ x }}}", "{% if %}", "{# #}", "{}"]}}
    event = source.as_event("https://ops", told, "1")
    assert event["nanny"]["detail"]["reason"] == ["{ { { x }}}", "{ % if %}", "{ # #}", "{}"]
    assert "{{" not in str(event["meta"])
    assert "{{" not in event["nanny"]["name"]


@pytest.mark.parametrize(
    "name", ["all", "ungrouped", "localhost", "::1", "web*", "a:b", "!web", "~.*", "web,db", "@f", "&x"]
)
def test_a_name_that_ansible_reads_as_many_hosts_is_nobodys(source: ModuleType, name: str) -> None:
    assert source.as_event("https://ops", {"name": name}, "1")["meta"]["hosts"] == ["nobody.invalid"]
    assert source.as_event("https://ops", {"name": "web-1.example_x"}, "1")["meta"]["hosts"] == ["web-1.example_x"]
