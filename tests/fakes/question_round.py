"""A target's side of a round of questions, where no shell runs: each is handed on, and its answer stands in marks."""

from collections.abc import Callable, Sequence

from nanny_ops.machine.procedure.question import ASK
from nanny_ops.machine.run import Done


def is_round(argv: Sequence[str]) -> bool:
    """Tell whether a command is a round of questions."""
    return list(argv[:3]) == ["sh", "-c", ASK]


def answer(argv: Sequence[str], one: Callable[[Sequence[str]], Done]) -> Done:
    """Return what a round says, with ``one`` as the program that each question runs."""
    mark, words, said, number = argv[4], list(argv[5:]), b"", 0
    while words:
        stream, count = words[2], int(words[3])
        done = one(words[4 : 4 + count])
        code = 124 if done.timed_out else 255 if done.exit_code is None else done.exit_code
        told = done.stdout if stream == "1" else done.stderr
        said += b"\n%b %d\n%b\n%b %d %d\n" % (mark.encode(), number, told, mark.encode(), number, code)
        words, number = words[4 + count :], number + 1
    return Done(argv=tuple(argv), exit_code=0, stdout=said, stderr=b"")
