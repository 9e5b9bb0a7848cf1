"""``nanny-ops``: what operators type. One sub-command per noun, loaded when it is called."""

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from nanny_ops import __version__
from nanny_ops.errors import NannyError, SettingsError

#: Noun and module, and what to take from it where that is not ``app``.
#: Loading all of them costs over a second, and a client's machine has no control plane to load.
NOUNS: dict[str, str] = {
    "serve": "nanny_ops.cli.serve",
    "user": "nanny_ops.cli.user",
    "db": "nanny_ops.cli.db",
    "lab": "nanny_ops.cli.lab",
    "login": "nanny_ops.cli.login",
    "agent": "nanny_ops.cli.agent",
    "token": "nanny_ops.cli.token:own",
    "enrollment-token": "nanny_ops.cli.token:fleet",
    "patch": "nanny_ops.cli.patch",
    "script": "nanny_ops.cli.script",
    "signing-key": "nanny_ops.cli.signing_key",
    "audit": "nanny_ops.cli.audit",
    "cluster": "nanny_ops.cli.proxmox:cluster",
    "node": "nanny_ops.cli.proxmox:node",
    "guest": "nanny_ops.cli.proxmox:guest",
}


class Nouns(TyperGroup):
    """Finds a noun's commands in its module."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return all nouns, in the order of the table."""
        del ctx
        return list(NOUNS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load a noun's module. Raises SettingsError where a needed library is not installed."""
        if cmd_name not in NOUNS:
            return super().get_command(ctx, cmd_name)
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
        sys.stderr.write(f"nanny-ops: {wrong.message}\n")
        sys.exit(2 if isinstance(wrong, SettingsError) else 1)


if __name__ == "__main__":
    main()
