"""Command lines of pct: options, positions, and the texts with which the real program refuses."""

import pytest

from nanny_ops.lab.command_line import PCT, QM, Call, Refused


def parse(words: list[str]) -> Call:
    options = {"timeout": False, "forceStop": True, "revert": False}
    return PCT.parse(words, lambda _command, option: options.get(option))


def test_words_before_and_after_the_two_dashes() -> None:
    call = parse(["exec", "101", "--keep-env", "0", "--", "ls", "-la", "--", "x"])
    assert call.words == ["101"]
    assert call.options == {"keep-env": "0"}
    assert call.rest == ["ls", "-la", "--", "x"]


def test_exec_without_dashes_takes_plain_words() -> None:
    assert parse(["exec", "101", "uname"]).rest == ["uname"]


def test_exec_without_dashes_refuses_options_of_the_program() -> None:
    with pytest.raises(Refused) as refused:
        parse(["exec", "101", "ls", "-la"])
    assert refused.value.code == 255
    assert refused.value.text.startswith("Unknown option: la\n400 unable to parse option\n")


@pytest.mark.parametrize("words", [["--perms", "0700"], ["--perms=0700"], ["-perms", "0700"]])
def test_a_value_may_follow_or_stand_behind_an_equals_sign(words: list[str]) -> None:
    assert parse(["push", "101", "/a", "/b", *words]).options["perms"] == "0700"


def test_a_flag_needs_no_value() -> None:
    assert parse(["shutdown", "101", "--forceStop", "--timeout", "3"]).options == {"timeout": "3", "forceStop": "1"}


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["push", "101", "/a"], ["status", "101", "102"], ["list", "x"]])
def test_other_lines_are_refused(words: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        parse(words)
    assert refused.value.code == 255


def test_what_is_given_twice_adds_up() -> None:
    assert parse(["set", "101", "--revert", "features", "--revert", "hostname"]).options == {
        "revert": "features,hostname"
    }


def test_commands_of_two_words() -> None:
    call = QM.parse(["guest", "exec", "203", "--timeout", "2", "--", "sleep", "10"])
    assert (call.command, call.words, call.rest, call.options["timeout"]) == (
        "guest exec",
        ["203"],
        ["sleep", "10"],
        "2",
    )


def test_wrong_values_end_with_the_usage() -> None:
    refused = PCT.wrong_parameters("set", {"memory": "value must have a minimum value of 16"})
    told = "400 Parameter verification failed.\nmemory: value must have a minimum value of 16\npct set <vmid> [OPTIONS]"
    assert refused.text == told
