"""The catalogue is closed: a name and values of the right shape, and never a program, an option or a path."""

import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.errors import ProgramMissing, VerbRefused
from nanny_ops.machine.commands import BY_NAME, CAP, COMMANDS, argv, perform_command
from nanny_ops.machine.run import Done
from nanny_ops.machine.verbs import RunCommand

GIVEN = {"unit": "ssh.service", "lines": "50", "hours": "3", "vmid": "101", "disk": "nvme0n1"}


def asked(name: str, **more: Any) -> RunCommand:
    return RunCommand(name=name, arguments={key: GIVEN[key] for key in BY_NAME[name].parameters}, **more)


def test_each_command_has_words_for_its_parameters_and_no_others() -> None:
    assert len(BY_NAME) == len(COMMANDS)
    for command in COMMANDS:
        used = {field for word in command.argv for _, field, _, _ in string.Formatter().parse(word) if field}
        assert used == set(command.parameters) >= set(command.defaults)
        assert all(
            shape.fullmatch(command.defaults[key])
            for key, shape in command.parameters.items()
            if key in command.defaults
        )
        assert re.fullmatch("[a-z][a-z0-9-]{0,63}", command.name)
        words = argv(asked(command.name))
        assert words[0] not in ("sh", "bash", "env")
        assert not any("{" in word for word in words)


@given(value=st.text(max_size=20))
def test_no_value_becomes_an_option_a_path_or_a_second_word(value: str) -> None:
    for command in COMMANDS:
        for name in command.parameters:
            asked = RunCommand(
                name=command.name, arguments={**{key: GIVEN[key] for key in command.parameters}, name: value}
            )
            try:
                words = argv(asked)
            except VerbRefused:
                continue
            assert len(words) == len(command.argv)
            assert not value.startswith("-")
            assert not set(value) & set(" /\\\"'$`;&|<>*?\n\0")


@pytest.mark.parametrize(
    "forged",
    [
        RunCommand(name="sh"),
        RunCommand(name="df "),
        RunCommand(name=""),
        RunCommand(name="df", arguments={"path": "/etc/shadow"}),
        RunCommand(name="journal"),
        RunCommand(name="journal", arguments={"unit": "--file=/etc/shadow"}),
        RunCommand(name="journal", arguments={"unit": "ssh", "lines": "0"}),
        RunCommand(name="journal", arguments={"unit": "ssh", "lines": "99999"}),
        RunCommand(name="journal", arguments={"unit": "ssh\n"}),
        RunCommand(name="smart", arguments={"disk": "../mem"}),
        RunCommand(name="pct-config", arguments={"vmid": "101 --current"}),
        RunCommand(name="pct-config", arguments={"vmid": "101"}, vmid=101),
        RunCommand(name="df", vmid=99),
        RunCommand(name="df", vmid=-101),
    ],
    ids=repr,
)
def test_what_the_catalogue_does_not_hold_is_refused(forged: RunCommand) -> None:
    with pytest.raises(VerbRefused):
        argv(forged)


def test_in_a_container_it_runs_with_a_clean_environment() -> None:
    words = argv(asked("journal", vmid=101))
    assert words[:6] == ["pct", "exec", "101", "--", "env", "-i"]
    assert words[-1] == "--unit=ssh.service"


def test_what_it_said_comes_back_bounded() -> None:
    seen: dict[str, Any] = {}

    def run(words: list[str], **how: Any) -> Done:
        seen.update(how, words=words)
        return Done(argv=tuple(words), exit_code=1, stdout=b"a\xff", stderr=b"b", stdout_truncated=True, seconds=0.25)

    found = perform_command(RunCommand(name="free"), run=run, path="/sbin:/opt")
    assert (found.exit_code, found.stdout, found.truncated, found.seconds) == (
        1,
        "a\N{REPLACEMENT CHARACTER}",
        True,
        0.25,
    )
    assert (seen["words"], seen["cap"], seen["timeout"]) == (["free", "-m"], CAP, 20.0)
    assert set(seen["env"]) == {"PATH", "LC_ALL", "HOME"}
    assert seen["env"]["PATH"].startswith("/sbin:/opt:")


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ProgramMissing, match="no program free"):
        perform_command(RunCommand(name="free"), run=lambda *_words, **_how: (_ for _ in ()).throw(ProgramMissing("x")))
