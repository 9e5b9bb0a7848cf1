"""The control plane on PostgreSQL, from enrolment to a delivered result, over real HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from nanny_ops.protocol.clock import now, stamp
from tests.integration.control.conftest import Server, enrol_by, make_server, sign_in
from tests.integration.control.guide import METRICS
from tests.integration.control.listener import deliver, listening, order
from tests.unit.control.conftest import emptied

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def on_postgres(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A control plane whose database is PostgreSQL, named as an operator names it."""
    url = emptied(postgres_url).replace("postgresql+psycopg://", "postgresql://")
    server = make_server(tmp_path_factory.mktemp("postgres") / "data", NANNY_DATABASE_URL=url)
    server.start()
    yield server
    server.stop()
    assert not list(server.data_dir.glob("*.db"))


def test_an_order_goes_round(on_postgres: Server) -> None:
    with sign_in(on_postgres, "operator") as operator:
        agent = enrol_by(on_postgres, operator, "pve1", platform_family="debian")
        reading = {**METRICS, "agent_id": agent.id, "timestamp": stamp(now())}
        assert agent.client.post("/api/agent", json=reading).status_code == 200
        with listening(on_postgres, agent) as ear:
            placed = order(operator, agent)
            assert ear.next().data["record"]["id"] == placed["id"]
        assert deliver(agent, placed["id"]).status_code == 200
        assert operator.get(f"/api/patches/{placed['id']}").json()["status"] == "completed"
        assert operator.get("/api/agents").json()["items"][0]["health_status"] == "healthy"
        agent.client.close()


def test_it_is_ready_and_survives_a_kill(on_postgres: Server) -> None:
    checks = httpx.get(f"{on_postgres.url}/health/ready", timeout=10).json()["checks"]
    assert checks["database"] == "connected"
    on_postgres.kill()
    on_postgres.start()
    with sign_in(on_postgres, "operator") as operator:
        assert operator.get("/api/agents").json()["total"] == 1
