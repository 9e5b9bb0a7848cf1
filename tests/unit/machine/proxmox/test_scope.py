"""Whom an agent speaks for."""

from nanny_ops.machine.proxmox.scope import scope

STATUS = [
    {"type": "cluster", "name": "c"},
    *({"type": "node", "name": f"n{number}", "online": int(number != 3)} for number in (1, 2, 3)),
]
ROWS = [{"type": "node", "node": "n1", "status": "online"}, {"type": "node", "node": "n2", "status": "offline"}]


def test_an_agent_that_is_not_elected_speaks_for_its_own_node() -> None:
    place = scope("n1", STATUS, ROWS, wide=False, others=["n2"])
    assert (place.told, place.wide) == ({"n1"}, False)


def test_the_elected_one_speaks_for_the_dead_and_for_those_without_an_agent() -> None:
    place = scope("n1", STATUS, ROWS, wide=True, others=["n2", "n9"])
    assert (place.told, place.wide) == ({"n1", "n2", "n3"}, True)
    assert [place.answers(node) for node in ("n1", "n2", "n3", "n9")] == [True, True, False, False]


def test_a_node_that_stands_alone_is_all_there_is() -> None:
    place = scope("n1", [STATUS[1]], None, wide=False, others=[])
    assert (place.told, place.wide, place.cluster) == ({"n1"}, True, None)


def test_without_the_clusters_status_the_rows_tell_who_is_there_but_the_cluster_is_not_told() -> None:
    place = scope("n1", None, ROWS, wide=True, others=[])
    assert (place.told, place.wide) == ({"n1", "n2"}, False)
