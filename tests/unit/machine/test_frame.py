"""Frames: what is sent is what is read, and nothing else is a verb."""

import hashlib
from dataclasses import replace

import msgspec
import pytest

from nanny_ops.errors import DiskFull, MachineError, ValidationFailed, VerbRefused
from nanny_ops.machine.frame import (
    ANSWER_TO,
    ANSWERS,
    HEAD,
    PROTOCOL,
    VERB_CAP,
    VERBS,
    read_reply,
    read_verb,
    write_reply,
    write_verb,
)
from nanny_ops.machine.prune_verbs import PrunePhase, PruneState
from nanny_ops.machine.verbs import (
    CancelJob,
    CommandOutput,
    DescribeHelper,
    DescribeTracing,
    ForgetJob,
    ForgetReboot,
    HelperFacts,
    JobPhase,
    JobResult,
    JobState,
    KeySignature,
    KeysLearned,
    LearnKeys,
    LookJob,
    LookReboot,
    RebootOrder,
    RebootState,
    RunCommand,
    ScriptJob,
    StartReboot,
    StartScript,
    TracingFacts,
)
from nanny_ops.protocol.patch import PackageChange
from nanny_ops.protocol.policy import PolicyReport
from nanny_ops.protocol.prune import Removal
from nanny_ops.protocol.signature import Endorsement, SigningKey

SCRIPT = b"#!/bin/sh\n\xff\0"
JOB = ScriptJob(
    job_id="op-1",
    vmid=101,
    script=SCRIPT,
    sha256=hashlib.sha256(SCRIPT).hexdigest(),
    argv=["--dry-run", "\u00e4"],
    timeout_seconds=60,
    dry_run=True,
    output_cap=1000,
    script_id="s-1",
    signatures=[KeySignature(public_key="k", signature="s")],
    threshold=1,
)
ASKED = [
    StartScript(job=JOB),
    StartScript(job=replace(JOB, vmid=None)),
    *(kind(job_id="a") for kind in (LookJob, CancelJob, ForgetJob)),
    StartReboot(order=RebootOrder(reboot_id="r", kind="lxc", vmid=101, reason="new libc", timeout_seconds=60)),
    LookReboot(reboot_id="r"),
    ForgetReboot(reboot_id="r"),
    DescribeHelper(),
    DescribeTracing(),
    LearnKeys(
        keys=[
            SigningKey(
                key_id="k", public_key="p", origin="offline", endorsements=[Endorsement(key_id="k", signature="s")]
            )
        ]
    ),
    RunCommand(name="journal", arguments={"unit": "ssh"}, vmid=101),
]
RESULT = JobResult(
    outcome="ok",
    reason="1 package.",
    exit_code=0,
    started_at="a",
    finished_at="b",
    duration_ms=3,
    packages=[PackageChange(name="a", version="2", old_version="1", action="upgrade")],
)
pack = msgspec.msgpack.encode


def content(frame: bytes) -> bytes:
    assert HEAD.unpack(frame[: HEAD.size])[0] == len(frame) - HEAD.size
    return frame[HEAD.size :]


@pytest.mark.parametrize("verb", ASKED, ids=lambda verb: type(verb).__name__)
def test_a_verb_crosses(verb):
    assert read_verb(content(write_verb(verb))) == verb


