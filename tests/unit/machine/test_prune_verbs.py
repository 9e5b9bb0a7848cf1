"""The verbs about removals cross a socket, and what they answer says where one stands."""

from nanny_ops.machine.frame import HEAD, read_verb, write_verb
from nanny_ops.machine.prune_verbs import LookPrune, PruneOrder, PrunePhase, PruneState, StartPrune
from nanny_ops.protocol.prune import Doomed


def test_an_order_crosses_with_its_snapshots() -> None:
    doomed = [Doomed(name="nanny-1", operation_id="patch-1")]
    order = PruneOrder(prune_id="p", kind="lxc", vmid=101, snapshots=doomed, timeout_seconds=60, claim="c")
    for verb in (StartPrune(order=order), LookPrune(prune_id="p")):
        assert read_verb(write_verb(verb)[HEAD.size :]) == verb


def test_what_is_not_known_is_absent() -> None:
    assert PruneState(prune_id="p").phase is PrunePhase.ABSENT
