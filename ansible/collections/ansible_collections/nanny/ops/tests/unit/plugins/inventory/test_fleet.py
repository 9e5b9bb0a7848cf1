# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each host has a name of its own that does not depend on who comes first, and the groups that it belongs to."""

from __future__ import annotations

from ansible_collections.nanny.ops.plugins.inventory.fleet import group_words, named


def row(name, kind="lxc", vmid=None, **more):
    base = {"name": name, "kind": kind, "vmid": vmid, "agent_id": "a-" + name, "guest_id": "g%s" % vmid}
    empty = {"node": "", "cluster": "", "pool": "", "os": "", "status": "", "upkeep": "", "tags": []}
    return {**base, **empty, "restart_required": None, **more}


def test_names_that_are_shared_get_the_number():
    rows = [row("pve1", "host"), row("web", vmid=1), row("same", vmid=2), row("same", vmid=3), row("pve1", vmid=4)]
    assert [name for name, dummy in named(rows)] == ["pve1", "web", "same-2", "same-3", "pve1-4"]
    assert {name for name, dummy in named(rows[::-1])} == {"pve1", "web", "same-2", "same-3", "pve1-4"}


def test_one_name_and_number_in_two_clusters():
    rows = [row("web", vmid=1, guest_id="x"), row("web", vmid=1, guest_id="y"), row("", vmid=7)]
    assert [name for name, dummy in named(rows)] == ["web-1", "web-1-y", "lxc-7"]


def test_nothing_is_taken_for_the_controller():
    rows = [row("localhost", "host"), row("localhost", vmid=1), row("127.0.0.1", vmid=2)]
    assert [name for name, dummy in named(rows)] == ["localhost-a-localhost", "localhost-1", "127.0.0.1-2"]


def test_no_name_is_an_option_of_ssh_or_a_way_out_of_a_folder():
    rows = [row("-oProxyCommand=id", vmid=1), row("../../etc/x", "host", agent_id="a")]
    rows += [row("a b", vmid=2), row("-", vmid=3)]
    assert [name for name, dummy in named(rows)] == ["oProxyCommand_id-1", "etc_x-a", "a_b-2", "lxc-3"]
    assert [name for name, dummy in named([row("x\n", vmid=4)])] == ["x_-4"]


def test_groups():
    words = group_words(row("web", vmid=1, node="pve1", tags=["a", "b"], status="running", restart_required=True))
    assert words == ["lxc", "node_pve1", "status_running", "tag_a", "tag_b", "restart_required"]
    assert group_words(row("pve1", "host", cluster="lab")) == ["hosts", "cluster_lab"]
