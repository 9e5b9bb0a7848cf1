"""Schedules of faults: when an agent or a control plane is killed, or a stream cut, while one order is carried out.

A schedule is a class of fault and a seed. It is played on an installation of one agent and one container; the
container's own log counts how often the script ran.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nanny_ops.agent import spool
from nanny_ops.protocol.operation import OPEN
from tests.e2e.site import Post, Site, until

RUNS = "var/log/runs"
#: Bytes that the script prints: so much that an upload can be struck in its middle.
PRINTED = 300_000
SCRIPT = f"""#!/bin/sh
echo "begin $1" >>/{RUNS}
sleep 2
head -c {PRINTED} /dev/zero | tr '\\0' x
echo
echo "end $1" >>/{RUNS}
printf '[{{"name":"proof-%s","version":"2","old_version":"1","action":"upgrade"}}]\\n' "$1"
"""
#: Seconds for one operation to reach its end, restarts and waits of both sides included.
PATIENCE = 120


@dataclass(frozen=True)
class Scene:
    """One schedule: an installation, the dice of its seed, and the word by which its run is told from others."""

    site: Site
    script: str
    dice: random.Random
    word: str

    @property
    def post(self) -> Post:
        """The installation's only agent."""
        return self.site.post

    def order(self) -> dict[str, Any]:
        """Place the order that is to survive."""
        return self.site.order(script_id=self.script, script_args=self.word)

    def runs(self) -> list[str]:
        """Return what this run wrote into the container's log."""
        log = self.site.container(self.post.vmid).rootfs / RUNS
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.split()[0] for line in lines if line.split()[1:] == [self.word]]

    def until_it(self, happens: str) -> None:
        """Wait until the script ``begin``s or comes to its ``end``."""
        until(lambda: happens in self.runs(), f"the script's {happens}", PATIENCE)

    def wait(self, longest: float) -> None:
        """Wait for a time that the dice say, in seconds."""
        time.sleep(self.dice.uniform(0, longest))


def agent_killed_before(scene: Scene) -> dict[str, Any]:
    """Kill the agent between the order and the beginning of its script."""
    operation = scene.order()
    scene.wait(0.2)
    scene.post.agent.kill()
    assert scene.runs() == [], "the agent was killed too late"
    scene.wait(1)
    scene.post.agent.start()
    return operation


def agent_killed_during(scene: Scene) -> dict[str, Any]:
    """Kill the agent while the script runs; it comes back before or after the script's end."""
    operation = scene.order()
    scene.until_it("begin")
    scene.wait(1)
    scene.post.agent.kill()
    assert scene.runs() == ["begin"], "the agent was killed too late"
    scene.wait(2.5)
    scene.post.agent.start()
    return operation


def agent_killed_after(scene: Scene) -> dict[str, Any]:
    """Kill the agent after the script's end: before, while or after it delivers the result."""
    operation = scene.order()
    scene.until_it("end")
    scene.wait(1.5)
    scene.post.agent.kill()
    scene.wait(1)
    scene.post.agent.start()
    return operation


def agent_killed_in_the_upload(scene: Scene) -> dict[str, Any]:
    """Kill the agent at a byte of the result's upload."""
    operation = struck_in_the_upload(scene, scene.post.agent.kill)
    scene.wait(1)
    scene.post.agent.start()
    return operation


def plane_killed_before_delivery(scene: Scene) -> dict[str, Any]:
    """Kill the control plane when it has accepted the order and nobody has it yet."""
    scene.post.proxy.refuse()
    operation = scene.order()
    scene.site.server.kill()
    scene.wait(2)
    scene.site.start_plane()
    assert scene.site.look(operation["id"])["status"] == "pending"
    scene.post.proxy.admit()
    return operation


def plane_killed_at_delivery(scene: Scene) -> dict[str, Any]:
    """Kill the control plane about when the agent gets the order."""
    operation = scene.order()
    scene.wait(0.1)
    scene.site.server.kill()
    scene.wait(2)
    scene.site.start_plane()
    return operation


