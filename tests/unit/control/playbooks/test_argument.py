"""What a playbook takes, and what it refuses with which sentence."""

from typing import Any

import pytest

from nanny_ops.control.playbooks import argument
from nanny_ops.errors import ValidationFailed

SPECS: dict[str, Any] = {
    "main": {
        "options": {
            "note": {"type": "str", "required": True, "description": ["Two", "parts"]},
            "level": {"type": "int", "choices": [1, 2], "default": 1},
            "names": {"type": "list", "elements": "str"},
            "ratio": {"type": "float"},
            "wet": {"type": "bool"},
            "api_key": {"type": "str", "no_log": True, "required": True},
            "more": {"type": "dict"},
        }
    }
}


def test_options_are_read_as_they_are_written() -> None:
    found = {one.name: one for one in argument.options(SPECS)}
    assert found["note"].required
    assert found["note"].description == "Two parts"
    assert (found["level"].choices, found["level"].default) == ([1, 2], 1)
    assert found["api_key"].secret


@pytest.mark.parametrize(
    "given",
    [{"note": "x"}, {"note": "x", "level": 2, "names": ["a"], "ratio": 1, "wet": True, "more": {"a": {"b": [1]}}}],
)
def test_what_fits_is_taken(given: dict[str, Any]) -> None:
    argument.check(argument.options(SPECS), given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "'note' is missing"),
        ({"note": "x", "nope": 1}, "takes no 'nope'. It takes: api_key, level"),
        ({"note": 1}, "'note' must be a text"),
        ({"note": "x", "level": "1"}, "'level' must be a whole number"),
        ({"note": "x", "level": True}, "'level' must be a whole number"),
        ({"note": "x", "level": 3}, "'level' must be one of: 1, 2"),
        ({"note": "x", "names": ["a", 1]}, r"'names\[\]' must be a text"),
        ({"note": "x", "wet": "yes"}, "'wet' must be true or false"),
        ({"note": "x", "api_key": "y"}, "'api_key' is a secret"),
        ({"note": "{{ lookup('pipe', 'id') }}"}, "'note' holds a template"),
        ({"note": "x", "more": {"a": ["{% x %}"]}}, "'more' holds a template"),
        ({"note": "x", "more": {"{{ x }}": 1}}, "'more' holds a template"),
        ({"note": "#jinja2:variable_start_string:'[['\n[[ lookup('pipe', 'id') }}"}, "'note' holds a template"),
        ({"note": "#jinja2:variable_start_string:'[',variable_end_string:']'\n[ 1 ]"}, "'note' holds a template"),
        ({"note": "x", "more": {"a": [{"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256"}]}}, "key of Ansible's own"),
        ({"note": "x" * 20_000}, "longer than"),
        ({"note": "x", "more": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}}}, "too deeply"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationFailed, match=sentence):
        argument.check(argument.options(SPECS), given)


@pytest.mark.parametrize(
    "specs",
    [
        "x",
        {"main": 1},
        {"main": {"options": 1}},
        {"main": {"options": {"a b": {}}}},
        {"main": {"options": {"a": {"type": "jsonarg"}}}},
        {"main": {"options": {"a": {"type": "list", "elements": "x"}}}},
    ],
)
def test_what_is_no_specification_is_named(specs: Any) -> None:
    with pytest.raises(ValidationFailed, match="argument_specs"):
        argument.options(specs)
