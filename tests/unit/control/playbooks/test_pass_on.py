"""The token of a run is read from where it was handed over, and is in no other variable."""

from pathlib import Path

from nanny_ops.control.playbooks.pass_on import handed


def test_of_an_environment_the_token_alone_is_taken(tmp_path: Path) -> None:
    environ = tmp_path / "environ"
    environ.write_bytes(b"PATH=/bin\0NANNY_OPS_TOKEN=nop_a=b\0NANNY_OPS_TOKENS=x\0")
    assert handed(environ) == {"NANNY_OPS_TOKEN": "nop_a=b"}
    environ.write_bytes(b"PATH=/bin\0")
    assert handed(environ) == {}
