"""Schedules of faults in virtual time: what is killed, cut, lost, doubled, full or wrong, and when the dice say so."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from nanny_ops.control.api.streams import BACKLOG
from tests.fakes.life import Fate
from tests.integration.faults.disk import FullDisk
from tests.integration.faults.scene import Ends, Scene
from tests.integration.faults.wire import FAIR, HELD, Trouble

Schedule = Callable[[Scene], Awaitable[None]]
STREAM, RESULT = "GET api/realtime", "POST api/patches/results"
#: Seconds for which a bad line stays bad, and an agent or control plane stays away, at most.
BAD, AWAY = 300.0, 120.0
#: Steps of the control plane that one order takes, and of the agent before its script begins, about.
PLANE_STEPS, AGENT_STEPS = 50, 20


async def stream_cut(scene: Scene) -> None:
    """Cut the event stream at any byte, several times; or let it stand still without a word."""
    cuts = scene.dice.randint(1, 4)

    def weather(name: str) -> Trouble:
        if name != STREAM or scene.network.seen[STREAM] > cuts:
            return FAIR
        return Trouble(cut_stream=scene.dice.randrange(1500), stall=scene.dice.random() < 0.3)

    scene.network.weather = weather
    await scene.wait(20)
    await scene.order()


async def listener_slow(scene: Scene) -> None:
    """Have the agent read its stream too slowly while far more happens than a listener may be behind."""
    slow = Trouble(slow=scene.dice.uniform(0.5, 40))
    streams = scene.dice.randint(1, 3)
    scene.network.weather = lambda name: slow if name == STREAM and scene.network.seen[STREAM] <= streams else FAIR
    await scene.linked()
    await scene.order()
    await scene.flood(BACKLOG + scene.dice.randint(HELD + 2, 400))
    await scene.wait(30)
    await scene.order()
    await scene.until(lambda: scene.network.seen[STREAM] > 1, "the slow listener is closed and comes back")


async def plane_killed_at_any_step(scene: Scene) -> None:
    """Kill the control plane between any two of its commits and requests, up to three times."""
    await scene.wait(5)
    for _ in range(scene.dice.randint(1, 3)):
        scene.plane.life.fate = after(scene.dice.randrange(PLANE_STEPS))
        if not scene.orders:
            placed = asyncio.create_task(scene.order())
        await scene.plane.died.wait()
        await scene.wait(AWAY)
        await scene.plane.start()
        await placed


async def plane_killed_in_the_upload(scene: Scene) -> None:
    """Kill the control plane at any byte of the result's upload."""
    await strike_in_the_upload(scene, scene.plane.kill)
    await scene.wait(AWAY)
    await scene.plane.start()


async def agent_killed_before(scene: Scene) -> None:
    """Kill the agent at any step between the order and the beginning of its script."""
    await scene.linked()
    early = after(scene.dice.randrange(AGENT_STEPS))
    scene.post.life.fate = lambda step: early(step) or step == "before the supervisor"
    await scene.order()
    await scene.post.died.wait()
    assert not scene.machine.runs, "the agent was killed too late"
    await come_back(scene)


async def agent_killed_during(scene: Scene) -> None:
    """Kill the agent while the script runs; it comes back before or after the script's end."""
    await scene.linked()
    begun, steps = after_step("after the supervisor"), scene.dice.randrange(8)
    later = after(steps)
    scene.post.life.fate = lambda step: begun(step) and later(step)
    await scene.order()
    await scene.post.died.wait()
    await come_back(scene, longest=6)


async def agent_killed_after(scene: Scene) -> None:
    """Kill the agent at any step after the script's end: before, while or after it delivers the result."""
    await scene.linked()
    steps = after(scene.dice.randrange(7))
    scene.post.life.fate = lambda step: bool(scene.machine.ended) and steps(step)
    await scene.order()
    await scene.post.died.wait()
    await come_back(scene)


