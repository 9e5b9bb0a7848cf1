#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patch scripts of your own, and signatures of scripts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: script
short_description: Add patch scripts and sign them
version_added: 0.1.0
description:
  - A script is added as one version whose id names it for ever.
  - The same script is never added twice, and none is removed.
  - A signature says who stands behind a script.
  - The private key is read on the machine where the module runs and stays there.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.CHANGES
options:
  name:
    description: Its name. Needed to add one.
    type: str
  content:
    description: The script itself.
    type: str
  src:
    description: File with the script, on the machine where the module runs.
    type: path
  description:
    description: What it is for.
    type: str
    default: ""
  script_id:
    description: A script that is there already, to be signed; shipped ones too.
    type: str
  sha256:
    description:
      - What the script with O(script_id) must hash to, so that what is signed is what was read.
      - Needed with O(script_id).
    type: str
  signing_key:
    description:
      - File with an Ed25519 private key in PEM, without a pass phrase, whose public half the control plane knows.
      - Needs the Python library C(cryptography).
    type: path
requirements:
  - cryptography, for O(signing_key)
"""

EXAMPLES = r"""
---
- name: Our own script, signed with the key of this machine
  nanny.ops.script:
    name: refresh-only
    src: files/refresh-only.sh
    signing_key: /root/safe.pem
  register: added

- name: What ships with the control plane is signed, too
  nanny.ops.script:
    script_id: apt-0123456789abcdef
    sha256: 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
    signing_key: /root/safe.pem
"""

RETURN = r"""
---
script:
  description: The version; in check mode none that would be added.
  returned: success
  type: dict
  contains:
    id:
      description: Its id, which orders name.
      type: str
      returned: always
      sample: own-0123456789abcdef
    sha256:
      description: The hash of its bytes.
      type: str
      returned: always
      sample: 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
    shipped:
      description: Whether it came with the control plane.
      type: bool
      returned: always
      sample: false
signed_by:
  description: Names of the keys whose signatures it has.
  returned: success
  type: list
  elements: str
  sample: [9f2feb0f1ef425b292f2f94bc8482494]
"""

import hashlib

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run
from ansible_collections.nanny.ops.plugins.module_utils.control_plane import ControlPlaneError
from ansible_collections.nanny.ops.plugins.module_utils.signer import Signer

SPEC = {
    "name": {"type": "str"},
    "content": {"type": "str"},
    "src": {"type": "path"},
    "description": {"type": "str", "default": ""},
    "script_id": {"type": "str"},
    "sha256": {"type": "str"},
    "signing_key": {"type": "path", "no_log": False},
}


def work(module, plane):
    """Add the script if it is new, and sign it if that key has not."""
    options = module.params
    signer = Signer(module, options["signing_key"]) if options["signing_key"] else None
    script, added = _known(plane, options) if options["script_id"] else _added(module, plane, options)
    known = _signed_by(plane, script)
    wanted = sorted({*known, signer.key_id}) if signer else known
    if wanted != known and script and not module.check_mode:
        body = {"key_id": signer.key_id, "signature": signer.sign(script["id"], script["sha256"])}
        plane.ask("sign script", body=body, repeat=True, script_id=script["id"])
    return {
        "changed": added or wanted != known,
        "script": script,
        "signed_by": known if module.check_mode else wanted,
        "diff": {"before": {"signed_by": known}, "after": {"signed_by": wanted}},
    }


def _known(plane, options):
    script = plane.ask("script", script_id=options["script_id"])
    if script["sha256"] != options["sha256"].lower():
        raise ControlPlaneError(
            "'%s' hashes to %s, not to what was given. Nothing was signed." % (script["id"], script["sha256"])
        )
    return script, False


def _added(module, plane, options):
    content = options["content"] if options["src"] is None else _read(options["src"])
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    same = [one for one in plane.every("scripts", name=options["name"]) if one["sha256"] == sha256]
    if same or module.check_mode:
        return (same[0] if same else None), not same
    body = {"name": options["name"], "content": content, "description": options["description"]}
    return plane.ask("add script", body=body, repeat=True), True


def _read(path):
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as wrong:
        raise ControlPlaneError("'%s' cannot be read as a script: %s" % (path, wrong)) from wrong


def _signed_by(plane, script):
    if not script:
        return []
    try:
        found = plane.ask("script signatures", script_id=script["id"])
    except ControlPlaneError as wrong:
        if wrong.status == 404:  # nobody whose key is good has signed it
            return []
        raise
    return sorted(one["key_id"] for one in found["signatures"])


def main():
    """Run as a module."""
    run(
        work,
        SPEC,
        required_one_of=[("name", "script_id")],
        mutually_exclusive=[("name", "script_id"), ("content", "src"), ("content", "script_id"), ("src", "script_id")],
        required_by={"content": "name", "src": "name"},
        required_together=[("script_id", "sha256")],
    )


if __name__ == "__main__":
    main()
