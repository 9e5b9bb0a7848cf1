"""Which agent a person means, who types an id or a host name."""

from typing import Any

from nanny_ops.cli.client import Client
from nanny_ops.errors import Conflict, NotFound


def find(client: Client, name: str) -> dict[str, Any]:
    """Return the agent with this id, else the one that is not revoked and has this host name.

    Raises NotFound, or Conflict where several have it.
    """
    known = client.agents(100_000)
    if exact := [agent for agent in known if agent["agent_id"] == name]:
        return exact[0]
    found = [agent for agent in known if agent["hostname"] == name and agent["status"] != "revoked"]
    if not found:
        raise NotFound(f"There is no agent '{name}'; 'nanny-ops agent list' shows all.")
    if len(found) > 1:
        raise Conflict(f"{len(found)} agents have the host name '{name}'; give an id from 'nanny-ops agent list'.")
    return found[0]
