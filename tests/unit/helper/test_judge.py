"""A job is begun only if its shape, the owner's policy and its signatures allow it, whatever the daemon says."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.helper.judge import LARGEST_VMID, LONGEST_WORD, MOST_WORDS, Judge, check_id, check_update
from nanny_ops.helper.keyring import Keyring
from nanny_ops.machine.frame import SCRIPT_CAP
from nanny_ops.machine.plan import HookScript, Plan
from nanny_ops.machine.update_verbs import ConfirmUpdate, EndUpdate, StageUpdate, SwitchUpdate
from nanny_ops.machine.verbs import KeySignature, RunCommand, ScriptJob, SignatureCheck, VerifySignature
from nanny_ops.protocol.probe import Probe
from nanny_ops.protocol.signature import encode

SCRIPT = b"#!/bin/sh\n# nanny-ops: dry-run\n"
KEYS = [encode(bytes([number]) * 32) for number in (1, 2, 3)]
GOOD, BAD = encode(b"g" * 64), encode(b"b" * 64)
JOB = ScriptJob(
    job_id="op-1",
    vmid=None,
    script=SCRIPT,
    sha256=hashlib.sha256(SCRIPT).hexdigest(),
    argv=["--dry-run"],
    timeout_seconds=60,
    dry_run=True,
    output_cap=1000,
    script_id="s-1",
    signatures=[KeySignature(public_key=KEYS[0], signature=GOOD)],
    threshold=1,
)
APPLY = replace(JOB, dry_run=False, argv=[])


def verify(verb: VerifySignature) -> SignatureCheck:
    """Hold only the good signature of the very message."""
    message = f"nanny-ops script v1\ns-1\n{JOB.sha256}\n".encode()
    return SignatureCheck(valid=encode(verb.signature) == GOOD and verb.message == message)


def make(folder: Path, policy: str | None = "", keys: list[str] | None = KEYS[:2], **more: Any) -> Judge:
    paths = folder / "policy.toml", folder / "trusted-keys"
    for path, text in zip(paths, (policy, None if keys is None else "\n".join(keys)), strict=True):
        if text is not None:
            path.write_text(text)
            path.chmod(0o600)
    given = {"now": lambda: datetime(2026, 3, 4, 12, tzinfo=UTC), "verify": verify, **more}
    return Judge(paths[0], Keyring(paths[1], folder / "pinned", given["now"]), **given)


def refused(judge: Judge, job: ScriptJob) -> tuple[str, str]:
    with pytest.raises(VerbRefused) as found:
        judge.judge(job)
    return str(found.value.details["outcome"]), found.value.message


def test_a_job_gets_the_signatures_that_count_here(tmp_path: Path) -> None:
    extra = KeySignature(public_key=KEYS[2], signature=GOOD)
    found = make(tmp_path).judge(replace(APPLY, signatures=[extra, *JOB.signatures], threshold=0))
    assert (found.signatures, found.threshold) == (JOB.signatures, 1)


@pytest.mark.parametrize(
    "job_id",
    ["", ".", "..", "../x", "/etc", "a/b", "-rf", ".new-x", "a\0", "a\n", "\u00e4", "a" * 129, "a b", "~"],
)
def test_no_id_is_a_path_or_an_option(job_id: str) -> None:
    with pytest.raises(VerbRefused):
        check_id(job_id)


@pytest.mark.parametrize(
    "forged",
    [
        {"vmid": 0},
        {"vmid": 99},
        {"vmid": -1},
        {"vmid": LARGEST_VMID + 1},
        {"timeout_seconds": 0},
        {"timeout_seconds": 86_401},
        {"output_cap": 0},
        {"output_cap": 1 << 40},
        {"argv": []},
        {"argv": ["--security-only", "--dry-run"]},
        {"argv": ["--dry-run", "a\0b"]},
        {"argv": ["--dry-run", "x" * (LONGEST_WORD + 1)]},
        {"argv": ["--dry-run", *["x"] * MOST_WORDS]},
        {"argv": ["--dry-run", *["x" * LONGEST_WORD] * 4]},
        {"claim": "a\nb"},
        {"claim": "x" * 65},
        {"job_id": "../../etc/cron.d/x"},
        {"script": bytes(SCRIPT_CAP + 1)},
    ],
    ids=lambda forged: repr(forged)[:40],
)
def test_a_forged_shape_is_refused(tmp_path: Path, forged: dict[str, Any]) -> None:
    assert refused(make(tmp_path), replace(JOB, **forged))[0] == "refused"


def test_a_script_must_be_what_its_checksum_says(tmp_path: Path) -> None:
    assert refused(make(tmp_path), replace(JOB, script=SCRIPT + b"id\n"))[0] == "checksum_mismatch"


@pytest.mark.parametrize(
    ("policy", "job", "word"),
    [
        ("modes = ['dry-run']", APPLY, "mode apply"),
        ("targets = [101]", JOB, "target host"),
        ("targets = ['host']", replace(JOB, vmid=101), "target 101"),
        ("scripts = []", JOB, "script with SHA-256"),
        ("times = ['sat,sun']\ntime_zone = 'UTC'", APPLY, "begin now"),
        (None, APPLY, "mode apply"),
        ("nonsense = 1", JOB, "not part of a policy"),
    ],
)
def test_the_owners_policy_is_asked_again(tmp_path: Path, policy: str | None, job: ScriptJob, word: str) -> None:
    outcome, sentence = refused(make(tmp_path, policy), job)
    assert outcome == "refused"
    assert word in sentence


def test_without_a_policy_only_dry_runs_are_begun(tmp_path: Path) -> None:
    assert make(tmp_path, None).judge(JOB).job_id == "op-1"


@pytest.mark.parametrize("name", ["policy.toml", "trusted-keys"])
def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path, name: str) -> None:
    judge = make(tmp_path)
    (tmp_path / name).chmod(0o666)
    assert "changed by others" in refused(judge, JOB)[1]


@pytest.mark.parametrize(
    ("signatures", "policy", "outcome"),
    [
        ([], "", "signature_missing"),
        ([(KEYS[2], GOOD)], "", "signature_missing"),
        ([(KEYS[0], BAD)], "", "signature_invalid"),
        ([(KEYS[0], GOOD)], "threshold = 2", "signature_missing"),
        ([(KEYS[0], GOOD), (KEYS[0], GOOD)], "threshold = 2", "signature_missing"),
        ([(KEYS[0], GOOD), (KEYS[1], BAD)], "threshold = 2", "signature_invalid"),
        ([(KEYS[0], "x")], "", "signature_unchecked"),
    ],
)
def test_signatures_are_checked_again(
    tmp_path: Path, signatures: list[tuple[str, str]], policy: str, outcome: str
) -> None:
    offered = [KeySignature(public_key=key, signature=made) for key, made in signatures]
    assert refused(make(tmp_path, policy), replace(JOB, signatures=offered, threshold=0))[0] == outcome


def test_without_keys_nothing_is_begun(tmp_path: Path) -> None:
    assert refused(make(tmp_path, keys=None), replace(JOB, threshold=0))[0] == "signature_missing"


def test_a_signature_of_another_script_does_not_count(tmp_path: Path) -> None:
    assert refused(make(tmp_path), replace(JOB, script_id="s-2"))[0] == "signature_invalid"


def test_a_check_that_cannot_be_made_is_no_yes(tmp_path: Path) -> None:
    def broken(_verb: VerifySignature) -> SignatureCheck:
        raise MachineError("No OpenSSL.")

    assert refused(make(tmp_path, verify=broken), JOB)[0] == "signature_unchecked"


def test_a_command_needs_catalogue_and_policy(tmp_path: Path) -> None:
    judge = make(tmp_path, "commands = ['df']\ntargets = ['host']\n")
    judge.permit_command(RunCommand(name="df"))
    for forbidden in (
        RunCommand(name="free"),
        RunCommand(name="df", vmid=101),
        RunCommand(name="sh"),
        RunCommand(name="df", arguments={"path": "/"}),
    ):
        with pytest.raises(VerbRefused):
            judge.permit_command(forbidden)


def test_a_command_that_names_a_guest_looks_at_that_guest(tmp_path: Path) -> None:
    judge = make(tmp_path, "targets = ['host', 101]\n")
    judge.permit_command(RunCommand(name="pct-config", arguments={"vmid": "101"}))
    with pytest.raises(VerbRefused, match="target 102"):
        judge.permit_command(RunCommand(name="pct-config", arguments={"vmid": "102"}))


def test_who_allows_no_investigations_allows_no_command(tmp_path: Path) -> None:
    with pytest.raises(VerbRefused, match="kind investigation"):
        make(tmp_path, "operations = ['patch']\n").permit_command(RunCommand(name="df"))


def test_it_says_by_what_it_judges_and_what_is_missing(tmp_path: Path) -> None:
    found = make(tmp_path, "threshold = 3\n").describe()
    assert found.policy is not None
    assert (len(found.keys), found.keys_from, found.policy.file) == (2, "file", str(tmp_path / "policy.toml"))
    assert found.problem == "2 keys count, and the policy asks for 3."
    (tmp_path / "bare").mkdir()
    bare = make(tmp_path / "bare", None, None).describe()
    assert bare.policy is not None
    assert (bare.keys, bare.keys_from, bare.policy.modes, bare.policy.file) == ([], "nowhere", ["dry-run"], "")
    assert "names no keys" in bare.problem
    broken = make(tmp_path, "targets = [").describe()
    assert (broken.policy, "cannot be read" in broken.problem) == (None, True)


def hook(**values: Any) -> HookScript:
    given = {"stage": "pre", "script_id": "s-1", "script": SCRIPT, "sha256": JOB.sha256, "threshold": 0}
    return HookScript(**{**given, "signatures": JOB.signatures, **values})


def test_hooks_are_judged_by_the_rules_of_scripts(tmp_path: Path) -> None:
    found = make(tmp_path).judge(replace(APPLY, plan=Plan(hooks=[hook()])))
    assert found.plan is not None
    assert (found.plan.hooks[0].threshold, found.plan.hooks[0].signatures) == (1, JOB.signatures)


@pytest.mark.parametrize(
    ("plan", "outcome"),
    [
        (Plan(hooks=[hook(signatures=[])]), "signature_missing"),
        (Plan(hooks=[hook(script=b"#!/bin/sh\nid\n")]), "checksum_mismatch"),
        (Plan(hooks=[hook(timeout_seconds=0)]), "refused"),
        (Plan(hooks=[hook(argv=["a\0"])]), "refused"),
        (Plan(hooks=[hook()] * 17), "refused"),
        (Plan(probes=[Probe(kind="command", argv=["rm"])]), "refused"),
        (Plan(bake_seconds=-1), "refused"),
        (Plan(backup_storage="a/b"), "refused"),
    ],
)
def test_no_plan_is_a_way_around_a_signature(tmp_path: Path, plan: Plan, outcome: str) -> None:
    assert refused(make(tmp_path), replace(APPLY, plan=plan))[0] == outcome


def test_a_dry_run_has_no_hooks(tmp_path: Path) -> None:
    assert refused(make(tmp_path), replace(JOB, plan=Plan(hooks=[hook()])))[0] == "refused"


def release_order(**values: Any) -> StageUpdate:
    given = {
        "order_id": "update-1", "claim": "c", "release_id": "r-1", "version": "2.0", "sha256": "0" * 64, "path": "/x",
        "signatures": [KeySignature(public_key=KEYS[0], signature=GOOD)], "threshold": 0,
    }  # fmt: skip
    return StageUpdate(**{**given, **values})


@pytest.mark.rows("F7")
def test_a_release_needs_the_policys_word_and_signatures_of_its_own(tmp_path: Path) -> None:
    def verify_release(verb: VerifySignature) -> SignatureCheck:
        return SignatureCheck(valid=verb.message == b"nanny-ops agent release v1\nr-1\n" + b"0" * 64 + b"\n")

    allowed = 'operations = ["update"]\n'
    judge = replace(make(tmp_path, allowed), verify=verify_release)
    judged = judge.judge_release(release_order())
    assert (judged.threshold, len(judged.signatures)) == (1, 1)
    stranger = [KeySignature(public_key=KEYS[2], signature=GOOD)]
    for wrong in ({"version": "../../x"}, {"path": "x"}, {"order_id": "../x"}, {"signatures": stranger}):
        with pytest.raises(VerbRefused):
            judge.judge_release(release_order(**wrong))
    with pytest.raises(VerbRefused, match="not allow"):
        replace(make(tmp_path, ""), verify=verify_release).judge_release(release_order())
    with pytest.raises(VerbRefused):  # a signature of a script
        make(tmp_path, allowed).judge_release(release_order())


def test_a_switch_needs_the_policys_word_and_all_that_is_kept_has_a_shape(tmp_path: Path) -> None:
    switch = SwitchUpdate(order_id="update-1", claim="c", sha256="0" * 64)
    make(tmp_path, 'operations = ["update"]\n').permit_switch(switch)
    with pytest.raises(VerbRefused, match="not allow"):
        make(tmp_path, "").permit_switch(switch)
    for wrong in (
        replace(switch, order_id="../x"),
        replace(switch, claim="x" * 65),
        replace(switch, sha256="x" * 64),
        ConfirmUpdate(order_id=""),
        EndUpdate(order_id="update-1", failed="x" * 2**20),
    ):
        with pytest.raises(VerbRefused):
            check_update(wrong)
    check_update(EndUpdate(order_id="update-1", failed="0" * 64))


@pytest.mark.parametrize("policy", [None, "modes = ['dry-run']\n"])
def test_where_nothing_may_be_changed_a_script_must_say_that_it_can_look(tmp_path: Path, policy: str | None) -> None:
    judge = make(tmp_path, policy)
    assert judge.judge(JOB).dry_run
    blunt = replace(JOB, script=b"#!/bin/sh\n", sha256=hashlib.sha256(b"#!/bin/sh\n").hexdigest())
    assert "has no line '# nanny-ops: dry-run'" in refused(judge, blunt)[1]
    assert "no guest is started" in refused(judge, replace(JOB, vmid=101, plan=Plan(start_stopped=True)))[1]
    assert "signed" in refused(make(tmp_path), blunt)[1]  # where it may change things, only its signatures count
