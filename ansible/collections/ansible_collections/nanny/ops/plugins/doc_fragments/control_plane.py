# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that plugins share."""

from __future__ import annotations


class ModuleDocFragment:
    """How the control plane is reached."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of the control plane, such as V(https://ops.example.com:8443).
      - Only on the machine itself may it begin with C(http), since a token travels with every request.
      - Read from E(NANNY_OPS_URL) where it is not given.
    type: str
  token:
    description:
      - A token of automation, made by C(nanny-ops token add).
      - Read from E(NANNY_OPS_TOKEN) where it is not given.
    type: str
  ca_file:
    description:
      - File with the certificates of the authorities that are trusted, in PEM.
      - Read from E(NANNY_OPS_CA_FILE) where it is not given.
    type: path
  validate_certs:
    description: Whether the certificate of the control plane must be valid. Leave it on wherever others could listen.
    type: bool
    default: true
  request_timeout:
    description: Seconds that one try of one request may take.
    type: int
    default: 30
  request_tries:
    description:
      - How often a request is tried that fails for a reason which may pass, such as a restart of the control plane.
      - Between tries there are pauses of 1, 2, 4 ... 32 seconds, or as long as the control plane asks for.
    type: int
    default: 5
notes:
  - What the control plane refuses fails the task with its own sentence in RV(ignore:msg), its status and its code.
  - Options of the connection can be set once with C(module_defaults) for the group C(nanny.ops.nanny).
"""

    PLUGIN = r"""
options:
  url:
    description:
      - Address of the control plane, such as V(https://ops.example.com:8443).
      - Only on the machine itself may it begin with C(http), since a token travels with every request.
    type: str
    required: true
    env:
      - name: NANNY_OPS_URL
  token:
    description: A token of automation, made by C(nanny-ops token add).
    type: str
    required: true
    env:
      - name: NANNY_OPS_TOKEN
  ca_file:
    description: File with the certificates of the authorities that are trusted, in PEM.
    type: path
    env:
      - name: NANNY_OPS_CA_FILE
  validate_certs:
    description: Whether the certificate of the control plane must be valid.
    type: bool
    default: true
  request_timeout:
    description: Seconds that one try of one request may take.
    type: int
    default: 30
  request_tries:
    description: How often a request is tried that fails for a reason which may pass.
    type: int
    default: 5
"""

    CHANGES = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and tells what would change without changing anything.
    support: full
  diff_mode:
    description: Tells what has changed, or in C(check_mode) would change, in diff mode.
    support: full
  action_group:
    description: Takes the defaults of the group C(nanny.ops.nanny).
    support: full
    membership: [nanny.ops.nanny]
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode); nothing is ever changed.
    support: full
  diff_mode:
    description: Tells what has changed in diff mode.
    support: N/A
    details: Nothing is ever changed.
  action_group:
    description: Takes the defaults of the group C(nanny.ops.nanny).
    support: full
    membership: [nanny.ops.nanny]
"""
