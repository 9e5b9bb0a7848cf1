"""The command lines that the pct stand-in understands, and the texts with which real pct refuses the others."""

import re
from dataclasses import dataclass, field

#: Command -> its arguments as real pct prints them, and the options that take a value or a flag.
USAGE = {
    "exec": "<vmid> [<extra-args>] [OPTIONS]",
    "push": "<vmid> <file> <destination> [OPTIONS]",
    "pull": "<vmid> <path> <destination> [OPTIONS]",
    "status": "<vmid> [OPTIONS]",
    "list": "",
    "config": "<vmid> [OPTIONS]",
    "start": "<vmid> [OPTIONS]",
    "stop": "<vmid> [OPTIONS]",
    "shutdown": "<vmid> [OPTIONS]",
}
OPTIONS = {
    "exec": {"keep-env": "1"},
    "push": {"perms": "", "user": "", "group": ""},
    "pull": {"perms": "", "user": "", "group": ""},
    "status": {"verbose": "0"},
    "list": {},
    "config": {"current": "0"},
    "start": {"debug": "0", "skiplock": "0"},
    "stop": {"skiplock": "0"},
    "shutdown": {"timeout": "60", "forceStop": "0"},
}
FLAGS = {"verbose", "current", "debug", "skiplock", "forceStop"}
POSITIONAL = {"exec": 1, "push": 3, "pull": 3, "list": 0}
LOWEST_VMID = 100


class Refused(Exception):
    """pct ends with a text on stderr and an exit code."""

    def __init__(self, text: str, code: int = 255) -> None:
        """Take the text and the code."""
        self.text = text
        self.code = code
        super().__init__(text)


@dataclass(frozen=True)
class Call:
    """One understood command line."""

    command: str
    words: list[str]
    options: dict[str, str]
    #: What stands after ``--``.
    rest: list[str] = field(default_factory=list)


def parse(arguments: list[str]) -> Call:
    """Understand a command line as the real program does. Raises Refused."""
    command = arguments[0] if arguments else ""
    if command not in USAGE:
        said = f"unknown command 'pct {command}'" if command else "no command specified"
        raise Refused(f"ERROR: {said}\nUSAGE: pct <COMMAND> [ARGS] [OPTIONS]")
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    words, options = _split(command, arguments[1:cut])
    rest = arguments[cut + 1 :]
    wanted = POSITIONAL.get(command, 1)
    if command == "exec":
        words, rest = words[:wanted], words[wanted:] + rest
    if len(words) < wanted:
        raise Refused(_with_usage("400 not enough arguments", command))
    if len(words) > wanted:
        raise Refused(_with_usage("400 too many arguments", command))
    if wanted:
        _check_vmid(words[0], command)
    return Call(command, words, options, rest)


def _split(command: str, arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    words: list[str] = []
    options = dict(OPTIONS[command])
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        match = re.fullmatch(r"--?([A-Za-z][\w-]*)(?:=(.*))?", word, re.DOTALL)
        if match is None:
            words.append(word)
        elif match[1] not in options:
            raise Refused(_with_usage(f"Unknown option: {match[1]}\n400 unable to parse option", command))
        else:
            options[match[1]] = match[2] if match[2] is not None else _value(match[1], queue, command)
    return words, options


def _value(name: str, queue: list[str], command: str) -> str:
    if name in FLAGS and not (queue and queue[0] in {"0", "1"}):
        return "1"
    if not queue:
        raise Refused(_with_usage(f"Option {name} requires an argument\n400 unable to parse option", command))
    return queue.pop(0)


def _with_usage(text: str, command: str) -> str:
    return f"{text}\npct {command} {USAGE[command]}"


def _check_vmid(word: str, command: str) -> None:
    head = "400 Parameter verification failed."
    if not word.isdigit():
        raise Refused(_with_usage(f"{head}\nvmid: type check ('integer') failed - got '{word}'", command))
    if int(word) < LOWEST_VMID:
        raise Refused(_with_usage(f"{head}\nvmid: invalid format - value does not look like a valid VM ID\n", command))
