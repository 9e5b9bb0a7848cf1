"""``nanny-agent trust``: root names the keys by which the helper of a machine judges that has registered by itself.

Exit codes: 0 done or shown, 1 a file cannot be read or written, 2 a key is not known here or there is no helper.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from nanny_ops.agent.app import World
from nanny_ops.agent.settings import Settings
from nanny_ops.cli.state_owner import as_owner
from nanny_ops.errors import SettingsError
from nanny_ops.helper import owned
from nanny_ops.helper import settings as helper_settings
from nanny_ops.machine import pinned_keys
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.machine.trusted_keys import TrustedKey
from nanny_ops.protocol.clock import stamp
from nanny_ops.protocol.signature import Origin


def add_keys(command: argparse.ArgumentParser) -> None:
    """Add what the command is told."""
    command.add_argument("keys", nargs="*", metavar="KEY", help="Names of keys to trust; without any they are shown.")
    command.add_argument("--offline", action="store_true", help="These keys do not lie on the control plane.")


def trust(settings: Settings, world: World, options: argparse.Namespace) -> int:
    """Show the keys that the agent was told, or have the helper go by those that are named.

    Who names a key has compared it, since the daemon could write any into its own file; where the key lies is said by
    the person, too. Raises SettingsError, SpoolError, TrustedKeysBroken.
    """
    if not settings.helper_socket and options.helper_config is None:
        raise SettingsError("This agent begins jobs itself and needs no keys for a helper; see docs/privileges.md.")
    told = helper_settings.load(Path(options.helper_config) if options.helper_config else None)
    if told.trusted_keys_file.exists():
        print(f"The helper goes by the keys in {told.trusted_keys_file}, and by no others.")
        return 0
    offered = _offered(settings.state_dir)
    if not options.keys:
        print(_shown(offered))
        return 0
    origin: Origin = "offline" if options.offline else "control-plane"
    chosen = [replace(key, origin=origin, how="file", since=stamp(world.now()), vouched_by=[])
              for key in _named(offered, options.keys)]  # fmt: skip
    _write(told.state_dir, chosen)
    print(f"The helper goes by these keys, too, from now on: {', '.join(key.key_id for key in chosen)}.")
    return 0


def _offered(state_dir: Path) -> list[TrustedKey]:
    with as_owner(state_dir):  # the folder is the daemon's: what it could not read is not read for it
        found = PinnedKeys(state_dir / pinned_keys.NAME).load() or []
    return [key for key in found if not key.retired]


def _named(offered: list[TrustedKey], names: list[str]) -> list[TrustedKey]:
    known = {key.key_id: key for key in offered}
    for name in names:
        if name not in known:
            raise SettingsError(
                f"This agent was told of no key '{name}'; 'nanny-agent trust' shows those it was told of."
            )
    return [known[name] for name in dict.fromkeys(names)]


def _write(folder: Path, chosen: list[TrustedKey]) -> None:
    owned.make_folder(folder)
    kept = PinnedKeys(folder / pinned_keys.NAME)
    names = {key.key_id for key in chosen}
    kept.save([*(key for key in kept.load() or [] if key.key_id not in names), *chosen])


def _shown(offered: list[TrustedKey]) -> str:
    if not offered:
        return "This agent was told of no keys yet: it is told when it has registered, and at each refresh."
    lines = [f"{key.key_id}  {key.origin}" for key in offered]
    how = "Compare them with 'nanny-ops signing-key list' on an operator's machine, then name those to trust:"
    return "\n".join([*lines, "", how, "  nanny-agent trust KEY..."])
