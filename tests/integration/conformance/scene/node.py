"""Scenes: nodes that are away, quorum and stopped daemons."""

from tests.integration.conformance.rig import Rig
from tests.integration.conformance.scenes import Asked, Scenes

SCENES = Scenes()


@SCENES.of("noquorum_*")
def half_the_cluster_is_gone(rig: Rig, asked: Asked) -> None:
    rig.cluster.set_online(rig.node("pve2").name, online=False)


@SCENES.of("pve1_pvedaemon_stopped_*")
def the_own_daemon_is_stopped(rig: Rig, asked: Asked) -> None:
    rig.node("pve1").stopped.add("pvedaemon")


@SCENES.of("pve2_pvedaemon_stopped_*")
def the_peers_daemon_is_stopped(rig: Rig, asked: Asked) -> None:
    rig.node("pve2").stopped.add("pvedaemon")


@SCENES.of("pve2_pveproxy_stopped_*")
def the_peers_proxy_is_stopped(rig: Rig, asked: Asked) -> None:
    rig.node("pve2").stopped.add("pveproxy")


@SCENES.of("pve2_port_dropped_*")
def the_peers_port_swallows_everything(rig: Rig, asked: Asked) -> None:
    rig.node("pve2").dropped = True


@SCENES.of("node_killed_immediately_*")
def the_peer_has_just_lost_its_power(rig: Rig, asked: Asked) -> None:
    rig.cluster.crash(rig.node("pve2").name)


@SCENES.of("node_offline_quorate_*")
def one_vote_is_expected(rig: Rig, asked: Asked) -> None:
    rig.cluster.set_online(rig.node("pve2").name, online=False)
    rig.cluster.expect_one()


@SCENES.of("get_cluster__metrics__export")
def of_9_the_machine_does_not_run_yet(rig: Rig, asked: Asked) -> None:
    if rig.release == "9.2":
        rig.stop(400)


@SCENES.of("get_cluster_metrics_export")
def the_third_container_runs_meanwhile(rig: Rig, asked: Asked) -> None:
    rig.start(103)
