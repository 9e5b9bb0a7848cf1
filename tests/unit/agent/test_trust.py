"""Which scripts are authentic, and how trust in keys begins, grows and ends."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nanny_ops.agent.order import Refused
from nanny_ops.agent.trust import Trust, pin
from nanny_ops.errors import ProgramMissing, Unreachable
from nanny_ops.machine.endorsement import MOST_CHECKS
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.machine.policy import ANY_KEY, OFFLINE, Policy
from nanny_ops.machine.signature import verify
from nanny_ops.machine.trusted_keys import TrustedKey, usable
from nanny_ops.machine.verbs import VerifySignature
from nanny_ops.protocol.enrollment import TokenAnswer
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.signature import Endorsement, Origin, SigningKey, encode, key_id, key_message, script_message
from tests.fakes.control_plane import NOON, FakeControlPlane, make_client, refuse
from tests.fakes.hands import FakeHands

SHA = "ab" * 32


class Key:
    """A signer somewhere, and what the control plane tells of it."""

    def __init__(self, origin: Origin = "offline") -> None:
        self.private, self.origin = Ed25519PrivateKey.generate(), origin
        self.raw = self.private.public_key().public_bytes_raw()
        self.name = key_id(self.raw)

    def sign(self, script_id: str = "apt", sha256: str = SHA) -> dict[str, str]:
        return {"key_id": self.name, "signature": encode(self.private.sign(script_message(script_id, sha256)))}

    def vouch(self, other: "Key", origin: Origin = "offline") -> Endorsement:
        return Endorsement(key_id=self.name, signature=encode(self.private.sign(key_message(other.raw, origin))))

    def told(self, *words: Endorsement, retired: bool = False, **values: Any) -> SigningKey:
        given = {"key_id": self.name, "public_key": encode(self.raw), "origin": self.origin, "retired": retired}
        return SigningKey(**{**given, **values}, endorsements=list(words))


class Bench:
    """One agent's trust, a control plane that hands out signatures, and the machine's real verifier."""

    def __init__(self, directory: Path) -> None:
        self.plane, self.hands = FakeControlPlane(), FakeHands(directory)
        self.hands.answers[VerifySignature] = verify
        self.pinned = PinnedKeys(directory / "trusted_keys.json")
        self.policy, self.local = Policy(), None
        self.signatures: list[dict[str, str]] | None = None
        self.refresh: Callable[[Trust], Any] | None = None
        self.plane.rules.append(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/signature"):
            return None
        if self.signatures is None:
            return refuse(404, "not_found")
        first = self.signatures[0] if self.signatures else {"key_id": "", "signature": ""}
        body = {"algorithm": "ed25519", **first, "signatures": self.signatures}
        return httpx.Response(200, json=body)

    def enrol(self, *keys: SigningKey) -> None:
        pin(self.pinned, answer(*keys), NOON)

    def learn(self, *keys: SigningKey) -> None:
        self._run(lambda trust: trust.learn(answer(*keys)))

    def check(self, sha256: str = SHA, script_id: str = "apt") -> Any:
        return self._run(lambda trust: trust.check(script_id, sha256))

    def refusal(self, **asked: str) -> Outcome:
        with pytest.raises(Refused) as refused:
            self.check(**asked)
        assert refused.value.finding.reason.endswith(".")
        return refused.value.finding.outcome

    def names(self) -> list[str]:
        return [key.key_id for key in self.pinned.load() or [] if not key.retired]

    def _run(self, work: Callable[[Trust], Any]) -> Any:
        async def go() -> Any:
            client = make_client(self.plane)
            trust = Trust(
                client=client,
                hands=self.hands,
                policy=self.policy,
                pinned=self.pinned,
                local=self.local,
                now=lambda: NOON,
            )
            if self.refresh is not None:
                refresh = self.refresh
                trust.refresh = lambda: refresh(trust)
            try:
                return await work(trust)
            finally:
                await client.close()

        return asyncio.run(go())


def answer(*keys: SigningKey) -> TokenAnswer:
    return TokenAnswer(access_token="a", refresh_token="r", agent_id="agent-1", signing_keys=list(keys))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def own() -> Key:
    return Key("control-plane")


def test_a_script_signed_by_a_pinned_key_may_run(bench: Bench, own: Key) -> None:
    bench.enrol(own.told())
    bench.signatures = [own.sign()]
    (good,) = bench.check()
    assert (good.public_key, good.signature) == (own.told().public_key, own.sign()["signature"])


def test_a_changed_script_is_refused_whatever_its_checksum_says(bench: Bench, own: Key) -> None:
    bench.enrol(own.told())
    bench.signatures = [own.sign()]
    assert bench.refusal(sha256="cd" * 32) is Outcome.SIGNATURE_INVALID
    assert bench.refusal(script_id="other") is Outcome.SIGNATURE_INVALID
    bench.signatures = [{**own.sign(), "signature": "A" * 88}]
    assert bench.refusal() is Outcome.SIGNATURE_INVALID
    bench.signatures = [{**own.sign(), "signature": "short"}]
    assert bench.refusal() is Outcome.SIGNATURE_INVALID


def test_an_unsigned_script_is_refused(bench: Bench, own: Key) -> None:
    bench.enrol(own.told())
    assert bench.refusal() is Outcome.SIGNATURE_MISSING
    bench.signatures = []
    assert bench.refusal() is Outcome.SIGNATURE_MISSING
    bench.signatures = [Key().sign()]
    assert bench.refusal() is Outcome.SIGNATURE_MISSING, "a stranger's signature is none"


def test_two_different_keys_must_sign_where_two_are_asked(bench: Bench, own: Key) -> None:
    safe = Key()
    bench.policy = Policy(threshold=2)
    bench.enrol(own.told(), safe.told())
    bench.signatures = [own.sign(), own.sign()]
    assert bench.refusal() is Outcome.SIGNATURE_MISSING
    bench.signatures = [own.sign(), {**safe.sign(), "signature": own.sign()["signature"]}]
    assert bench.refusal() is Outcome.SIGNATURE_INVALID
    bench.signatures = [own.sign(), safe.sign()]
    bench.check()


def test_the_strict_owner_refuses_the_control_planes_own_key(bench: Bench, own: Key) -> None:
    safe = Key()
    bench.policy = Policy(signatures=OFFLINE)
    bench.enrol(own.told(), safe.told())
    bench.signatures = [own.sign()]
    assert bench.refusal() is Outcome.SIGNATURE_MISSING
    bench.signatures = [own.sign(), safe.sign()]
    bench.check()


def test_the_owners_file_alone_counts_where_it_is_there(bench: Bench, own: Key) -> None:
    safe = Key()
    bench.enrol(own.told())
    bench.local = [TrustedKey(key_id=safe.name, public_key=encode(safe.raw), origin="offline", how="file")]
    bench.signatures = [own.sign()]
    assert bench.refusal() is Outcome.SIGNATURE_MISSING
    bench.signatures = [safe.sign()]
    bench.check()
    before = bench.pinned.load()
    bench.learn(own.told(), safe.told(own.vouch(safe)))
    assert bench.pinned.load() == before
    bench.local = []
    assert bench.refusal() is Outcome.SIGNATURE_MISSING


def test_a_machine_that_cannot_check_runs_nothing(bench: Bench, own: Key) -> None:
    def missing(_verb: Any) -> Any:
        raise ProgramMissing("openssl cannot be started here.")

    bench.enrol(own.told())
    bench.signatures = [own.sign()]
    bench.hands.answers[VerifySignature] = missing
    assert bench.refusal() is Outcome.SIGNATURE_UNCHECKED


def test_a_control_plane_that_is_away_is_asked_again_later(bench: Bench, own: Key) -> None:
    bench.enrol(own.told())
    bench.plane.rules.insert(0, lambda _request: refuse(503, "unavailable"))
    with pytest.raises(Unreachable):
        bench.check()


def test_a_control_plane_that_signs_nothing_is_served_unless_the_owner_demands_it(bench: Bench) -> None:
    bench.check()
    for policy in (Policy(signatures=ANY_KEY), Policy(signatures=OFFLINE), Policy(threshold=2)):
        bench.policy = policy
        assert bench.refusal() is Outcome.SIGNATURE_MISSING


def test_an_older_identity_pins_at_its_first_refresh_and_asks_for_it_at_once(bench: Bench, own: Key) -> None:
    bench.signatures = [own.sign()]
    asked: list[str] = []

    async def refresh(trust: Trust) -> None:
        asked.append("refresh")
        await trust.learn(answer(own.told()))

    bench.refresh = refresh
    bench.check()
    assert (asked, bench.names()) == (["refresh"], [own.name])
    bench.check()
    assert asked == ["refresh"]
    assert bench.refusal(sha256="cd" * 32) is Outcome.SIGNATURE_INVALID


def test_the_strict_owner_takes_nothing_at_first_sight(bench: Bench) -> None:
    safe = Key()
    bench.policy = Policy(signatures=OFFLINE)
    bench.learn(safe.told())
    assert bench.pinned.load() is None
    bench.policy = Policy()
    bench.learn(safe.told())
    assert bench.names() == [safe.name]
    assert usable(bench.pinned.load() or [], Policy(signatures=OFFLINE)) == {}


def test_damaged_pins_run_nothing_and_are_not_replaced(bench: Bench, own: Key) -> None:
    bench.pinned.path.write_text("[")
    bench.signatures = [own.sign()]
    assert bench.refusal() is Outcome.SIGNATURE_MISSING
    bench.learn(own.told())
    assert bench.pinned.path.read_text() == "["


def test_a_new_key_needs_the_word_of_a_trusted_one(bench: Bench, own: Key) -> None:
    new, stranger = Key(), Key()
    bench.enrol(own.told())
    bench.learn(own.told(), new.told())
    bench.learn(own.told(), new.told(stranger.vouch(new)), stranger.told(stranger.vouch(stranger)))
    bench.learn(own.told(), new.told(own.vouch(stranger)))
    bench.learn(own.told(), new.told(own.vouch(new, "control-plane")))
    assert bench.names() == [own.name]
    bench.learn(own.told(), new.told(own.vouch(new)))
    assert bench.names() == [own.name, new.name]
    bench.signatures = [new.sign()]
    bench.check()


def test_a_chain_of_words_is_followed_in_one_refresh(bench: Bench) -> None:
    first, second, third = Key(), Key(), Key()
    bench.policy = Policy(signatures=OFFLINE)
    bench.enrol(first.told())
    bench.learn(third.told(second.vouch(third)), second.told(first.vouch(second)), first.told())
    assert bench.names() == [first.name, second.name, third.name]


def test_rotation_ends_with_the_old_key_retired(bench: Bench) -> None:
    old, new, late = Key(), Key(), Key()
    bench.enrol(old.told())
    bench.learn(old.told(), new.told(old.vouch(new)))
    bench.learn(old.told(retired=True), new.told(old.vouch(new)), late.told(old.vouch(late)))
    assert bench.names() == [new.name], "a retired key vouches no more"
    bench.signatures = [old.sign()]
    assert bench.refusal() is Outcome.SIGNATURE_MISSING
    bench.signatures = [new.sign()]
    bench.check()
    bench.learn(old.told(new.vouch(old)), new.told(old.vouch(new)))
    assert bench.names() == [new.name], "and it never comes back"


def test_the_control_planes_word_makes_no_key_good_for_the_strict_owner(bench: Bench, own: Key) -> None:
    safe, forged = Key(), Key()
    bench.enrol(own.told(), safe.told())
    bench.learn(forged.told(own.vouch(forged)))
    assert forged.name in bench.names()
    strict = Policy(signatures=OFFLINE)
    assert set(usable(bench.pinned.load() or [], strict)) == {safe.name}
    bench.policy = strict
    bench.signatures = [forged.sign()]
    assert bench.refusal() is Outcome.SIGNATURE_MISSING


def test_as_many_must_vouch_as_must_sign(bench: Bench, own: Key) -> None:
    safe, new = Key(), Key()
    bench.policy = Policy(threshold=2)
    bench.enrol(own.told(), safe.told())
    bench.learn(new.told(own.vouch(new), own.vouch(new)))
    assert new.name not in bench.names()
    bench.learn(new.told(own.vouch(new), safe.vouch(new)))
    assert new.name in bench.names()


def test_a_key_that_is_not_what_its_name_says_is_not_taken(bench: Bench, own: Key) -> None:
    other = Key()
    bench.enrol(own.told(key_id=other.name), other.told(public_key="x"))
    assert bench.pinned.load() is None


def test_a_new_identity_starts_trust_anew(bench: Bench, own: Key) -> None:
    bench.enrol(own.told())
    other = Key("control-plane")
    bench.enrol(other.told(), own.told(retired=True))
    assert bench.names() == [other.name]
    bench.enrol()
    assert bench.pinned.load() is None


def test_a_flood_of_words_costs_a_bounded_number_of_checks(bench: Bench, own: Key) -> None:
    counted: list[Any] = []

    def count(verb: Any) -> Any:
        counted.append(verb)
        return verify(VerifySignature(public_key=b"", message=b"", signature=b""))

    bench.hands.answers[VerifySignature] = count
    bench.enrol(own.told())
    keys = [Key() for _ in range(60)]
    bench.learn(*(key.told(own.vouch(own)) for key in keys))
    assert len(counted) == MOST_CHECKS < len(keys)
    assert bench.names() == [own.name]
