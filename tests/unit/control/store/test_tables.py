"""What every table must have."""

from nanny_ops.control.store.proxmox_tables import clusters

metadata = clusters.metadata


def test_everything_but_people_and_tokens_belongs_to_a_team() -> None:
    without = {name for name, table in metadata.tables.items() if "team_id" not in table.c}
    of_keys = {
        "script_signatures",
        "release_signatures",
        "release_pieces",
        "signing_key_endorsements",
    }  # by what they are of
    assert without == {"teams", "users", "revoked_tokens", "audit_head", *of_keys}


def test_every_table_has_a_key() -> None:
    assert all(table.primary_key.columns for table in metadata.tables.values())
