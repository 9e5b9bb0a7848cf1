"""``nanny-ops``: what operators type. One sub-command per noun, loaded when it is called."""

import difflib
import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from nanny_ops import __version__
from nanny_ops.errors import LoginFailed, NannyError, SettingsError, Unauthorized, Unreachable

#: Noun and module, and what to take from it where that is not ``app``.
#: Loading all of them costs over a second, and a client's machine has no control plane to load.
NOUNS: dict[str, str] = {
    "serve": "nanny_ops.cli.serve",
    "user": "nanny_ops.cli.user",
    "db": "nanny_ops.cli.db",
    "certificate": "nanny_ops.cli.certificate",
    "lab": "nanny_ops.cli.lab",
    "login": "nanny_ops.cli.login",
    "agent": "nanny_ops.cli.agent",
    "token": "nanny_ops.cli.token:own",
    "enrollment-token": "nanny_ops.cli.token:fleet",
    "patch": "nanny_ops.cli.patch",
    "exception": "nanny_ops.cli.exception",
    "upkeep": "nanny_ops.cli.upkeep",
    "reboot": "nanny_ops.cli.reboot",
    "snapshot": "nanny_ops.cli.snapshot",
    "release": "nanny_ops.cli.release",
    "update": "nanny_ops.cli.update",
    "script": "nanny_ops.cli.script",
    "signing-key": "nanny_ops.cli.signing_key",
    "playbook": "nanny_ops.cli.playbook",
    "play": "nanny_ops.cli.play_report",
    "audit": "nanny_ops.cli.audit",
    "cluster": "nanny_ops.cli.proxmox:cluster",
    "node": "nanny_ops.cli.proxmox:node",
    "guest": "nanny_ops.cli.proxmox:guest",
    "storage": "nanny_ops.cli.proxmox:storage",
    "task": "nanny_ops.cli.proxmox:task",
    "event": "nanny_ops.cli.event",
}


#: What a person does next, where the error cannot know that somebody types.
NEXT: tuple[tuple[type[NannyError], str], ...] = (
    (LoginFailed, ""),
    (Unauthorized, " Sign in with 'nanny-ops login'; is NANNY_TOKEN set, renew or unset it."),
    (Unreachable, " Is it running, and is NANNY_URL right?"),
)


class Nouns(TyperGroup):
    """Finds a noun's commands in its module."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return all nouns, in the order of the table."""
        del ctx
        return list(NOUNS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load a noun's module. Raises SettingsError where a needed library is not installed."""
        if cmd_name not in NOUNS:
            near = difflib.get_close_matches(cmd_name, NOUNS, n=1)
            ctx.fail(f"No such command '{cmd_name}'." + (f" Did you mean '{near[0]}'?" if near else ""))
        name, _, attribute = NOUNS[cmd_name].partition(":")
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as wrong:
            raise SettingsError(
                f"'{cmd_name}' needs the Python package '{wrong.name}'; install nanny-ops[control] or nanny-ops[lab]."
            ) from wrong
        command: Any = typer.main.get_command(getattr(module, attribute or "app"))
        command.name = cmd_name
        return command


app = typer.Typer(cls=Nouns, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def version(show: bool = typer.Option(False, "--version", help="Show the version and end.")) -> None:
    """Patch Proxmox VE clusters safely at night, and find out why a guest is ill."""
    if show:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command; a named error is one line on stderr and exit code 1 (2 for a wrong setting)."""
    try:
        app()
    except NannyError as wrong:
        sys.stderr.write(f"nanny-ops: {wrong.message}{advice(wrong)}\n")
        sys.exit(2 if isinstance(wrong, SettingsError) else 1)
    except OSError as wrong:  # a folder that cannot be made, a disk that is full
        sys.stderr.write(f"nanny-ops: {wrong.filename or 'system'}: {wrong.strerror or wrong}.\n")
        sys.exit(1)


def advice(wrong: NannyError) -> str:
    """Return what a person does next, or nothing where the message says it."""
    return next((text for kind, text in NEXT if isinstance(wrong, kind)), "")


if __name__ == "__main__":
    main()
