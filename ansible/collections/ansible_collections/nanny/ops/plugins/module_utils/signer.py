# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's own Ed25519 key, read where the module runs; only signatures leave it."""

from __future__ import annotations

import base64
import hashlib
import traceback

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanny.ops.plugins.module_utils.control_plane import ControlPlaneError

CRYPTOGRAPHY_TRACE = None
try:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
except ImportError:
    CRYPTOGRAPHY_TRACE = traceback.format_exc()

#: The first line of what is signed, so that a signature of a script is good for nothing else.
PURPOSE = "nanny-ops script v1"


class Signer:
    """Signs with the private key of a file."""

    def __init__(self, module, path):
        """Read the key. Raises ControlPlaneError for what is none; ends the module where the library is missing."""
        if CRYPTOGRAPHY_TRACE is not None:
            module.fail_json(msg=missing_required_lib("cryptography"), exception=CRYPTOGRAPHY_TRACE)
        try:
            with open(path, "rb") as file:
                key = serialization.load_pem_private_key(file.read(), None)
        except (OSError, ValueError, TypeError) as wrong:
            raise ControlPlaneError("'%s' cannot be read as a private key: %s" % (path, wrong)) from wrong
        if not isinstance(key, Ed25519PrivateKey):
            raise ControlPlaneError("'%s' is not an Ed25519 key; 'nanny-ops script keygen' makes one." % path)
        self._key = key
        public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.key_id = hashlib.sha256(public).hexdigest()[:32]

    def sign(self, script_id, sha256):
        """Return the signature of one version in base64."""
        text = "%s\n%s\n%s\n" % (PURPOSE, script_id, sha256)
        return base64.b64encode(self._key.sign(text.encode("ascii"))).decode()
