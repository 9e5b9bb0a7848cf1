"""Plans: the defaults are no procedure at all."""

from nanny_ops.machine.plan import Plan


def test_a_plan_without_words_protects_nothing_and_looks_at_nothing() -> None:
    plan = Plan()
    assert (plan.protect, plan.start_stopped, plan.hooks, plan.probes, plan.bake_seconds) == ("none", False, [], [], 0)
