"""Where versions lie, which of them this process is, and who else may own them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.errors import MachineError, ProgramMissing
from nanny_ops.machine import versions as layout
from nanny_ops.machine.run import Done
from tests.fakes.versions import make_prefix, make_version


def test_a_version_is_known_by_its_environment(tmp_path: Path) -> None:
    made = make_prefix(tmp_path / "prefix")
    home = str(made.home("1.0"))
    assert layout.found(home) == made
    assert layout.found(str(tmp_path / "prefix/current")) == made
    assert layout.running(home) == "1.0"
    assert layout.found(str(tmp_path)) is None
    with pytest.raises(MachineError):
        made.switch("2.0")
    make_version(made.prefix, "2.0")
    assert not layout.replaced(home)
    made.switch("2.0")
    assert made.current == "2.0"
    assert layout.replaced(home)
    assert not layout.replaced(str(made.home("2.0")))
    assert not layout.replaced(str(tmp_path))


@pytest.mark.parametrize(
    ("program", "command"),
    [("dpkg", "apt install --only-upgrade nanny-agent"), ("rpm", "dnf upgrade nanny-agent"), ("", "")],
)
def test_a_package_manager_that_owns_it_is_named_with_its_command(tmp_path: Path, program: str, command: str) -> None:
    def run(argv: Sequence[str], **_given: Any) -> Done:
        if argv[0] != program:
            raise ProgramMissing
        return Done(argv=tuple(argv), exit_code=0, stdout=b"", stderr=b"")

    made = make_prefix(tmp_path / "prefix")
    assert layout.owner(str(made.home("1.0")), run).endswith(command)
    assert bool(layout.owner(str(made.home("1.0")), run)) == bool(command)
    assert program or layout.owner(str(tmp_path), run) == layout.NO_VERSIONS
