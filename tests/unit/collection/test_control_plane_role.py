"""The role ``control_plane`` knows the settings that there are."""

from typing import Any

import pytest
import yaml

from nanny_ops.control.settings import SETTINGS, Setting
from tests.house.tree import ROOT
from tests.unit.collection.test_agent_role import evaluated

SPECS = ROOT / "ansible/collections/ansible_collections/nanny/ops/roles/control_plane/meta/argument_specs.yml"
#: Written by the role from variables of their own, fixed by the units, or no setting for a file.
NOT_GIVEN = {"host", "port", "public_url", "tls_cert", "tls_key", "behind_proxy", "data_dir", "backup_dir"}
NOT_GIVEN |= {"database_url", "secret_key"}


def described(row: Setting) -> dict[str, Any]:
    """Describe a setting as the role's specification does."""
    kind = "path" if "Path" in row.kind else row.kind.replace("Literal", "str")
    return {"description": row.help, "type": kind}


def test_it_takes_every_setting_and_no_other() -> None:
    role = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]
    options = role["control_plane_settings"]["options"]
    given = {name: {key: body[key] for key in ("description", "type")} for name, body in options.items()}
    assert given == {row.key: described(row) for row in SETTINGS if row.key not in NOT_GIVEN}


@pytest.mark.parametrize(("authority", "file"), [("-----BEGIN", "/site/nanny-ops-ca.pem"), ("", "")])
def test_a_file_of_an_authority_is_read_only_where_one_was_written(authority: str, file: str) -> None:
    _, agents, end = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    told = {"inventory_dir": "/site", "control_plane_ca_certificate": authority}
    named = [agents["roles"][1]["agent_operator_ca_file"], end["vars"]["control_plane_ca_file"]]
    assert [evaluated(one, **told, site_plane=told) for one in named] == [file, file]
