"""``nanny-ops patch run``: one order, or with options of selection one for each target that fits."""

import inspect
import uuid
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from nanny_ops.cli import agent as agents
from nanny_ops.cli import patch_choice as choice
from nanny_ops.cli import proxmox
from nanny_ops.cli.client import Client
from nanny_ops.cli.credential import connect
from nanny_ops.cli.patch_batch import EMPTY, follow_batch, show_batch
from nanny_ops.cli.patch_view import follow
from nanny_ops.cli.table import AsJson, show_one
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.patch import DEFAULT_TIMEOUT
from nanny_ops.protocol.patch_order import DEFAULT_LOCK_TIMEOUT

WHICH, WITHOUT, AROUND = "Which targets", "Which not", "Around the script"
Words = list[str] | None


#: Options whose names and values are those of the order.
AS_TYPED = (
    "security_only", "script_args", "expires_at", "dist_upgrade", "autoremove", "conffiles", "repair", "protect",
    "backup_storage", "rollback", "snapshot_keep", "start_stopped",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Typed:
    """Every option of the command, as typed."""

    agent: Annotated[str, typer.Option(help="The agent's id or host name; may be left out with --guest.")] = ""
    guest: Annotated[str, typer.Option("--guest", "--lxc", help="One guest: its number or name.")] = ""
    vmid: Annotated[Words, typer.Option(help="Guests by number: 100, or 100-120.", rich_help_panel=WHICH)] = None
    name: Annotated[Words, typer.Option(help="By name; 'web*' is a pattern.", rich_help_panel=WHICH)] = None
    tag: Annotated[Words, typer.Option(help="With a tag.", rich_help_panel=WHICH)] = None
    pool: Annotated[Words, typer.Option(help="In a pool.", rich_help_panel=WHICH)] = None
    node: Annotated[Words, typer.Option(help="On a node.", rich_help_panel=WHICH)] = None
    cluster: Annotated[Words, typer.Option(help="In a cluster.", rich_help_panel=WHICH)] = None
    os: Annotated[Words, typer.Option(help="That run a distribution or family.", rich_help_panel=WHICH)] = None
    kind: Annotated[Words, typer.Option(help="host, lxc or qemu; guests by default.", rich_help_panel=WHICH)] = None
    security_updates: Annotated[
        bool, typer.Option("--security-updates", help="With known security updates.", rich_help_panel=WHICH)
    ] = False
    updates: Annotated[str, typer.Option(help="security, any or unknown.", rich_help_panel=WHICH)] = ""
    every: Annotated[bool, typer.Option("--all", help="All guests there are.", rich_help_panel=WHICH)] = False
    preview: Annotated[
        bool, typer.Option("--preview", help="Only tell which targets they are.", rich_help_panel=WHICH)
    ] = False
    exclude_vmid: Annotated[Words, typer.Option(help="But these numbers.", rich_help_panel=WITHOUT)] = None
    exclude_name: Annotated[Words, typer.Option(help="But these names.", rich_help_panel=WITHOUT)] = None
    exclude_tag: Annotated[Words, typer.Option(help="But these tags.", rich_help_panel=WITHOUT)] = None
    exclude_pool: Annotated[Words, typer.Option(help="But these pools.", rich_help_panel=WITHOUT)] = None
    exclude_node: Annotated[Words, typer.Option(help="But these nodes.", rich_help_panel=WITHOUT)] = None
    apply: Annotated[bool, typer.Option("--apply/--dry-run", help="Change the target, or only look.")] = False
    exclude: Annotated[Words, typer.Option(help="Packages to leave; repeated, or parted by commas.")] = None
    only: Annotated[Words, typer.Option(help="These packages only; repeated, or parted by commas.")] = None
    security_only: Annotated[bool, typer.Option("--security-only", help="Only security updates.")] = False
    dist_upgrade: Annotated[bool, typer.Option("--dist-upgrade", help="Also what removes packages.")] = False
    autoremove: Annotated[bool, typer.Option("--autoremove", help="Remove what nothing needs any more.")] = False
    conffiles: Annotated[str, typer.Option(help="keep, or hold-back packages that would ask.")] = "keep"
    repair: Annotated[bool, typer.Option("--repair", help="Repair an interrupted run first.")] = False
    lock_timeout: Annotated[int, typer.Option(min=0, help="Seconds to wait for a lock.")] = DEFAULT_LOCK_TIMEOUT
    as_shown: Annotated[str, typer.Option(help="A dry run of this target: do what it listed, no more.")] = ""
    script: Annotated[str, typer.Option(help="A script's id; by default the shipped one for the target.")] = ""
    script_args: Annotated[str, typer.Option(help="Further arguments for the script.")] = ""
    timeout: Annotated[int, typer.Option(min=1, help="Seconds the script may run.")] = DEFAULT_TIMEOUT
    expires_at: Annotated[str, typer.Option(help="When an order that has not begun lapses (UTC, ISO 8601).")] = ""
    protect: Annotated[
        str,
        typer.Option(help="none, prefer-snapshot, require-snapshot or require-backup.", rich_help_panel=AROUND),
    ] = "none"
    backup_max_age: Annotated[
        int, typer.Option(min=0, help="Hours that a backup may be old.", rich_help_panel=AROUND)
    ] = 24
    backup_storage: Annotated[str, typer.Option(help="Where one is made.", rich_help_panel=AROUND)] = ""
    snapshot_keep: Annotated[
        int | None, typer.Option(min=0, max=100, help="Our snapshots that stay.", rich_help_panel=AROUND)
    ] = None
    snapshot_max_age: Annotated[
        int | None, typer.Option(min=0, max=8760, help="Hours that they stay.", rich_help_panel=AROUND)
    ] = None
    rollback: Annotated[str, typer.Option(help="auto or never.", rich_help_panel=AROUND)] = "auto"
    start_stopped: Annotated[
        bool, typer.Option("--start-stopped", help="Start a stopped guest, and stop it again.", rich_help_panel=AROUND)
    ] = False
    bake: Annotated[int, typer.Option(min=0, help="Seconds before its health is asked.", rich_help_panel=AROUND)] = 0
    pre_hook: Annotated[Words, typer.Option(help="SCRIPT or SCRIPT:ignore, run before.", rich_help_panel=AROUND)] = None
    post_hook: Annotated[
        Words, typer.Option(help="SCRIPT, SCRIPT:ignore or SCRIPT:always, run after.", rich_help_panel=AROUND)
    ] = None
    probe: Annotated[Words, typer.Option(help=f"{choice.PROBES}.", rich_help_panel=AROUND)] = None
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False
    as_json: AsJson = False


def run(**given: Any) -> None:
    """Order a dry run (unless --apply) on one target, or with options of selection on all that fit."""
    typed = Typed(**given)
    order, select, less = _order(typed), _select(typed), _less(typed)
    if not (typed.every or typed.preview or less) and _is_single(select, typed.guest):
        guest = typed.guest or str((select.get("vmids") or [""])[0])
        bound = {"as_shown": typed.as_shown} if typed.as_shown else {}
        _run_one(typed.agent, guest, order | bound, watch=typed.watch, as_json=typed.as_json)
        return
    if typed.as_shown:
        raise SettingsError("--as-shown is for one target: give --guest, or --agent for a host.")
    if typed.guest:
        raise SettingsError("--guest is for one guest; with options of selection give --vmid or --name.")
    asked = {"order": order, "select": select, "exclude": less, "all": typed.every, "dry": typed.preview}
    _run_many(typed.agent, asked, watch=typed.watch, as_json=typed.as_json)


#: typer reads the options of a command from its signature: here they are the fields of a class.
HINTS = get_type_hints(Typed, include_extras=True)
run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=HINTS[one.name])
        for one in fields(Typed)
    ]
)
run.__annotations__ = HINTS


