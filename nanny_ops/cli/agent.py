"""``nanny-ops agent``: which machines are enrolled, and the end of one's trust."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from nanny_ops.cli import update as updates
from nanny_ops.cli.credential import connect
from nanny_ops.cli.enrolled import find as find
from nanny_ops.cli.table import AsJson, Column, Limit, age, moment, show, show_one

app = typer.Typer(no_args_is_help=True, help="Enrolled machines.")
COLUMNS: dict[str, Column] = {
    "agent": "agent_id",
    "host": "hostname",
    "state": "state",
    "last seen": ("last_seen", age),
    "version": "version",
}
Name = Annotated[str, typer.Argument(help="The agent's id, or its host name.")]


@app.command("list")
def list_agents(as_json: AsJson = False, limit: Limit = 500) -> None:
    """List agents by host name."""
    with connect() as client:
        found = client.agents(limit)
    rows = [{**agent, "state": state(agent)} for agent in found]
    show(found if as_json else rows, COLUMNS, as_json=as_json)


@app.command("show")
def show_agent(agent: Name, as_json: AsJson = False) -> None:
    """Show how one agent is, and what its machine's owner allows."""
    with connect() as client:
        found = client.agent(find(client, agent)["agent_id"])
    said = {**found, "policy": allowed(found.get("policy")), "resting": rest(found)}
    show_one(found if as_json else said, as_json=as_json)


def allowed(policy: Mapping[str, Any] | None) -> list[str]:
    """Say in words what a policy narrows; a list that is null allows all of its kind."""
    if policy is None:
        return []
    lists = ("operations", "modes", "targets", "scripts", "commands", "times")
    words = [f"{name}: {', '.join(policy[name]) or 'none'}" for name in lists if policy.get(name) is not None]
    signed = f"signatures: {policy['signatures']}, {policy['threshold']} needed"
    return [f"file: {policy['file'] or 'none'}", *(f"only {one}" for one in words), signed]


def rest(agent: Mapping[str, Any]) -> str:
    """Say why an agent's node rests, until when, and how a person ends that; empty where it does not."""
    told = agent.get("resting")
    if not told:
        return ""
    until = "until an order that is tried succeeds" if told["trial"] else f"until {moment(told['until'])} UTC"
    return (
        f"{until}, after {told['failures']} failures in a row, the last {told['reason']}; "
        f"'nanny-ops agent resume {agent['hostname']}' ends that"
    )


@app.command("revoke")
def revoke(agent: Name) -> None:
    """Refuse everything an agent asks from now on; it must be enrolled again to be trusted."""
    with connect() as client:
        revoked = client.revoke_agent(find(client, agent)["agent_id"])
    typer.echo(f"{revoked['hostname']} ({revoked['agent_id']}) is revoked.")


@app.command("update")
def update(
    agents: Annotated[list[str], typer.Argument(metavar="AGENT...", help="Ids or host names.")],
    release: Annotated[str, typer.Option(help="The release's id; by default the one added last.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Also a release that has failed there before.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Wait for the end; exit code 1 if one fails.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have agents install a release and run it; one that does not come up is taken back by itself."""
    raise typer.Exit(updates.place(agents, release, force=force, watch=watch, as_json=as_json))


@app.command("resume")
def resume(agent: Name) -> None:
    """Let a node go on with batches that was given a rest after failures in a row."""
    with connect() as client:
        resumed = client.resume_agent(find(client, agent)["agent_id"])
    typer.echo(f"{resumed['hostname']} ({resumed['agent_id']}) goes on.")


def state(agent: Mapping[str, Any]) -> str:
    """Say shortly how an agent is: ``revoked``, or its health, whether two machines are it, what it cannot read."""
    if agent["status"] == "revoked":
        return "revoked"
    health: str = agent["health_status"]
    doubled = ", duplicate" if agent.get("duplicate_identity") else ""
    rests = ", resting" if agent.get("resting") else ""
    return health + doubled + rests + (", Proxmox VE unread" if agent.get("proxmox_unread") else "")
