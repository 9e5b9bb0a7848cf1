"""ansible-rulebook follows real patches: it misses none and repeats none, whatever is killed at whatever moment."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site
from tests.rulebook.engine import Engine

pytestmark = [pytest.mark.lxc, pytest.mark.timeout(900)]

#: Kills at moments that nobody chose, each within so many seconds after the patch has ended.
KILLS, WITHIN = 5, 4.0
#: Seconds in which something that is told twice would show.
STILL = 3.0


class Followed:
    """A site, a rulebook that follows its patches, and the orders that were placed so far."""

    def __init__(self, site: Site, engine: Engine) -> None:
        """Nothing is ordered yet."""
        self.site, self.engine, self.orders = site, engine, list[str]()
        #: Plays that were cut short after their work.
        self.cut = 0

    def patch(self, **fields: Any) -> str:
        """Patch the container, by default as a dry run, and return the order's id when it has ended."""
        done = self.site.carry_out(**{"mode": "dry-run", **fields})
        assert done["status"] == "completed", done
        self.orders.append(str(done["id"]))
        return self.orders[-1]

    def await_word(self, word: str, order: str) -> None:
        """Wait until a play says this of an order."""
        self.engine.await_that(lambda: self.engine.did()[f"{word} {order}"], f"{word} {order}")

    def all_once(self, cut: int) -> None:
        """Wait until every order so far was followed up to its end; check that each was so once, and is once.

        A play that was cut short begins again: ``cut`` is how many were, so how often a piece of work may have come
        twice. What has a key of its own comes once all the same.
        """
        for order in self.orders:
            self.await_word("ended", order)
        self.engine.await_that(lambda: set(self.orders) <= set(self.traces()), "each play has come to its end")
        time.sleep(STILL)
        assert self.traces() == dict.fromkeys(self.orders, 1)
        assert sum(self.ended().values()) <= len(self.orders) + cut
        assert self.done() == len(self.orders)

    def ended(self) -> Counter[str]:
        """Return how often each order was followed up."""
        did = self.engine.did()
        return Counter({said.split()[1]: often for said, often in did.items() if said.startswith("ended")})

    def traces(self) -> Counter[str]:
        """Return how often plays left their trace of each order in the control plane."""
        return Counter(row["package"] for row in self.site.rows("/api/package-exceptions", limit=200))

    def done(self) -> int:
        """Return how many events the plays noted as done."""
        return len(list((self.engine.state / "patch_ended").glob("*.json")))


@pytest.fixture(scope="module")
def followed(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    """The rulebook that follows patches, with an operator's token."""
    token = site.operator.headers["Authorization"].removeprefix("Bearer ")
    home: Path = tmp_path_factory.mktemp("followed")
    engine = Engine(home / "engine", "patch_ended", site.server.url, token)
    try:
        engine.start()
        engine.await_that(lambda: (engine.state / "patch_ended.seq").exists(), "the source knows where it begins")
        yield Followed(site, engine)
    finally:
        engine.close()


@pytest.fixture(autouse=True)
def running(followed: Followed) -> None:
    """Each test begins with a rulebook that runs, whatever the one before left."""
    if not followed.engine.running:
        followed.engine.start()


def test_a_patch_starts_its_follow_up(followed: Followed) -> None:
    followed.site.renew(followed.site.post.vmid)
    order = followed.patch(mode="apply")
    followed.all_once(followed.cut)
    assert followed.engine.did()[f"began {order}"] == 1


def test_what_ends_while_it_is_away_is_followed_up(followed: Followed) -> None:
    followed.engine.kill(plays=True)
    followed.patch()
    followed.patch()
    followed.engine.start()
    followed.all_once(followed.cut)


def test_killed_after_an_event_was_handed_over_and_before_its_number_was_kept(followed: Followed) -> None:
    file = followed.engine.state / "patch_ended.seq"
    before = file.read_text()
    followed.patch()
    followed.all_once(followed.cut)
    followed.engine.kill(plays=True)
    assert file.read_text() != before
    file.write_text(before)  # what a kill in between leaves
    followed.engine.start()
    followed.engine.await_that(lambda: file.read_text() != before, "the event was told again")
    followed.all_once(followed.cut)


def test_killed_with_the_play_in_the_middle_of_its_work(followed: Followed) -> None:
    followed.engine.hold()
    order = followed.patch()
    followed.await_word("began", order)
    followed.engine.kill(plays=True)
    followed.engine.hold(False)
    followed.engine.start()
    followed.all_once(followed.cut)
    assert followed.engine.did()[f"began {order}"] == 2


def test_killed_alone_with_a_module_that_works_on(followed: Followed) -> None:
    # The play ends with the terminal that it has lost. The next one must wait for the module that it has left.
    followed.engine.hold()
    order = followed.patch()
    followed.await_word("began", order)
    followed.engine.kill(plays=False)
    followed.engine.start()
    time.sleep(WITHIN)
    assert followed.engine.did()[f"began {order}"] == 1
    followed.engine.hold(False)
    followed.engine.await_that(lambda: followed.engine.did()[f"ended {order}"] == 2, "it is done from the beginning")
    followed.cut += 1
    followed.all_once(followed.cut)


def test_killed_with_events_that_wait_behind_a_play(followed: Followed) -> None:
    followed.engine.hold()
    first = followed.patch()
    followed.await_word("began", first)
    for _ in range(3):
        followed.patch()
    followed.engine.kill(plays=True)
    followed.engine.hold(False)
    followed.engine.start()
    followed.all_once(followed.cut)


def test_killed_at_moments_that_nobody_chose(followed: Followed) -> None:
    chance = random.Random(20)  # the moments themselves are chance enough: they hang on how fast all goes
    for _ in range(KILLS):
        followed.patch()
        time.sleep(chance.uniform(0, WITHIN))
        followed.engine.kill(plays=chance.random() < 0.5)
        followed.engine.start()
    followed.all_once(followed.cut + KILLS)
