"""Making a recorded request to a rig, and saying how the answer differs."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from nanny_ops.lab.pve.api import INDEX_KEYS
from nanny_ops.lab.pve.routes import ROUTES
from nanny_ops.lab.pve.schema.table import table
from nanny_ops.lab.pve.server import Reply, Request
from nanny_ops.lab.pve.state.guest import Guest
from tests.integration.conformance.likeness import differences, sentence
from tests.integration.conformance.naming import CHANGED, RECORDED, Naming
from tests.integration.conformance.recording import Answer, Recording, recordings
from tests.integration.conformance.rig import SECRET, Rig, build
from tests.integration.conformance.scene import access, agent, guest, http, node, task
from tests.integration.conformance.scenes import Asked

#: Tasks first: they were begun before anything failed.
SCENES = (task.SCENES, node.SCENES, http.SCENES, access.SCENES, guest.SCENES, agent.SCENES)
#: The guest that is made between the rig and the request when nothing may be played back.
ADDED = 8888


@dataclass
class Coverage:
    """What became of the recordings of a release: names, of unequal ones with the differences."""

    equal: list[str] = field(default_factory=list)
    unequal: dict[str, list[str]] = field(default_factory=dict)
    unsupported: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return the numbers."""
        supported = len(self.equal) + len(self.unequal)
        return f"supported {supported}, equal {len(self.equal)}, not supported {len(self.unsupported)}"

    def told(self) -> str:
        """Return the numbers, and all that is not equal with the reasons."""
        lines = [self.summary()]
        lines += [f"  unequal {name}: {'; '.join(why[:3])}" for name, why in sorted(self.unequal.items())]
        return "\n".join([*lines, *(f"  not supported {name}" for name in self.unsupported)])


def replay(release: str, naming: Naming) -> Coverage:
    """Make every recorded request of a release, each to a fresh rig."""
    found = Coverage()
    for recording in recordings(release, naming):
        if not supported(recording):
            found.unsupported.append(recording.name)
        elif why := list(compare(recording, naming)):
            found.unequal[recording.name] = why
        else:
            found.equal.append(recording.name)
    return found


def supported(recording: Recording) -> bool:
    """Return whether the lab claims to answer such a request: the call is in its table, or is no call of the API."""
    called = table(recording.release).find(recording.method, recording.path)
    if called is None:
        return True
    described = called.described
    is_index = described.link in INDEX_KEYS and bool(table(recording.release).children(described.path))
    # What is refused before the call itself is reached is answered for every call.
    refused = recording.answer.status in {401, 403, 595}
    return f"{described.method} {described.path}" in ROUTES or is_index or refused


def compare(recording: Recording, naming: Naming) -> Iterator[str]:
    """Yield how our answer differs from the recorded one."""
    rig = build(recording.release, naming)
    asked = _asked(recording, rig)
    for scenes in SCENES:
        scenes.play(recording.name, rig, asked)
    added = _change(rig) if naming is not RECORDED else frozenset()
    reply = _ask(rig, asked)
    yield from _compare_answers(recording.answer, reply, added)
    if added and _lists_guests(recording) and str(ADDED).encode() not in reply.body:
        yield "the guest that was added is not told"
    if recording.task and reply.status == 200:
        yield from _compare_tasks(recording, rig, asked, json.loads(reply.body)["data"])
    if recording.polled and reply.status == 200:
        yield from _compare_polls(recording, rig, asked, json.loads(reply.body)["data"]["pid"])


def _lists_guests(recording: Recording) -> bool:
    """Return whether a new guest of the first node must show: to a token that may see all."""
    sees_all = recording.auth == "root@pam!rig" and recording.answer.status == 200
    kind = recording.data.get("type", "vm") if isinstance(recording.data, dict) else "vm"
    called = table(recording.release).find(recording.method, recording.path)
    path = called.described.path if called and recording.method == "GET" else ""
    listed = (path == "/cluster/resources" and kind == "vm") or path == "/nodes/{node}/lxc"
    return sees_all and listed and not recording.path.endswith(f"{CHANGED.name('pve2')}/lxc")


def _change(rig: Rig) -> frozenset[Any]:
    """Make a guest that was never recorded; lists of guests must tell it."""
    name = next(iter(rig.cluster.nodes))
    made = Guest(ADDED, "lxc", name, {"hostname": "added"})
    rig.cluster.create(made)
    rig.cluster.power.start(made)
    return frozenset({ADDED, f"lxc/{ADDED}", "added"})