def _order(typed: Typed) -> dict[str, Any]:
    hooks = [choice.hook("pre", text) for text in typed.pre_hook or ()]
    return {
        "mode": "apply" if typed.apply else "dry-run",
        "exclude": choice.words(typed.exclude),
        "only": choice.words(typed.only),
        "script_id": typed.script,
        "timeout_seconds": typed.timeout,
        "lock_timeout_seconds": typed.lock_timeout,
        "backup_max_age_hours": typed.backup_max_age,
        "snapshot_max_age_hours": typed.snapshot_max_age,
        "bake_seconds": typed.bake,
        "hooks": [*hooks, *(choice.hook("post", text) for text in typed.post_hook or ())],
        "probes": [choice.probe(text) for text in typed.probe or ()],
        **{name: getattr(typed, name) for name in AS_TYPED},
    }


def _select(typed: Typed) -> dict[str, Any]:
    named = {
        "names": typed.name,
        "tags": typed.tag,
        "pools": typed.pool,
        "nodes": typed.node,
        "clusters": typed.cluster,
        "os": typed.os,
        "kinds": typed.kind,
    }
    updates = typed.updates or ("security" if typed.security_updates else "")
    return {**_given(named), **choice.numbers(typed.vmid), **({"updates": updates} if updates else {})}


def _less(typed: Typed) -> dict[str, Any]:
    named = {
        "names": typed.exclude_name,
        "tags": typed.exclude_tag,
        "pools": typed.exclude_pool,
        "nodes": typed.exclude_node,
    }
    return {**_given(named), **choice.numbers(typed.exclude_vmid)}


def _run_one(agent: str, guest: str, order: dict[str, Any], *, watch: bool, as_json: bool) -> None:
    with connect() as client:
        agent_id, vmid = aim(client, agent, guest)
        operation = client.place_patch({"agent_id": agent_id, "vmid": vmid, **order}, key=str(uuid.uuid4()))
        if watch:
            follow(client, operation, as_json=as_json)
        elif as_json:
            show_one(asdict(operation), as_json=True)
        else:
            typer.echo(operation.id)


def _run_many(agent: str, asked: dict[str, Any], *, watch: bool, as_json: bool) -> None:
    """Place a batch; the exit code is 4 where nothing fits."""
    with connect() as client:
        if agent:
            select = {**asked["select"], "agents": [agents.find(client, agent)["agent_id"]]}
            asked["select"] = {"kinds": ["lxc", "qemu"], **select}
        batch = client.place_batch(asked, key=str(uuid.uuid4()))
        if watch and batch.placed and not batch.dry:
            follow_batch(client, batch, as_json=as_json)
            return
    show_batch(batch, as_json=as_json)
    if not batch.placed:
        raise typer.Exit(EMPTY)


def aim(client: Client, agent: str, guest: str) -> tuple[str, str]:
    """Return the agent and the number of the guest; who reported a guest can also reach it."""
    if agent:
        return agents.find(client, agent)["agent_id"], guest
    if not guest:
        raise SettingsError("Give --agent to patch a host, --guest to patch a guest, or say which targets you mean.")
    found = proxmox.pick(client.inventory("guests", 100_000), guest, proxmox.GUEST_NAMES, "guest")
    return found["agent_id"], f"{found['kind']}-{found['vmid']}"


def _is_single(select: dict[str, Any], guest: str) -> bool:
    """Tell whether one guest, or with --agent one host, is meant: what was typed before there was a selection."""
    return not select or (not guest and set(select) == {"vmids"} and len(select["vmids"]) == 1)


def _given(named: dict[str, Words]) -> dict[str, list[str]]:
    return {field: choice.words(given) for field, given in named.items() if given}
