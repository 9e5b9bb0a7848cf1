"""``nanny-ops``: what operators type. One sub-command per noun."""

import sys

import typer

from nanny_ops import __version__
from nanny_ops.cli import db, lab, serve, user
from nanny_ops.errors import NannyError, SettingsError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Patch Proxmox VE clusters safely at night.")
app.command("serve")(serve.serve)
app.add_typer(user.app, name="user")
app.add_typer(db.app, name="db")
app.add_typer(lab.app, name="lab")


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
