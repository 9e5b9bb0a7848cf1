"""What ``nanny-agent register`` does for the privileged helper: root writes down the keys by which it will judge."""

import os
from datetime import datetime
from pathlib import Path

from nanny_ops.agent.settings import Settings
from nanny_ops.helper import owned
from nanny_ops.helper import settings as helper_settings
from nanny_ops.machine import endorsement, pinned_keys
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.protocol.enrollment import TokenAnswer


def tell_helper(settings: Settings, config: str | None, answer: TokenAnswer, now: datetime) -> list[str]:
    """Pin the keys of a new identity for the helper, where there is one; return lines for the person at the terminal.

    Only root can: the daemon must not be able to say whose scripts run as root. Raises SettingsError, SpoolError.
    """
    if not settings.helper_socket and config is None:
        return []
    told = helper_settings.load(Path(config) if config else None)
    if told.trusted_keys_file.exists():
        return [f"The helper goes by the keys in {told.trusted_keys_file}.\n"]
    if os.geteuid() != 0 and not os.access(told.state_dir, os.W_OK):
        return ["The helper was not told of the keys, and begins nothing before: register as root.\n"]
    return [_pin(told.state_dir, answer, now)]


def _pin(state_dir: Path, answer: TokenAnswer, now: datetime) -> str:
    owned.make_folder(state_dir)
    pinned, keys = PinnedKeys(state_dir / pinned_keys.NAME), endorsement.first(answer.signing_keys, "enrolment", now)
    if not keys:
        pinned.forget()
        return "The control plane named no keys: the helper begins nothing.\n"
    pinned.save(keys)
    return f"The helper goes by these keys from now on: {', '.join(key.key_id for key in keys)}.\n"
