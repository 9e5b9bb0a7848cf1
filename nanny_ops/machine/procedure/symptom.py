"""What is asked for each kind of probe, and what an answer says about a target's health; nothing is done here."""

import re

from nanny_ops.machine.procedure.question import Answer, Question
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.probe import Probe

#: Healthy or not, None where it cannot be told, and why.
Judged = tuple[bool | None, str]

#: Prints what serves in a target: systemd's running services, and ports below those that come and go.
SERVING = """
if command -v systemctl >/dev/null; then
    systemctl list-units --type=service --state=running --no-legend --plain 2>/dev/null | while read -r unit rest; do
        echo "service $unit"
    done
fi
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r slot local remote state rest; do
    [ "$state" = 0A ] && echo "port ${local##*:}"
done
exit 0
"""
#: Seconds for that, and the most bytes of it.
SERVING_SECONDS, SERVING_MOST = 30, 65_536
#: Services that come and go by themselves.
_PASSING = re.compile(
    r"(?:apt-daily|apt-news|dnf-|packagekit|unattended|user@|systemd-(?:hostnamed|localed|timedated)|polkit|fwupd)"
)
_LOAD = 'read -r load rest </proc/loadavg && echo "$load" && nproc'
#: Argument: a port as the kernel writes it. Prints whether something listens there.
_LISTENS = """
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r slot local remote state rest; do
    [ "$state" = 0A ] && [ "${local##*:}" = "$1" ] && echo listens
done
exit 0
"""
_FETCH = ("curl", "--silent", "--show-error", "--insecure", "--globoff", "--noproxy", "*", "--include", "--max-time")
#: Bytes of a page inside a machine that are looked through.
PAGE = 16_384
#: First port of those that Linux gives away by itself.
_EPHEMERAL = 32768


def question(probe: Probe) -> Question:
    """Return what is asked inside the target for a probe."""
    seconds = probe.timeout_seconds
    match probe.kind:
        case "unit":
            return Question(argv=["systemctl", "is-active", "--", probe.unit], seconds=seconds)
        case "command":
            return Question(argv=probe.argv, seconds=seconds, stream="stderr")
        case "load":
            return Question(argv=["sh", "-c", _LOAD], seconds=seconds)
        case "services":
            return Question(argv=["sh", "-c", SERVING], seconds=SERVING_SECONDS, most=SERVING_MOST)
        case "tcp":
            return Question(argv=["sh", "-c", _LISTENS, "sh", f"{probe.port:04X}"], seconds=seconds)
        case "http":
            return Question(argv=[*_FETCH, str(seconds), "--", url(probe)], seconds=seconds + 1, most=PAGE)


def judge(probe: Probe, answer: Answer, before: list[str] | None) -> Judged:
    """Judge an answer by its probe; ``before`` is what served before the change."""
    if answer.code is None:
        return untold(answer.said)
    match probe.kind:
        case "unit":
            return _unit(probe, answer)
        case "command":
            return _command(probe, answer)
        case "load":
            return _load(probe, answer)
        case "services":
            return _services(answer, before)
        case "tcp":
            return ("listens" in answer.said, "" if "listens" in answer.said else f"Nothing listens on {probe.port}.")
        case "http":
            return _page(probe, answer)


def heard(wrong: str) -> Judged:
    """Judge by what a knock has come to."""
    return not wrong, wrong


def untold(why: str) -> Judged:
    """Return that it cannot be told."""
    return None, f"It cannot be told: {why}"


def serving(answer: Answer) -> set[str] | None:
    """Return the services and ports that :data:`SERVING` has printed, without those that come and go."""
    if answer.code != 0 or not answer.whole:
        return None
    found = set()
    for line in answer.said.splitlines():
        kind, _, name = line.partition(" ")
        if kind == "service" and not _PASSING.match(name):
            found.add(plain(name)[:200])
        elif kind == "port" and re.fullmatch("[0-9A-F]{4}", name) and int(name, 16) < _EPHEMERAL:
            found.add(f"port {int(name, 16)}")
    return found


def url(probe: Probe) -> str:
    """Return the address of a page."""
    return probe.url or f"http://{probe.host or '127.0.0.1'}:{probe.port or 80}{probe.path}"


def _unit(probe: Probe, answer: Answer) -> Judged:
    said = answer.said.strip()[:64]
    if answer.code == 0:
        return True, ""
    return (False, f"{probe.unit} is {said}.") if said and not answer.late else (None, "systemd does not tell.")


def _command(probe: Probe, answer: Answer) -> Judged:
    if answer.late:
        return None, f"It did not end within {probe.timeout_seconds} s."
    said = answer.said.strip()[:200]
    return answer.code == 0, "" if answer.code == 0 else f"It ended with {answer.code}. {said}".strip()


def _load(probe: Probe, answer: Answer) -> Judged:
    """Compare the load per CPU; a container without lxcfs is shown its node's load, and has its own CPUs."""
    try:
        load, cpus = answer.said.split()
        each = float(load) / max(1, int(cpus))
    except ValueError:
        return None, "The load cannot be read."
    return each <= probe.most, f"The load per CPU is {each:.2f}, and may be {probe.most}."


def _services(answer: Answer, before: list[str] | None) -> Judged:
    now = serving(answer)
    if before is None or now is None:
        return None, "Which services ran before, or run now, cannot be told."
    gone = sorted(set(before) - now)
    return not gone, f"No longer there: {', '.join(gone)[:1000]}." if gone else ""


def _page(probe: Probe, answer: Answer) -> Judged:
    """Judge a page that curl has fetched, its head first; none of it comes where no program of that name is."""
    found = re.match(r"HTTP/\S+ (\d{3})", answer.said)
    if found is None:
        reason = f"curl ended with {answer.code}" if answer.code != 127 else "there is no curl inside"
        return (None if answer.code == 127 else False), f"{url(probe)}: {reason}."
    status, body = int(found[1]), answer.said.partition("\r\n\r\n")[2]
    if (probe.status and status != probe.status) or (not probe.status and status >= 400):
        return False, f"{url(probe)} answered {status}."
    return (True, "") if probe.body in body else (False, f"{url(probe)} does not say what it should.")
