# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module is told of the control plane, and how it ends."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible_collections.nanny.ops.plugins.module_utils.control_plane import ControlPlaneError, control_plane


def connection_spec():
    """Return the options that all modules share."""
    return {
        "url": {"type": "str", "fallback": (env_fallback, ["NANNY_OPS_URL"])},
        "token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["NANNY_OPS_TOKEN"])},
        "ca_file": {"type": "path", "fallback": (env_fallback, ["NANNY_OPS_CA_FILE"])},
        "validate_certs": {"type": "bool", "default": True},
        "request_timeout": {"type": "int", "default": 30},
        "request_tries": {"type": "int", "default": 5},
    }


def run(work, spec, check=True, **rules):
    """Make the module, let ``work`` do it and end; whatever the control plane refuses is a failure that says why.

    ``work`` takes the module and a control plane and returns what the module tells.
    """
    module = AnsibleModule(argument_spec={**connection_spec(), **spec}, supports_check_mode=check, **rules)
    try:
        module.exit_json(**work(module, control_plane(module.params)))
    except ControlPlaneError as wrong:
        module.fail_json(msg=str(wrong), **wrong.told())
