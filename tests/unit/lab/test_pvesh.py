"""Command lines and answers of ``pvesh``."""

import pytest

from nanny_ops.lab.command_line import Refused
from nanny_ops.lab.pvesh import read, written


def test_a_line_is_read() -> None:
    words = ["get", "/cluster/resources", "--type", "vm", "--output-format=json", "--x", "1", "--x", "2"]
    assert read(words) == ("get", "/cluster/resources", {"type": "vm", "x": ["1", "2"]}, {"output-format": "json"})


@pytest.mark.parametrize("words", [[], ["get"], ["frob", "/"], ["get", "/", "more"]])
def test_other_lines_are_refused(words: list[str]) -> None:
    with pytest.raises(Refused):
        read(words)


def test_json_is_sorted_and_dense() -> None:
    assert written([{"b": 1, "a": "ä"}], "json") == '[{"a":"ä","b":1}]\n'
    assert written({"a": 1}, "json-pretty") == '{\n   "a" : 1\n}\n'


def test_plain_values_are_text_and_tables_are_refused() -> None:
    assert (written("100", "text"), written(None, "text")) == ("100\n", "")
    with pytest.raises(Refused, match="no tables"):
        written([], "text")