async def agent_killed_in_the_upload(scene: Scene) -> None:
    """Kill the agent at any byte of the result's upload."""
    await strike_in_the_upload(scene, scene.post.kill)
    await come_back(scene)


async def agent_killed_again_and_again(scene: Scene) -> None:
    """Kill the agent at any time, up to five times."""
    await scene.wait(2)
    await scene.order()
    for _ in range(scene.dice.randint(2, 5)):
        await scene.wait(4)
        scene.post.kill()
        await come_back(scene, longest=4)


async def events_doubled(scene: Scene) -> None:
    """Have every event come twice, and each subscription as well."""
    scene.network.weather = lambda name: Trouble(doubled=name == STREAM, twice=name == "POST api/realtime")
    await scene.wait(3)
    await scene.order()
    await scene.order()


async def requests_lost(scene: Scene) -> None:
    """Lose requests before they arrive."""
    await on_a_bad_line(scene, lambda: Trouble(lost=True, silent=scene.dice.random() < 0.3))


async def answers_lost(scene: Scene) -> None:
    """Lose answers after the commit: of an acknowledgement, a result, a reading, a subscription."""
    await on_a_bad_line(scene, lambda: Trouble(answer_lost=True, silent=scene.dice.random() < 0.3))


async def requests_doubled(scene: Scene) -> None:
    """Have requests arrive twice, at once or much later; also the result's."""
    dice = scene.dice
    await on_a_bad_line(scene, lambda: Trouble(twice=dice.random() < 0.5, again=dice.uniform(0, 600)))


async def result_posted_twice(scene: Scene) -> None:
    """Have the result arrive twice: at once, while the first is on its way, or long after the end."""
    dice = scene.dice
    twice = Trouble(twice=dice.random() < 0.3, again=dice.choice([0.0, 0.001, 1.0, 7000.0]), before=dice.uniform(0, 2))
    lost = Trouble(answer_lost=True, again=dice.uniform(0, 3))
    first = dice.choice([twice, lost])
    scene.network.weather = lambda name: first if name == RESULT and scene.network.seen[RESULT] == 1 else FAIR
    await scene.wait(3)
    await scene.order()


async def late_and_out_of_order(scene: Scene) -> None:
    """Let requests and answers take their time, each another."""
    dice = scene.dice
    await on_a_bad_line(scene, lambda: Trouble(before=dice.uniform(0, 20), after=dice.uniform(0, 20)), share=0.8)


async def spool_full(scene: Scene) -> None:
    """Fill the agent's disk for a while; what cannot be written down is not begun."""
    scene.ends = Ends(frozenset({"ok", "disk_full"}))
    await scene.wait(5)
    filling = asyncio.create_task(full_for_a_while(scene, scene.post.disk))
    await scene.wait(3)
    await scene.order()
    await filling


async def plane_disk_full(scene: Scene) -> None:
    """Fill the disk of the control plane's database for a while."""
    await scene.wait(5)
    filling = asyncio.create_task(full_for_a_while(scene, scene.plane.disk))
    await scene.wait(3)
    await scene.order()
    await filling


async def machine_cloned(scene: Scene) -> None:
    """Copy the machine with its identity and its spool, before the order or once it has arrived; both are awake.

    Not between an agent's claim and its script's end: from a copy of that moment nobody can tell the original.
    """
    waits, steps = scene.dice.random() < 0.7, after(scene.dice.randrange(9))
    await scene.linked()
    scene.network.weather = lambda name: Trouble(before=scene.dice.choice([0.0, 0.1, 7.0]))  # either may be the first
    placed = scene.clone() if not waits else None

    def copied(step: str) -> bool:
        if not scene.clones and scene.orders and steps(step):
            scene.clone()
        return False

    scene.post.life.fate = copied
    await scene.order()
    if placed is None:
        await scene.until(lambda: bool(scene.clones), "the copy", every=0.01)
    scene.clones[0].start()
    await scene.until(scene.is_duplicate, "people are told that two machines share an identity", 300)


