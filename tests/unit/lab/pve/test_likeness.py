"""What compares answers with recorded ones must find what is different, or nothing that it says is worth anything."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.conformance.likeness import differences, sentence
from tests.integration.conformance.naming import CHANGED, RECORDED
from tests.integration.conformance.recording import recordings

GUEST = {"vmid": 101, "status": "running", "mem": 5, "netin": "7", "name": "web1"}


@pytest.mark.parametrize(
    "other",
    [
        {"vmid": 101, "status": "running", "mem": 5, "netin": "7"},
        GUEST | {"mem": "5"},
        GUEST | {"netin": 7},
        GUEST | {"netin": "many"},
        GUEST | {"mem": True},
        GUEST | {"mem": None},
        GUEST | {"status": "stopped"},
        GUEST | {"more": 1},
        GUEST | {"mem": [5]},
    ],
)
def test_each_difference_is_found(other: dict[str, Any]) -> None:
    assert differences({"data": [GUEST]}, {"data": [other]})
    assert differences({"data": GUEST}, {"data": other})


def test_figures_may_differ() -> None:
    assert differences({"data": [GUEST]}, {"data": [GUEST | {"mem": 99, "netin": "1"}]}) == []


def test_rows_must_be_the_recorded_ones_and_those_that_were_added() -> None:
    both = [GUEST, GUEST | {"vmid": 8888}]
    assert differences(both, [GUEST])
    assert differences([GUEST], both)
    assert differences([GUEST], both, frozenset({8888})) == []
    assert differences([], [GUEST])
    assert differences([GUEST], [])


def test_a_key_is_optional_only_where_some_recorded_row_lacks_it() -> None:
    tagged = GUEST | {"vmid": 102, "tags": "a"}
    assert differences([GUEST, tagged], [GUEST, tagged]) == []
    assert differences([tagged], [{key: value for key, value in tagged.items() if key != "tags"}])


def test_of_a_sentence_only_process_ids_are_passed_over() -> None:
    assert sentence("/x/103.conf.tmp.130' - no") == sentence("/x/103.conf.tmp.99' - no")
    assert sentence("CT 103 not running") != sentence("CT 104 not running")


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from _leaves(part, (*path, key))


@pytest.mark.parametrize("release", ["8.4", "9.2"])
def test_recorded_answers_with_one_key_gone_or_of_another_type_are_unlike(release: str) -> None:
    dice = random.Random(7)
    for recording in recordings(release, RECORDED):
        body = recording.answer.body
        keys = [path for path in _leaves(body) if isinstance(path[-1], str)] if body else []
        if not body or not keys:
            continue
        path = dice.choice(keys)
        changed = copy.deepcopy(body)
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = {"of": {"another": "type"}}
        assert differences(body, changed), (recording.name, path)
        assert differences(body, body) == [], recording.name


def test_other_names_leave_nothing_of_the_recorded_ones() -> None:
    for recording in recordings("8.4", CHANGED):
        told = f"{recording.path} {recording.answer.body} {recording.answer.reason}"
        assert "pve1" not in told, recording.name
        assert "/103" not in told, recording.name
