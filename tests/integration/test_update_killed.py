"""An agent killed at each step of its own update: one version runs in the end, and it is told once what came of it."""

from pathlib import Path

import pytest

from tests.fakes.updating import UpdatingAgent


@pytest.mark.rows("F7", "F11")
@pytest.mark.parametrize("healthy", [True, False])
def test_killed_at_any_step_it_ends_the_same_and_is_told_once(tmp_path: Path, *, healthy: bool) -> None:
    (tmp_path / "whole").mkdir()
    whole = UpdatingAgent(tmp_path / "whole", healthy=healthy)
    whole.until_done()
    for at in range(1, whole.steps + 1):
        (tmp_path / str(at)).mkdir()
        agent = UpdatingAgent(tmp_path / str(at), healthy=healthy)
        agent.kill_at = at
        agent.until_done()
        seen = ([one["outcome"] for one in agent.told], agent.current)
        # Killed three times before it is confirmed it may be given back; once does not do that.
        assert seen == ((["ok"], "2.0") if healthy else (["rolled_back"], "1.0")), at
        assert len(list((agent.versions.prefix / "versions").iterdir())) <= 2
