"""Accounts in the database itself: opened, changed, removed, with the same refusals as by the control plane."""

from pathlib import Path

from click.testing import Result

from nanny_ops.errors import NotFound, ValidationFailed
from tests.unit.cli.test_user import add, run


def test_an_account_goes_through_its_life(tmp_path: Path) -> None:
    def on(verb: str, *more: str, typed: str = "") -> Result:
        return run(tmp_path, verb, "--email", "op@example.com", *more, typed=typed)

    add(tmp_path, "admin@example.com", "admin")
    add(tmp_path, "op@example.com")
    assert "viewer in team-default" in on("change", "--role", "viewer", "--name", "Op").output
    assert "Op" in on("show").output
    assert "sign in again" in on("enable").output
    short = on("password", "--password-stdin", typed="short\n").exception
    assert isinstance(short, ValidationFailed)
    assert "a new password" in on("password", "--password-stdin", typed="another pass phrase\n").output
    assert "is removed" in on("remove").output
    assert isinstance(on("show").exception, NotFound)
