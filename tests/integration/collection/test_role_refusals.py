"""What a program refuses a role reaches the person who runs it, although the secret beside it is hidden."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.collection.conftest import Ansible

pytestmark = pytest.mark.timeout(300)
SECRET = "correct horse battery"
#: Lists nobody, and refuses everything else.
PROGRAM = """#!/bin/sh
case " $* " in *" list "*) echo '[]' ;; *) cat >/dev/null; echo "refused: $1 $2" >&2; exit 1 ;; esac
"""


def role(name: str, tasks: str, **variables: Any) -> list[dict[str, Any]]:
    return [{"ansible.builtin.include_role": {"name": f"nanny.ops.{name}", "tasks_from": tasks}, "vars": variables}]


@pytest.mark.parametrize(
    ("name", "tasks", "given", "said"),
    [
        ("control_plane", "account", {"control_plane_admin_password": SECRET}, "refused: user add"),
        ("control_plane", "token", {}, "refused: token add"),
        ("agent", "enrol_by_token", {}, "refused: register --token-file"),
    ],
)
def test_what_a_program_refuses_is_said(
    ansible: Ansible, tmp_path: Path, name: str, tasks: str, given: dict[str, str], said: str
) -> None:
    program = tmp_path / "program"
    program.write_text(PROGRAM)
    program.chmod(0o700)
    named = ("-e", f"control_plane_admin={program}", "-e", f"agent_program={program}")
    given = {"control_plane_admin_email": "a@example.com", **given}
    run = ansible.play(role(name, tasks, **given), *named)
    assert run.code == 2
    assert ": Say why" in run.tasks[-1].task
    assert run.tasks[-1].result["msg"] == said
    assert SECRET not in run.said


@pytest.mark.parametrize(
    "wrong",
    [
        {"control_plane_port": 443},
        {"control_plane_names": [], "control_plane_tls": "none"},
        {"control_plane_wheelhouse": "dist/nanny-agent-1.tar"},
    ],
)
def test_a_control_plane_that_cannot_be_is_refused_before_anything_is_done(
    ansible: Ansible, wrong: dict[str, Any]
) -> None:
    given = {"control_plane_names": ["ops.example.com"], "control_plane_wheelhouse": "dist/nanny-ops-1.tar", **wrong}
    run = ansible.play(role("control_plane", "main", **given), "--check")
    assert run.code == 2
    assert run.tasks[-1].task.endswith("Refuse what cannot be done")
    assert next(iter(wrong)) in run.tasks[-1].result["msg"]
