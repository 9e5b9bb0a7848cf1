"""What ansible-runner tells of a run, made short: one record for each play, task and host, without secrets."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nanny_ops.protocol.playbook_run import HappeningKind, HostState, PlaybookEvent
from nanny_ops.protocol.redaction import masked

#: Records of one run, and how many more there may be of hosts that failed or could not be reached.
MOST, MOST_BAD = 2000, 500
#: Characters of a name, and of what a host says.
NAME, MESSAGE = 255, 1024
#: Lines that Ansible printed outside of any task and that are remembered, such as why it could not begin.
LINES = 20
HIDDEN = "hidden: no_log"
_TASKS = ("playbook_on_task_start", "playbook_on_handler_task_start", "playbook_on_cleanup_task_start")
_STATES: dict[str, HostState] = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_item_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
}
#: Keys of Ansible's recap and what they are called here.
_RECAP = {"ok": "ok", "changed": "changed", "failures": "failures", "dark": "unreachable", "skipped": "skipped"}
_RECAP |= {"rescued": "rescued", "ignored": "ignored"}


def clean(text: str, secrets: Sequence[str] = ()) -> str:
    """Return a text without what is known to be a secret, or looks like one."""
    for secret in secrets:
        text = text.replace(secret, "*" * 8)
    return masked(text.encode("utf-8", "replace")).decode("utf-8", "replace")


@dataclass
class Account:
    """What has happened in a run so far; ``tell`` gets each record that is to be told, at most so many."""

    tell: Callable[[PlaybookEvent], None]
    secrets: Sequence[str] = ()
    told: int = 0
    bad: int = 0
    left_out: int = 0
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)
    #: Whether Ansible came to its recap.
    complete: bool = False
    lines: list[str] = field(default_factory=list)

    def take(self, event: Mapping[str, Any]) -> None:
        """Note one of ansible-runner's events."""
        name, data = str(event.get("event", "")), event.get("event_data") or {}
        at = str(event.get("created", ""))
        if name == "playbook_on_play_start":
            self._tell("play", at, data, play=str(data.get("name", "")))
        elif name in _TASKS:
            self._tell("task", at, data)
        elif name in _STATES:
            self._host(_STATES[name], at, data)
        elif name == "playbook_on_no_hosts_matched":
            self._tell("no_hosts", at, data)
        elif name == "playbook_on_stats":
            self._recap(at, data)
        elif name in {"verbose", "error", "warning", "deprecated", "system_warning"}:
            self._line(str(event.get("stdout", "")))

    def _host(self, state: HostState, at: str, data: Mapping[str, Any]) -> None:
        found = data.get("res")
        result = found if isinstance(found, Mapping) else {}
        if state == "ok" and result.get("changed") is True:
            state = "changed"
        if state == "failed" and data.get("ignore_errors"):
            state = "ignored"
        seconds = data.get("duration")
        self._tell(
            "host",
            at,
            data,
            host=str(data.get("host", ""))[:NAME],
            state=state,
            message=self._said(result),
            seconds=round(seconds, 3) if isinstance(seconds, int | float) else None,
        )

    def _said(self, result: Mapping[str, Any]) -> str:
        if "censored" in result or result.get("_ansible_no_log"):
            return HIDDEN
        said = next((result[key] for key in ("msg", "stderr", "reason") if result.get(key)), "")
        text = said if isinstance(said, str) else json.dumps(said, default=str)
        return clean(text, self.secrets)[:MESSAGE]

    def _recap(self, at: str, data: Mapping[str, Any]) -> None:
        self.complete = True
        for key, word in _RECAP.items():
            for host, count in (data.get(key) or {}).items():
                self.hosts.setdefault(str(host)[:NAME], dict.fromkeys(_RECAP.values(), 0))[word] = int(count)
        self._tell("stats", at, data, always=True)

    def _line(self, text: str) -> None:
        if line := clean(text, self.secrets).strip():
            self.lines = [*self.lines, line[:MESSAGE]][-LINES:]

    def _tell(
        self, kind: HappeningKind, at: str, data: Mapping[str, Any], *, always: bool = False, **more: Any
    ) -> None:
        bad = more.get("state") in {"failed", "unreachable"}
        if not always and self.told >= MOST and not (bad and self.bad < MOST_BAD):
            self.left_out += 1
            return
        if self.told >= MOST:
            self.bad += bad
        else:
            self.told += 1
        names = {key: clean(str(data.get(key) or ""), self.secrets)[:NAME] for key in ("play", "task")}
        action = str(data.get("task_action") or "")[:NAME]
        self.tell(PlaybookEvent(kind=kind, at=at, action=action, **{**names, **more}))
