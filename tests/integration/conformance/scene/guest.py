"""Scenes: guests in another state."""

from nanny_ops.lab.pve.state import snapshot
from nanny_ops.lab.pve.state.draft import draft
from nanny_ops.lab.pve.state.storage import Volume
from tests.integration.conformance.rig import NOW, Rig
from tests.integration.conformance.scenes import Asked, Scenes

SCENES = Scenes()
TEMPLATE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"


@SCENES.of(
    *("delete_lxc--locked", "get_cluster_resources--locked", "get_lxc_list--locked", "get_lxc_status_current--locked"),
    *("post_lxc_migrate--locked", "post_lxc_snapshot--locked", "post_lxc_start--locked", "post_vzdump--locked"),
    *("put_lxc_config--locked", "put_lxc_config--unlock_*"),
)
def a_container_is_locked(rig: Rig, asked: Asked) -> None:
    rig.cluster.update(rig.guest(103).vmid, lock="backup")


@SCENES.of("get_lxc_current--during_backup")
def a_backup_runs(rig: Rig, asked: Asked) -> None:
    rig.cluster.update(rig.guest(101).vmid, lock="backup")


@SCENES.of("post_vzdump")
def a_start_has_failed(rig: Rig, asked: Asked) -> None:
    rig.cluster.update(rig.guest(103).vmid, lock="mounted")


@SCENES.of("post_lxc_start--already_running", "post_lxc_stop--ok", "post_lxc_stop--103")
def the_stopped_container_runs(rig: Rig, asked: Asked) -> None:
    rig.start(103)


@SCENES.of("post_lxc_start--106")
def the_one_with_snapshots_is_stopped(rig: Rig, asked: Asked) -> None:
    rig.stop(106)


@SCENES.of("post_lxc_pve2_start", "noquorum_post_pve2_start", "pve2_*_stopped_get_resources")
def the_one_elsewhere_is_stopped(rig: Rig, asked: Asked) -> None:
    rig.stop(104)


@SCENES.of("post_qemu_start--ok")
def the_machine_is_stopped(rig: Rig, asked: Asked) -> None:
    rig.stop(203)


@SCENES.of("get_cluster__resources")
def of_9_the_machine_is_stopped(rig: Rig, asked: Asked) -> None:
    if rig.release == "9.2":
        rig.stop(400)


@SCENES.of("post_qemu_*")
def the_machine_has_no_firmware_to_speak_of(rig: Rig, asked: Asked) -> None:
    rig.guest(203).habits.heeds_shutdown = False
    rig.guest(203).habits.saves_state = False


@SCENES.of("post_lxc_migrate--back", "http500_ct_after_migration_old_node")
def a_container_has_moved(rig: Rig, asked: Asked) -> None:
    rig.cluster.migrate(rig.guest(103).vmid, rig.node("pve2").name)


@SCENES.of("delete_lxc--ok")
def a_container_was_just_made(rig: Rig, asked: Asked) -> None:
    rig.cluster.create(draft(rig.naming.vmid(120), "lxc", rig.node("pve1").name, "made"))


@SCENES.of("post_lxc_create--*")
def there_is_a_template_to_make_one_from(rig: Rig, asked: Asked) -> None:
    volumes = rig.cluster.storages["local"].volumes.setdefault(rig.node("pve1").name, [])
    volumes.append(Volume(TEMPLATE, "vztmpl", "tzst", 124_000_000, int(NOW)))


def _take(rig: Rig, name: str, description: str) -> None:
    snapshot.take(rig.guest(106), rig.naming.name(name), description, NOW - 200)


@SCENES.of(
    *("get_lxc_config--snapshot", "get_lxc_config--with_parent", "get_lxc_snapshot_config", "put_lxc_snapshot_config"),
    *("get_lxc_snapshot_list--with_snaps", "post_lxc_snapshot--duplicate", "post_lxc_rollback--ok_start"),
    "delete_lxc_snapshot--ok",
)
def another_snapshot_was_taken(rig: Rig, asked: Asked) -> None:
    if rig.release == "8.4":
        _take(rig, "pre_patch_1", "pre-patch\nline2")
    else:
        _take(rig, "s2", "x")


@SCENES.of("post_lxc_rollback--nonexistent", "delete_lxc_snapshot--*")
def a_rollback_has_started_it_again(rig: Rig, asked: Asked) -> None:
    if rig.release == "8.4":
        rig.guest(106).busy_until = NOW + 45


@SCENES.of("get_nodes__pve3__lxc__306__rrddata--*")
def it_was_only_just_made(rig: Rig, asked: Asked) -> None:
    rig.guest(106).born = NOW + 1
