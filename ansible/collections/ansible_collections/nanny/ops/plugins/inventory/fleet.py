# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory of hosts with an agent and of their guests, from the control plane."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: Hosts with an agent, and their guests
version_added: 0.1.0
description:
  - Asks the control plane for all hosts with an agent and for their guests, two thousand with each request.
  - Everything that is known of a host is in its variable C(nanny), what was told of it otherwise in C(nanny.facts).
  - An order for it needs C(nanny.agent_id) and C(nanny.vmid).
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane.plugin
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [nanny.ops.fleet]
  kinds:
    description: What to take in.
    type: list
    elements: str
    choices: [host, lxc, qemu]
    default: [host, lxc, qemu]
  templates:
    description: Whether to take in templates, in which nothing runs.
    type: bool
    default: false
  facts:
    description: Whether to keep C(nanny.facts).
    type: bool
    default: true
  group_prefix:
    description:
      - What the names of groups begin with.
      - There are groups by kind, node, cluster, tag, pool, operating system, status and state of upkeep, and one of
        what must be restarted, such as C(nanny_lxc), C(nanny_node_pve1), C(nanny_tag_web), C(nanny_restart_required).
    type: str
    default: nanny_
  connection:
    description:
      - How Ansible connects to guests.
      - V(address) connects to the first address of a guest that is known.
      - V(proxmox_pct_remote) runs commands in containers by C(pct) over SSH to their node, which needs the collection
        C(community.proxmox). Virtual machines are reached by their address.
      - V(none) sets nothing.
    type: str
    choices: [address, proxmox_pct_remote, none]
    default: address
"""

EXAMPLES = r"""
---
# nanny.yml
plugin: nanny.ops.fleet
url: https://ops.example.com:8443
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/nanny
cache_timeout: 300
groups:
  due: nanny.upkeep == "pending" and nanny.kind != "host"
keyed_groups:
  - key: nanny.facts.arch
    prefix: arch
"""

import re
from collections import Counter

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.nanny.ops.plugins.module_utils.control_plane import ControlPlaneError, control_plane

#: Rows that are asked for at once.
PAGE = 2000
#: Names that Ansible has for the controller: a guest called so would get what is delegated there.
LOCAL = ("localhost", "127.0.0.1", "::1")
#: What every machine may be called. Others tell their names as they like, and ssh takes one that begins with a dash for
#: an option, such as a command to run on the controller.
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
FOREIGN = re.compile(r"[^A-Za-z0-9._-]")
CONNECTION = ("url", "token", "ca_file", "validate_certs", "request_timeout", "request_tries")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Hosts and guests of a control plane."""

    NAME = "nanny.ops.fleet"

    def verify_file(self, path):
        """Take files that name this plugin and end as such files do."""
        return super().verify_file(path) and path.endswith(("nanny.yml", "nanny.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        """Read the file, ask or look into the cache, and fill the inventory."""
        super().parse(inventory, loader, path)
        self._read_config_data(path)
        rows = self._rows(self.get_cache_key(path), cache)
        kinds, templates = set(self.get_option("kinds")), self.get_option("templates")
        wanted = [row for row in rows if row["kind"] in kinds and (templates or not row["template"])]
        how = _How(self)
        for name, row in named(wanted):
            self._add(name, row, how)

    def _rows(self, key, cache):
        cached = self.get_option("cache")
        if cached and cache and key in self._cache:
            return self._cache[key]
        try:
            rows = control_plane({name: self._option(name) for name in CONNECTION}).every("hosts", page=PAGE)
        except ControlPlaneError as wrong:
            raise AnsibleParserError(str(wrong)) from wrong
        if cached:
            self._cache[key] = rows
        return rows

    def _option(self, name):
        value = self.get_option(name)
        if isinstance(value, str) and self.templar.is_template(value):
            return self.templar.template(value)
        return value

    def _add(self, name, row, how):
        inventory = self.inventory
        inventory.add_host(name)
        if not how.facts:
            row = {key: value for key, value in row.items() if key != "facts"}
        inventory.set_variable(name, "nanny", row)
        for key, value in connection(row, how.connection).items():
            inventory.set_variable(name, key, value)
        for word in group_words(row):
            inventory.add_child(how.groups.get(word) or self._group(word, how), name)
        if how.constructs:
            self._construct(name, row, how)

    def _group(self, word, how):
        """Add the group of a word, whose name is looked at once: most words come again with each host."""
        how.groups[word] = self.inventory.add_group(self._sanitize_group_name(how.prefix + word))
        return how.groups[word]

    def _construct(self, name, row, how):
        known = {"nanny": row, "inventory_hostname": name}
        self._set_composite_vars(how.compose, known, name, strict=how.strict)
        self._add_host_to_composed_groups(how.composed, known, name, strict=how.strict)
        self._add_host_to_keyed_groups(how.keyed, known, name, strict=how.strict)


class _How:
    """The options that are looked at for each host, read once; and the groups that there are, by their word."""

    def __init__(self, plugin):
        read = plugin.get_option
        self.facts, self.prefix, self.connection = read("facts"), read("group_prefix"), read("connection")
        self.strict, self.compose = read("strict"), read("compose")
        self.composed, self.keyed = read("groups"), read("keyed_groups")
        self.constructs = bool(self.compose or self.composed or self.keyed)
        self.groups = {}


def connection(row, how):
    """Return the variables by which Ansible connects to a host."""
    if how == "proxmox_pct_remote" and row["kind"] == "lxc":
        return {
            "ansible_connection": "community.proxmox.proxmox_pct_remote",
            "ansible_host": row["node"],
            "proxmox_vmid": row["vmid"],
        }
    return {"ansible_host": row["address"]} if how != "none" and row["address"] else {}


def named(rows):
    """Yield each row with a name of its own.

    What shares its name, is called as the controller, or has no plain name, gets its number.
    """
    hosts = Counter(row["name"] for row in rows if row["kind"] == "host")
    guests = Counter(row["name"] for row in rows if row["kind"] != "host")
    taken = set()
    for row in rows:
        name, is_host = row["name"], row["kind"] == "host"
        shared = hosts[name] > 1 if is_host else name in hosts or guests[name] > 1
        if shared or not PLAIN.match(name) or name in LOCAL:
            word = FOREIGN.sub("_", name).lstrip("._-") or row["kind"]
            name = "%s-%s" % (word, row["agent_id"] if is_host else row["vmid"])
        if name in taken:  # the same name and number in two clusters
            name = "%s-%s" % (name, row["guest_id"])
        taken.add(name)
        yield name, row


def group_words(row):
    """Return the names of the groups of a host, without their prefix."""
    words = ["hosts" if row["kind"] == "host" else row["kind"]]
    singles = ("node", "cluster", "pool", "os", "status", "upkeep")
    words += ["%s_%s" % (name, row[name]) for name in singles if row[name]]
    words += ["tag_" + tag for tag in row["tags"]]
    return [*words, "restart_required"] if row["restart_required"] else words