def plane_killed_after_ack(scene: Scene) -> dict[str, Any]:
    """Kill the control plane when the agent has said that it has the order."""
    operation = scene.site.wait_for(scene.order(), ["delivered", "running"])
    scene.wait(0.3)
    scene.site.server.kill()
    scene.wait(2)
    scene.site.start_plane()
    return operation


def plane_killed_while_it_runs(scene: Scene) -> dict[str, Any]:
    """Kill the control plane while the script runs; it comes back before or after the script's end."""
    operation = scene.order()
    scene.until_it("begin")
    scene.wait(1.5)
    scene.site.server.kill()
    scene.wait(4)
    scene.site.start_plane()
    return operation


def plane_killed_in_the_upload(scene: Scene) -> dict[str, Any]:
    """Kill the control plane at a byte of the result's upload."""
    operation = struck_in_the_upload(scene, scene.site.server.kill)
    scene.wait(2)
    scene.site.start_plane()
    return operation


def stream_cut(scene: Scene) -> dict[str, Any]:
    """Cut the event stream at a byte, about where the order is in it, and the next one at another byte."""
    cut = scene.post.proxy.counts["cut"]
    scene.post.proxy.cut_streams_after(scene.dice.randrange(900), scene.dice.randrange(1400))
    operation = scene.order()
    until(lambda: scene.post.proxy.counts["cut"] > cut, "the cut")
    return operation


def struck_in_the_upload(scene: Scene, strike: Callable[[], None]) -> dict[str, Any]:
    """Place the order, and strike when as many bytes of its result have passed as the dice say."""
    struck = scene.post.proxy.counts["struck"]
    scene.post.proxy.strike_in_upload(scene.dice.randrange(PRINTED), strike)
    operation = scene.order()
    until(lambda: scene.post.proxy.counts["struck"] > struck, "the upload", PATIENCE)
    assert scene.runs() == ["begin", "end"], "another upload than this run's was struck"
    return operation


SCHEDULES: tuple[Callable[[Scene], dict[str, Any]], ...] = (
    agent_killed_before,
    agent_killed_during,
    agent_killed_after,
    agent_killed_in_the_upload,
    plane_killed_before_delivery,
    plane_killed_at_delivery,
    plane_killed_after_ack,
    plane_killed_while_it_runs,
    plane_killed_in_the_upload,
    stream_cut,
)


def play(site: Site, schedule: Callable[[Scene], dict[str, Any]], seed: int) -> None:
    """Play one schedule and check what came of it."""
    until(lambda: linked(site.post), "the agent listens", PATIENCE)
    word = f"{schedule.__name__}-{seed}"
    scene = Scene(site, script_of(site), random.Random(word), word)
    operation = site.wait_for(schedule(scene), deadline=PATIENCE)
    site.post.proxy.cut_streams_after()
    assert (operation["status"], operation["outcome"]) == ("completed", "ok"), (operation, site.logs())
    assert [one["name"] for one in operation["package_list"]] == [f"proof-{word}"]
    assert scene.runs() == ["begin", "end"], site.logs()
    assert site.output(operation).startswith("x" * PRINTED + "\n")
    until(lambda: nothing_open(site), f"nothing is open any more {site.logs()}")


def script_of(site: Site) -> str:
    """Return the id of the script, added when it is not there yet."""
    found = [one["id"] for one in site.rows("/api/scripts") if one["name"] == "proof"]
    return str(found[0]) if found else site.upload(SCRIPT, "proof")


def linked(post: Post) -> bool:
    """Tell whether the agent's newest word about its stream is that it is open."""
    log = post.agent.log()
    return log.rfind("event=link_up") > log.rfind("event=link_down")


def nothing_open(site: Site) -> bool:
    """Tell whether no order is open at the control plane, and none, no result and no job at the agent."""
    counts = spool.peek(site.post.agent.state_dir / spool.NAME)
    assert counts is not None
    left = [counts.open_orders, counts.undelivered_results, counts.undeliverable]
    left += [len(site.rows("/api/patches", status=str(status))) for status in OPEN]
    return not any(left) and site.post.agent.jobs() == []
