"""The verbs about versions can cross a socket: each is written and read as it was."""

import msgspec
import pytest

from nanny_ops.machine.update_verbs import (
    ConfirmUpdate,
    EndUpdate,
    LookUpdate,
    StageUpdate,
    SwitchUpdate,
    UpdatePhase,
    UpdateState,
)
from nanny_ops.machine.verbs import KeySignature

STAGE = StageUpdate(
    order_id="o", claim="c", release_id="r", version="1", sha256="0", path="/x",
    signatures=[KeySignature(public_key="k", signature="s")], threshold=1,
)  # fmt: skip
STATE = UpdateState(phase=UpdatePhase.TRIAL, installed={"0": "1-0"}, failed=["2"])


@pytest.mark.parametrize(
    "verb",
    [LookUpdate(), STAGE, SwitchUpdate(order_id="o", claim="c", sha256="0"), ConfirmUpdate(order_id="o"),
     EndUpdate(order_id="o", failed="0"), STATE],
)  # fmt: skip
def test_it_survives_the_way(verb: object) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(verb), type=type(verb)) == verb
