"""A node that does not answer is left alone, longer each time, and forgiven at once."""

from nanny_ops.machine.proxmox.breaker import FAILURES, FIRST, MOST, Breaker


def test_a_few_failures_open_it_and_one_answer_closes_it() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed("n", 0.0)
    assert breaker.allows("n", 0.0)
    breaker.failed("n", 0.0)
    assert not breaker.allows("n", FIRST - 1)
    assert breaker.allows("other", 0.0)
    assert breaker.allows("n", FIRST)
    breaker.worked("n")
    breaker.failed("n", FIRST)
    assert breaker.allows("n", FIRST)


def test_pauses_double_up_to_a_bound() -> None:
    breaker, now, pauses = Breaker(), 0.0, []
    for _ in range(12):
        while breaker.allows("n", now):
            breaker.failed("n", now)
        began = now
        while not breaker.allows("n", now):
            now += FIRST / 2
        pauses.append(now - began)
    assert pauses[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert max(pauses) == MOST


def test_failures_while_it_is_open_do_not_lengthen_the_pause() -> None:
    breaker = Breaker()
    for _ in range(20):
        breaker.failed("n", 0.0)
    assert breaker.allows("n", FIRST)