async def storm(scene: Scene) -> None:
    """Everything at once, with two orders for one target."""
    dice = scene.dice

    def trouble() -> Trouble:
        kind = dice.choice(["lost", "answer_lost", "twice", "stall", "doubled"])
        return Trouble(**{kind: True}, before=dice.uniform(0, 3), cut_stream=dice.randrange(3000))

    calm = asyncio.create_task(on_a_bad_line(scene, trouble, orders=2))
    for _ in range(dice.randint(1, 3)):
        await scene.wait(20)
        scene.post.kill()
        await scene.wait(10)
        scene.plane.kill()
        await scene.wait(20)
        scene.post.start()
        await scene.wait(20)
        await scene.plane.start()
    await calm


async def on_a_bad_line(scene: Scene, trouble: Callable[[], Trouble], *, share: float = 0.4, orders: int = 1) -> None:
    """Place orders while a share of the agent's requests is in trouble; in the end the line is good again."""
    ends = asyncio.get_running_loop().time() + scene.dice.uniform(10, BAD)

    def weather(_name: str) -> Trouble:
        bad = asyncio.get_running_loop().time() < ends and scene.dice.random() < share
        return trouble() if bad else FAIR

    scene.network.weather = weather
    await scene.wait(10)
    for _ in range(orders):
        await scene.order()


async def strike_in_the_upload(scene: Scene, strike: Callable[[], None]) -> None:
    """Place the order, and strike when as many bytes of its result have passed as the dice say."""
    cut = Trouble(cut_upload=scene.dice.randrange(scene.machine.printed), strike=strike)
    scene.network.weather = lambda name: cut if name == RESULT and scene.network.seen[RESULT] == 1 else FAIR
    await scene.linked()
    await scene.order()
    await scene.until(lambda: scene.plane.died.is_set() or scene.post.died.is_set(), "the upload", every=0.1)
    assert scene.network.seen[RESULT] == 1


async def full_for_a_while(scene: Scene, disk: FullDisk) -> None:
    """Fill a disk, and make room again."""
    await scene.wait(6)
    disk.full = True
    await scene.wait(AWAY)
    disk.full = False


async def come_back(scene: Scene, longest: float = AWAY) -> None:
    """Start the agent again after a time."""
    await scene.wait(longest)
    scene.post.start()


def after(steps: int) -> Fate:
    """Return a fate that strikes at this step from now on, counted from 0."""
    left = steps

    def strikes(_step: str) -> bool:
        nonlocal left
        left -= 1
        return left < 0

    return strikes


def after_step(name: str) -> Fate:
    """Return what is true from a step on."""
    seen = False

    def strikes(step: str) -> bool:
        nonlocal seen
        seen = seen or step == name
        return seen

    return strikes


async def clock_jumps(scene: Scene) -> None:
    """Set the clock of the agent's machine or of the control plane forward or back, by seconds or by days."""
    scene.ends = Ends(frozenset({"ok", "expired"}), frozenset({"expired"}))
    clock = scene.dice.choice([scene.post.clock, scene.plane.clock])
    jump = scene.dice.choice([1, 60, 3600, 86_400, 86_400 * 7]) * scene.dice.uniform(-1, 1)
    await scene.wait(5)
    jumping = asyncio.create_task(_jump(scene, clock, timedelta(seconds=jump)))
    await scene.order()
    await jumping


async def _jump(scene: Scene, clock: object, by: timedelta) -> None:
    await scene.wait(6)
    clock.off += by  # type: ignore[attr-defined]


SCHEDULES: tuple[Schedule, ...] = (
    stream_cut,
    listener_slow,
    plane_killed_at_any_step,
    plane_killed_in_the_upload,
    agent_killed_before,
    agent_killed_during,
    agent_killed_after,
    agent_killed_in_the_upload,
    agent_killed_again_and_again,
    events_doubled,
    requests_lost,
    answers_lost,
    requests_doubled,
    result_posted_twice,
    late_and_out_of_order,
    spool_full,
    plane_disk_full,
    clock_jumps,
    machine_cloned,
    storm,
)