def _asked(recording: Recording, rig: Rig) -> Asked:
    target = "/api2/json" + quote(recording.path, safe="/:@!=")
    asked = Asked(recording.method, target, {"content-type": "application/x-www-form-urlencoded"})
    asked.answering = next(iter(rig.cluster.nodes))
    asked.headers |= {name.lower(): value for name, value in recording.headers.items()}
    if recording.auth:
        asked.headers["authorization"] = _authorization(recording.auth)
    if isinstance(recording.data, str):
        asked.headers["content-type"] = "application/json"
        asked.body = recording.data.encode()
    elif recording.data and recording.method in {"GET", "DELETE"}:
        asked.target += "?" + urlencode(recording.data, doseq=True)
    elif recording.data:
        asked.body = urlencode(recording.data, doseq=True).encode()
    return asked


def _authorization(auth: str) -> str:
    if auth.startswith(("PVEAPIToken", "Bearer")):
        return auth.replace("<secret>", SECRET)
    return f"PVEAPIToken={auth}={SECRET}"


def _ask(rig: Rig, asked: Asked) -> Reply:
    return rig.api.answer(asked.answering, Request(asked.method, asked.target, asked.headers, asked.body))


def _compare_answers(recorded: Answer, reply: Reply, added: frozenset[Any]) -> Iterator[str]:
    if (recorded.status, sentence(recorded.reason)) != (reply.status, sentence(reply.reason)):
        yield f"{recorded.status} {recorded.reason} recorded, {reply.status} {reply.reason} answered"
        return
    head = {"Content-Type": reply.content_type, **dict(reply.headers)}
    for name, value in recorded.head.items():
        if name != "Content-Disposition" and head.get(name) != value:
            yield f"{name}: {value} recorded, {head.get(name)} answered"
    if recorded.body is None:
        yield from _compare_texts(recorded, reply)
        return
    ours = json.loads(reply.body) if reply.body.startswith(b"{") else None
    if ours is None:
        yield f"JSON recorded, {reply.body[:80]!r} answered"
        return
    for key in ("message", "errors", "success"):
        told, answered = (sentence(json.dumps(body.get(key), sort_keys=True)) for body in (recorded.body, ours))
        if told != answered:
            yield f"{key}: {recorded.body.get(key)!r} recorded, {ours.get(key)!r} answered"
    plain = ("message", "errors")
    wanted = {key: value for key, value in recorded.body.items() if key not in plain}
    found = {key: value for key, value in ours.items() if key not in plain}
    yield from differences(wanted, found, added)


def _compare_texts(recorded: Answer, reply: Reply) -> Iterator[str]:
    """Compare bodies that are no JSON: errors word for word, downloads by their last line, packed ones not at all."""
    told, answered = recorded.text or "", reply.body.decode("utf-8", "replace")
    if "Content-Encoding" in recorded.head:
        told, answered = str(bool(told)), str(bool(reply.body))
    elif recorded.status == 200:
        told, answered = (text.splitlines()[-1] if text else "" for text in (told, answered))
    if told != answered:
        yield f"{told!r} recorded, {answered[:200]!r} answered"


def _compare_tasks(recording: Recording, rig: Rig, asked: Asked, upid: str) -> Iterator[str]:
    wanted = recording.task or {}
    base = f"/api2/json/nodes/{upid.split(':')[1]}/tasks/{quote(upid, safe=':@!')}"
    heads = {name: value for name, value in asked.headers.items() if name != "content-type"}
    found = json.loads(_ask(rig, Asked("GET", f"{base}/status", heads, answering=asked.answering)).body)["data"]
    for key in ("type", "exitstatus"):
        if sentence(str(wanted[key])) != sentence(str(found.get(key))):
            yield f"task's {key}: {wanted[key]!r} recorded, {found.get(key)!r} answered"
    log = json.loads(_ask(rig, Asked("GET", f"{base}/log", heads, answering=asked.answering)).body)["data"]
    last = [line for line in wanted["log"] if line.startswith("TASK")][-1:]
    if last and sentence(last[0]) != sentence(log[-1]["t"]):
        yield f"task's last line: {last[0]!r} recorded, {log[-1]['t']!r} answered"


def _compare_polls(recording: Recording, rig: Rig, asked: Asked, pid: int) -> Iterator[str]:
    target = asked.target.replace("/agent/exec", f"/agent/exec-status?pid={pid}")
    heads = {name: value for name, value in asked.headers.items() if name != "content-type"}
    again = Asked("GET", target, heads, answering=asked.answering)
    yield from differences(recording.polled, json.loads(_ask(rig, again).body))
    if recording.reaped is not None:
        yield from _compare_answers(recording.reaped, _ask(rig, again), frozenset())


def endpoints(release: str) -> Counter[str]:
    """Return how many recordings there are of each call."""
    found: Counter[str] = Counter()
    for recording in recordings(release, RECORDED):
        if called := table(release).find(recording.method, recording.path):
            found[f"{called.described.method} {called.described.path}"] += 1
    return found
