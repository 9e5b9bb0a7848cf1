"""Two control planes of one database, each with a data directory: what one carries out, the other shows and cancels."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.integration.control.conftest import Server, make_server, sign_in
from tests.integration.control.test_playbook_api import HANG, HANG_META, alive, ended, order, pids
from tests.unit.control.conftest import emptied

# Four starts of a control plane and the migrations of an empty PostgreSQL.
pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]


@pytest.fixture
def planes(postgres_url: str, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Two that serve, with the same key for people's tokens."""
    own = tmp_path / "own"
    own.mkdir(mode=0o755)
    (own / "hang.yml").write_text(HANG)
    (own / "hang.meta.yml").write_text(HANG_META)
    url = emptied(postgres_url).replace("postgresql+psycopg://", "postgresql://")
    named = {"NANNY_DATABASE_URL": url, "NANNY_PLAYBOOK_DIR": str(own), "NANNY_SECRET_KEY": "k" * 64}
    one = make_server(tmp_path / "one", **named)
    two = replace(one, data_dir=tmp_path / "two")
    one.start()
    two.start()
    yield one, two
    two.stop()
    one.stop()


def test_a_run_is_cancelled_from_another_process_and_leaves_none_behind(
    planes: tuple[Server, Server], tmp_path: Path
) -> None:
    one, two = planes
    with sign_in(one, "admin") as here, sign_in(two, "admin") as there:
        run = order(here, "hang", vars={"where": str(tmp_path / "pids")})
        waiting = order(here, "hang", vars={"where": str(tmp_path / "other")}, check=True)
        mine = pids(tmp_path / "pids")
        assert len(alive(mine)) == 2
        ended(there, waiting)
        assert there.post(f"/api/playbook-runs/{run['id']}/cancel").json()["cancel_requested_at"]
        assert _outcomes(run["id"], here, there) == ["cancelled", "cancelled"]
        assert alive(mine) == []
        lost = order(here, "hang", vars={"where": str(tmp_path / "third")})
        third = pids(tmp_path / "third")
        one.kill()
        there.post(f"/api/playbook-runs/{lost['id']}/cancel").raise_for_status()
        assert len(alive(third)) == 2
        one.start()
        assert ended(there, lost)["outcome"] == "cancelled"
        assert alive(third) == []


def _outcomes(run_id: str, *clients: httpx.Client) -> list[str]:
    return [ended(client, {"id": run_id})["outcome"] for client in clients]
