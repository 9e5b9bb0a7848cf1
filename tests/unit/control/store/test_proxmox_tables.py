"""Tables of what agents tell of Proxmox VE."""

from nanny_ops.control.store import proxmox_tables


def test_whatever_an_agent_tells_belongs_to_its_team() -> None:
    told = (
        proxmox_tables.clusters,
        proxmox_tables.nodes,
        proxmox_tables.guests,
        proxmox_tables.storages,
        proxmox_tables.tasks,
        proxmox_tables.facts,
        proxmox_tables.usage,
        proxmox_tables.usage_days,
    )
    assert all(not table.c.team_id.nullable and table.c.team_id.foreign_keys for table in told)


def test_all_tables_are_in_one_catalogue() -> None:
    assert {"agents", "operations", "guests", "usage"} <= proxmox_tables.clusters.metadata.tables.keys()
