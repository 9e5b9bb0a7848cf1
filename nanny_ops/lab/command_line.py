"""Command lines of Proxmox VE's programs: what a stand-in understands, and the texts with which it refuses the rest."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LOWEST_VMID = 100


class Refused(Exception):
    """A program ends with a text on stderr and an exit code."""

    def __init__(self, text: str, code: int = 255) -> None:
        """Take the text and the code."""
        self.text = text
        self.code = code
        super().__init__(text)


@dataclass(frozen=True)
class Form:
    """One command: its arguments by name, its options with their values when they are not given, and which are flags.

    ``open_options`` is for a command whose options the schema knows: it says whether there is one, and whether it is a
    flag. ``rest`` takes what stands behind the arguments and behind ``--``.
    """

    words: tuple[str, ...] = ("vmid",)
    options: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    rest: bool = False
    open_options: bool = False

    @property
    def usage(self) -> str:
        """Return the arguments as the real program prints them."""
        named = " ".join(f"<{word}>" for word in self.words)
        extra = " [<extra-args>]" if self.rest else ""
        return f"{named}{extra}" + (" [OPTIONS]" if self.options or self.open_options else "")


#: Says of an option whether it is there (None where not) and whether it is a flag.
Look = Callable[[str, str], bool | None]


@dataclass(frozen=True)
class Call:
    """One understood command line."""

    command: str
    words: list[str]
    options: dict[str, str]
    #: What stands after ``--``.
    rest: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Grammar:
    """The commands of one program; a command of two words stands with a blank."""

    program: str
    forms: Mapping[str, Form]

    def parse(self, arguments: list[str], look: Look = lambda _command, _option: None) -> Call:
        """Understand a command line as the real program does. Raises Refused."""
        command, given = self._command(arguments)
        form = self.forms[command]
        cut = given.index("--") if "--" in given else len(given)
        words, options = self._split(command, given[:cut], look)
        rest, wanted = given[cut + 1 :], len(form.words)
        if form.rest:
            words, rest = words[:wanted], words[wanted:] + rest
        if len(words) < wanted:
            raise Refused(self._with_usage("400 not enough arguments", command))
        if len(words) > wanted or (rest and not form.rest):
            raise Refused(self._with_usage("400 too many arguments", command))
        if form.words[:1] == ("vmid",):
            self._check_vmid(words[0], command)
        return Call(command, words, options, rest)

    def wrong_parameters(self, command: str, errors: Mapping[str, str]) -> Refused:
        """Return the refusal of values that only the schema tells to be wrong."""
        told = "".join(f"{name}: {text}\n" for name, text in sorted(errors.items()))
        return Refused(self._with_usage(f"400 Parameter verification failed.\n{told}".removesuffix("\n"), command))

    def _command(self, arguments: list[str]) -> tuple[str, list[str]]:
        for count in (2, 1):
            if " ".join(arguments[:count]) in self.forms and len(arguments) >= count:
                return " ".join(arguments[:count]), arguments[count:]
        said = f"unknown command '{self.program} {arguments[0]}'" if arguments else "no command specified"
        raise Refused(f"ERROR: {said}\nUSAGE: {self.program} <COMMAND> [ARGS] [OPTIONS]")

    def _split(self, command: str, arguments: list[str], look: Look) -> tuple[list[str], dict[str, str]]:
        words: list[str] = []
        options = dict(self.forms[command].options)
        queue = list(arguments)
        while queue:
            word = queue.pop(0)
            match = re.fullmatch(r"--?([A-Za-z][\w-]*)(?:=(.*))?", word, re.DOTALL)
            if match is None:
                words.append(word)
                continue
            flag = self._flag(command, match[1], look)
            value = match[2] if match[2] is not None else self._value(match[1], queue, command, flag=flag)
            again = match[1] in options and match[1] in {"revert", "delete"}
            options[match[1]] = f"{options[match[1]]},{value}" if again else value
        return words, options

    def _flag(self, command: str, name: str, look: Look) -> bool:
        form = self.forms[command]
        if name in form.options:
            return name in form.flags
        found = look(command, name) if form.open_options else None
        if found is None:
            raise Refused(self._with_usage(f"Unknown option: {name}\n400 unable to parse option", command))
        return found

    def _value(self, name: str, queue: list[str], command: str, *, flag: bool) -> str:
        if flag and not (queue and queue[0] in {"0", "1"}):
            return "1"
        if not queue:
            raise Refused(self._with_usage(f"Option {name} requires an argument\n400 unable to parse option", command))
        return queue.pop(0)

    def _with_usage(self, text: str, command: str) -> str:
        return f"{text}\n{self.program} {command} {self.forms[command].usage}"

    def _check_vmid(self, word: str, command: str) -> None:
        head = "400 Parameter verification failed."
        if not word.isdigit():
            raise Refused(self._with_usage(f"{head}\nvmid: type check ('integer') failed - got '{word}'", command))
        if int(word) < LOWEST_VMID:
            text = f"{head}\nvmid: invalid format - value does not look like a valid VM ID\n"
            raise Refused(self._with_usage(text, command))


_FILES = {"perms": "", "user": "", "group": ""}
PCT = Grammar(
    "pct",
    {
        "exec": Form(options={"keep-env": "1"}, rest=True),
        "push": Form(("vmid", "file", "destination"), _FILES),
        "pull": Form(("vmid", "path", "destination"), _FILES),
        "status": Form(options={"verbose": "0"}, flags=frozenset({"verbose"})),
        "list": Form(()),
        "config": Form(open_options=True),
        "pending": Form(),
        "set": Form(open_options=True),
        "start": Form(open_options=True),
        "stop": Form(open_options=True),
        "shutdown": Form(open_options=True),
        "reboot": Form(open_options=True),
        "unlock": Form(),
        "listsnapshot": Form(),
        "snapshot": Form(("vmid", "snapname"), open_options=True),
        "delsnapshot": Form(("vmid", "snapname"), open_options=True),
        "rollback": Form(("vmid", "snapname"), open_options=True),
        "migrate": Form(("vmid", "target"), open_options=True),
    },
)
QM = Grammar(
    "qm",
    {
        "list": Form((), {"full": "0"}, frozenset({"full"})),
        "status": Form(options={"verbose": "0"}, flags=frozenset({"verbose"})),
        "config": Form(open_options=True),
        "pending": Form(),
        "set": Form(open_options=True),
        "start": Form(open_options=True),
        "stop": Form(open_options=True),
        "shutdown": Form(open_options=True),
        "reboot": Form(open_options=True),
        "unlock": Form(),
        "listsnapshot": Form(),
        "snapshot": Form(("vmid", "snapname"), open_options=True),
        "delsnapshot": Form(("vmid", "snapname"), open_options=True),
        "rollback": Form(("vmid", "snapname"), open_options=True),
        "agent": Form(("vmid", "command")),
        "guest cmd": Form(("vmid", "command")),
        "guest exec": Form(
            options={"synchronous": "1", "timeout": "30", "pass-stdin": "0"},
            flags=frozenset({"synchronous", "pass-stdin"}),
            rest=True,
        ),
        "guest exec-status": Form(("vmid", "pid")),
    },
)
