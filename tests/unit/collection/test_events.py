"""The source of events: lines become events, the position survives, and what is wrong is said at once."""

import asyncio
import importlib.util
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
    asyncio.run(source._hand_over(("gap", "9", '{"last_seen": 1, "resumes_after": 9}'), position, queue, []))
    assert queue.get_nowait()["nanny"] == {"kind": "gap", "last_seen": 1, "resumes_after": 9}
    assert position.seq == "9"
