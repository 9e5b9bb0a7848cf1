"""Roles rank within a team, and reach no further."""

import pytest

from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.errors import Forbidden

ANN = Person("user-a", "ann@example.com", "ann", False, {"team-1": "operator", "team-2": "viewer"})


@pytest.mark.parametrize(("team", "role", "allowed"), [
    ("team-1", "viewer", True), ("team-1", "operator", True), ("team-1", "admin", False),
    ("team-2", "viewer", True), ("team-2", "operator", False), ("team-3", "viewer", False),
])  # fmt: skip
def test_a_role_counts_in_its_team_only(team: str, role: str, allowed: bool) -> None:
    if allowed:
        ANN.require(team, role)  # type: ignore[arg-type]
        return
    with pytest.raises(Forbidden, match=role):
        ANN.require(team, role)  # type: ignore[arg-type]


def test_the_team_to_act_in_is_one_where_the_role_is_held() -> None:
    assert ANN.team_for("operator") == "team-1"
    assert set(ANN.teams) == {"team-1", "team-2"}
    with pytest.raises(Forbidden):
        ANN.team_for("admin")


def test_an_agent_belongs_to_one_team() -> None:
    assert HostAgent("agent-1", "team-1", "pve1").teams == ("team-1",)
