"""The ticker expires what is due, and survives a database that does not answer."""

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from nanny_ops.control import scheduler
from nanny_ops.control.app import make_state, prepare
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import rollup, series, usage
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import breaker, proxmox
from nanny_ops.control.store import operation as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import usage as usage_store
from nanny_ops.protocol.clock import micros, now


@pytest.mark.rows("F11")
async def test_an_overdue_order_expires_at_the_next_tick(tmp_path: Path) -> None:
    state = make_state(Settings(data_dir=tmp_path))
    prepare(state.database)
    state.database.start()
    at = micros(now() - timedelta(hours=1))
    row = agents.Agent("agent-1", teams.DEFAULT, "pve1", "", "", "", "", "", "linux", [], "active", at)
    order = store.Operation(
        "patch-1", teams.DEFAULT, "agent-1", "patch", "pending", "host", {"mode": "apply", "timeout_seconds": 1},
        "user-1", at, at, at,
    )  # fmt: skip
    await state.database.write(lambda tx: agents.add(tx, row))
    await state.database.write(lambda tx: operations.create(tx, order))
    ticker = scheduler.make(scheduler.Ticker(state.database, state.settings, state.counts))
    expire = ticker.get_jobs()[0].func
    await expire()
    found = await state.database.read(lambda tx: store.find(tx, "patch-1"))
    assert found is not None
    assert found.status == "expired"
    state.database.close()


async def test_a_tick_without_database_is_a_warning_not_a_crash(tmp_path: Path) -> None:
    state = make_state(Settings(data_dir=tmp_path))
    state.database.start()  # never migrated: the table is not there
    for job in scheduler.make(scheduler.Ticker(state.database, state.settings, state.counts)).get_jobs():
        await job.func()
    state.database.close()


async def test_usage_is_rolled_up_and_silence_noted_by_the_tick(tmp_path: Path) -> None:
    state = make_state(Settings(data_dir=tmp_path))
    prepare(state.database)
    state.database.start()
    at = micros(now() - timedelta(hours=3))
    row = agents.Agent("agent-1", teams.DEFAULT, "pve1", "", "", "", "", "", "linux", [], "active", at, last_seen=at)
    node = proxmox.Node("n", teams.DEFAULT, "agent-1", None, "pve1", "", 1, "", {}, "agent-1", at, at)
    body = series.pack(series.of_rows([("node/pve1", {"cpu": 0.5})], usage.COLUMNS))
    await state.database.write(lambda tx: agents.add(tx, row))
    await state.database.write(lambda tx: proxmox.put(tx, node, known=False))
    await state.database.write(lambda tx: usage.keep(tx, teams.DEFAULT, "agent-1", "agent-1", at, body))
    for job in scheduler.make(scheduler.Ticker(state.database, state.settings, state.counts)).get_jobs():
        await job.func()
    day = at // rollup.DAY
    rolled = await state.database.read(lambda tx: usage_store.days(tx, "agent-1", {teams.DEFAULT}, day))
    known = await state.database.read(lambda tx: proxmox.node(tx, "n", {teams.DEFAULT}))
    assert set(rolled) == {"node/pve1"}
    assert known is not None
    assert known.unknown_since == at
    state.database.close()


async def test_a_tick_drops_old_orders_and_tells_of_a_node_that_rests(tmp_path: Path) -> None:
    state = make_state(Settings(data_dir=tmp_path))
    prepare(state.database)
    state.database.start()
    at = micros(now() - timedelta(days=800))
    row = agents.Agent("agent-1", teams.DEFAULT, "pve1", "", "", "", "", "", "linux", [], "active", at)
    old = store.Operation(
        "patch-1", teams.DEFAULT, "agent-1", "patch", "completed", "host", {"mode": "apply"}, "user-1", at, at, at,
        finished_at=at,
    )  # fmt: skip
    failing = breaker.Breaker("agent-1", teams.DEFAULT, 3, "disk_full: r", micros(now()))
    printed = tmp_path / "results" / "patch-1" / "r" / "stdout"
    printed.parent.mkdir(parents=True)
    printed.write_text("printed")
    await state.database.write(lambda tx: (agents.add(tx, row), store.add(tx, old)))
    await state.database.write(lambda tx: breaker.put(tx, failing, known=False))
    for job in scheduler.make(scheduler.Ticker(state.database, state.settings, state.counts)).get_jobs()[:2]:
        await job.func()
    assert await state.database.read(lambda tx: store.find(tx, "patch-1")) is None
    assert not printed.parent.parent.exists()
    told = generate_latest(state.counts.registry).decode().splitlines()
    assert {'nanny_rows_pruned_total{what="operations"} 1.0', "nanny_nodes_resting 1.0"} <= set(told)
    state.database.close()
