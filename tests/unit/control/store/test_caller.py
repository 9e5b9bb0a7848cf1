"""Each request has a caller of its own; what nobody asked for is the system's."""

import asyncio

from nanny_ops.control.store.caller import CALLER, SYSTEM, Caller


async def test_two_tasks_do_not_see_each_others_caller() -> None:
    both = asyncio.Barrier(2)

    async def ask(name: str) -> str:
        CALLER.set(Caller("person", name))
        await both.wait()
        return CALLER.get().id

    assert await asyncio.gather(*(asyncio.create_task(ask(name)) for name in ("ann", "bob"))) == ["ann", "bob"]
    assert CALLER.get() is SYSTEM
