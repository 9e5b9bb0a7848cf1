"""The watch over a version on trial: good once it has talked to the control plane, else another start is counted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from nanny_ops.agent.hands import Hands
from nanny_ops.errors import NannyError
from nanny_ops.machine.update_verbs import ConfirmUpdate, LookUpdate, UpdatePhase

log = logging.getLogger(__name__)
#: Seconds that a version on trial has to reach the control plane before it starts anew.
PATIENCE = 600.0
#: Seconds between two tries to tell that it works.
AGAIN, TRIES = 15.0, 40


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where this process stands: its version's name, how it can be started again, and where large files may lie.

    ``words`` are those of the command line that a version is tried with.
    """

    running: str = ""
    restart: Callable[[], None] = lambda: None
    folder: Path = Path("/nonexistent")
    words: tuple[str, ...] = field(default=())


async def watch(hands: Hands, ground: Ground, heard: asyncio.Event, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Confirm this version when it is on trial and was answered; start it anew when it was not in time."""
    try:
        state = await hands.do(LookUpdate())
    except NannyError as wrong:
        log.warning("event=trial_unread reason=%r", wrong.message)
        return
    if state.phase is not UpdatePhase.TRIAL or state.target != ground.running:
        return
    log.warning("event=on_trial version=%s operation=%s", state.target, state.order_id)
    if not await _in_time(heard, sleep):
        log.error("event=trial_failed version=%s reason='the control plane was not reached'", state.target)
        ground.restart()
        return
    for _ in range(TRIES):
        try:
            await hands.do(ConfirmUpdate(order_id=state.order_id))
        except NannyError as wrong:
            log.warning("event=not_confirmed version=%s reason=%r", state.target, wrong.message)
            await sleep(AGAIN)
        else:
            log.info("event=confirmed version=%s", state.target)
            return
    ground.restart()


async def _in_time(heard: asyncio.Event, sleep: Callable[[float], Awaitable[None]]) -> bool:
    waits = [asyncio.ensure_future(heard.wait()), asyncio.ensure_future(sleep(PATIENCE))]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
        await asyncio.wait(waits)
    return heard.is_set()