def test_the_list_is_closed():
    jobs = {"StartScript", "LookJob", "CancelJob", "ForgetJob"}
    versions = {"LookUpdate", "StageUpdate", "SwitchUpdate", "ConfirmUpdate", "EndUpdate"}
    reboots = {"StartReboot", "LookReboot", "ForgetReboot"}
    prunes = {"StartPrune", "LookPrune", "ForgetPrune"}
    others = {"DescribeHelper", "LearnKeys", "RunCommand", "DescribeTracing"}
    assert set(VERBS) == jobs | versions | reboots | prunes | others
    assert set(ANSWER_TO) == set(VERBS.values())
    assert set(ANSWER_TO.values()) == set(ANSWERS.values())


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"\xc1",
        b"GET / HTTP/1.1\r\n",
        pack(["Reboot", {}]),
        pack(["ReadProxmox", {"access": {"url": "https://x", "token": "t"}}]),
        pack(["LookJob"]),
        pack(["LookJob", {}]),
        pack(["LookJob", {"job_id": 7}]),
        pack(["LookJob", {"job_id": "a", "jobs_dir": "/etc"}]),
        pack(["LookJob", {"job_id": "a"}, 1]),
        pack(["LookJob", {"job_id": "a"}]) + b"\x00",
        b"\x92\xa7LookJob\x82\xa6job_id\xa1a\xa6job_id\xa1b",
        b"\x92\xa7LookJob\x81\xa6job_id\xd9\x01a",
        b"\x92\xa7LookJob" + b"\x91" * 100_000,
        pack(["StartScript", {"job": {"job_id": "a"}}]),
        pack(["DescribeHelper", {"policy": {}}]),
        pack(["StartReboot", {"order": {"reboot_id": "r", "kind": "host"}}]),
        pack(["LookReboot", {"reboot_id": ["r"]}]),
        pack(["LearnKeys", {"keys": [{"key_id": "k", "public_key": "p", "origin": "root"}]}]),
        pack(["RunCommand", {"name": "df", "arguments": ["-h"], "vmid": None}]),
        pack(["RunCommand", {"name": "df", "arguments": {"a": 1}, "vmid": None}]),
        pack(["RunCommand", {"name": "df", "arguments": {}, "vmid": "101; id"}]),
        pack(["StartScript", {"job": {**msgspec.to_builtins(JOB, builtin_types=(bytes,)), "vmid": True}}]),
        pack(["StartScript", {"job": {**msgspec.to_builtins(JOB, builtin_types=(bytes,)), "argv": "--all"}}]),
        pack(["StartScript", {"job": {**msgspec.to_builtins(JOB, builtin_types=(bytes,)), "environment": {}}}]),
    ],
    ids=lambda raw: repr(raw)[:40],
)
def test_a_forged_verb_is_refused(forged):
    with pytest.raises(VerbRefused):
        read_verb(forged)


def test_what_is_too_large_is_not_even_sent():
    with pytest.raises(VerbRefused, match="too many"):
        write_verb(StartScript(job=replace(JOB, script=bytes(VERB_CAP))))


@pytest.mark.parametrize(
    "answer",
    [
        HelperFacts(version="1", protocol=PROTOCOL, keys=["k"], keys_from="file", policy=PolicyReport(), problem="p"),
        KeysLearned(keys=["k"]),
        RebootState(reboot_id="r", begun=True, kind="host", before="a", now="b", begun_at="x", timeout_seconds=9),
        PruneState(prune_id="p", phase=PrunePhase.DONE, outcome="ok", removals=[Removal(name="n-1", outcome="gone")]),
        CommandOutput(name="df", exit_code=0, stdout="a", stderr="", truncated=False, timed_out=False, seconds=0.1),
        TracingFacts(tracers=["bcc"], btf=True, kprobes=None, problem="p"),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_each_kind_of_answer_crosses(answer):
    assert read_reply(content(write_reply(answer))) == answer


def test_an_answer_crosses():
    state = JobState(job_id="op-1", phase=JobPhase.DONE, stdout_path="/a", stderr_path="/b", result=RESULT, claim="c")
    assert read_reply(content(write_reply(state))) == state


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (DiskFull("Full."), DiskFull),
        (MachineError("No."), MachineError),
        (ValidationFailed("No."), MachineError),
        (VerbRefused("No."), VerbRefused),
    ],
)
def test_an_error_crosses_by_its_name(wrong, kind):
    with pytest.raises(kind, match=wrong.message) as found:
        read_reply(content(write_reply(wrong)))
    assert type(found.value) is kind


def test_a_refusal_keeps_its_outcome():
    with pytest.raises(VerbRefused) as found:
        read_reply(content(write_reply(VerbRefused("No.", outcome="signature_missing"))))
    assert found.value.details["outcome"] == "signature_missing"


def test_an_answer_that_is_none_is_an_error():
    with pytest.raises(MachineError, match="cannot be read"):
        read_reply(b"nonsense")
    with pytest.raises(MachineError, match="another release"):
        read_reply(pack({"kind": "Novelty", "body": b""}))
