"""Answers become wire records; what a later release adds is left out."""

from dataclasses import asdict

from nanny_ops.cli.answer import patch_of
from nanny_ops.protocol.patch import Difference
from nanny_ops.protocol.patch_order import Hold, Hook
from nanny_ops.protocol.patch_report import Left, PatchReport
from tests.unit.cli.test_watch import ORDER


def test_an_order_comes_back_whole() -> None:
    values = {
        **asdict(ORDER),
        "hooks": [asdict(Hook(stage="pre", script_id="s"))],
        "holds": [asdict(Hold(name="nginx", reason="r"))],
        "report": asdict(PatchReport(left=[Left(name="nginx", why="exception")])),
        "differences": [asdict(Difference(name="vim", shown="9", why="held"))],
        "colour": "red",
    }
    read = patch_of(values)
    assert asdict(read) == {name: value for name, value in values.items() if name != "colour"}
    assert isinstance(read.hooks[0], Hook)
    assert read.differences == [Difference(name="vim", shown="9", why="held")]
