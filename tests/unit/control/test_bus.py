"""The bus wakes listeners in their own loop, from any thread, until they stop."""

import asyncio
import threading

from nanny_ops.control.bus import Bus


async def test_a_wake_from_another_thread_reaches_the_listener() -> None:
    bus, woken = Bus(), asyncio.Event()
    stop = bus.listen(woken.set)
    thread = threading.Thread(target=bus.wake)
    thread.start()
    await asyncio.wait_for(woken.wait(), 5)
    thread.join()
    woken.clear()
    stop()
    bus.wake()
    await asyncio.sleep(0.01)
    assert not woken.is_set()


def test_a_closed_loop_is_passed_over() -> None:
    bus = Bus()

    async def listen() -> None:
        bus.listen(lambda: None)

    asyncio.run(listen())
    bus.wake()
