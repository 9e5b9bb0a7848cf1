"""Questions that are asked inside a target: all of one round in one call, as each ``pct`` costs a second of CPU.

One POSIX sh text asks them one after the other, each with its own time limit and a bound on what it says; a mark that
nobody can foresee stands around each answer. A round that would be too long for one call is asked in several.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nanny_ops.errors import MachineError
from nanny_ops.machine.target import Target

#: Arguments: mark, then for each question its seconds, the bytes it may say, the stream that is told (1 or 2), how
#: many words it has, and these. What it says beyond the bound is read and thrown away, so that it does not die of it;
#: a child that keeps its output open is waited for a little longer than the question itself.
ASK = """
mark=$1 number=0
shift
exec 3>&1
while [ $# -gt 3 ]; do
    seconds=$1 most=$2 stream=$3 count=$4 words= at=0
    shift 4
    while [ "$at" -lt "$count" ]; do
        at=$((at + 1))
        words="$words \\"\\${$at}\\""
    done
    if [ "$stream" = 1 ]; then words="$words 2>/dev/null"; else words="$words 2>&1 >/dev/null"; fi
    printf '\\n%s %s\\n' "$mark" "$number"
    code=$({ {
        eval "timeout -k 2 $seconds $words" 3>&- 4>&- </dev/null
        echo "$?" >&4
    } | {
        timeout "$((seconds + 4))" head -c "$most"
        timeout "$((seconds + 4))" cat >/dev/null
    } >&3 4>&-; } 4>&1)
    printf '\\n%s %s %s\\n' "$mark" "$number" "$code"
    shift "$count"
    number=$((number + 1))
done
"""
#: Bytes of an answer that are told, unless a question wants more.
SAID = 4096
#: Seconds of each question that its own program may need beyond its limit to be ended.
MARGIN = 6
#: Bytes of words in one call, at most: the API of Proxmox VE takes 64 KiB for a machine's guest agent, encoded.
LONGEST = 16_384
#: Bytes of answers in one call, at most; see :data:`nanny_ops.machine.target.COMMAND_CAP`.
MOST = 384 * 1024
#: The exit code of ``timeout`` for a program that was too slow.
_LATE = 124


@dataclass(frozen=True, kw_only=True)
class Question:
    """One program to be run in the target: its words, its seconds, and which of its streams is told, up to ``most``."""

    argv: Sequence[str]
    seconds: int
    stream: Literal["stdout", "stderr"] = "stdout"
    most: int = SAID


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What it said, and how it ended; None where that is not known, for which ``said`` gives the reason."""

    code: int | None
    said: str
    late: bool = False
    whole: bool = True


def ask(target: Target, questions: Sequence[Question], mark: Callable[[], str] | None = None) -> list[Answer]:
    """Ask all questions and return their answers in the same order."""
    found: list[Answer] = []
    for some in _rounds(questions):
        found += _ask(target, some, mark() if mark else f"nanny-{os.urandom(8).hex()}")
    return found


def _rounds(questions: Sequence[Question]) -> Iterator[Sequence[Question]]:
    """Share questions out to calls of a bounded length."""
    some, words, answers = list[Question](), 0, 0
    for one in questions:
        length = sum(len(word.encode()) + 1 for word in one.argv)
        if some and (words + length > LONGEST or answers + one.most > MOST):
            yield some
            some, words, answers = [], 0, 0
        some.append(one)
        words, answers = words + length, answers + one.most
    if some:
        yield some


def _ask(target: Target, questions: Sequence[Question], mark: str) -> list[Answer]:
    words = [mark]
    for one in questions:
        stream = "1" if one.stream == "stdout" else "2"
        words += [str(one.seconds), str(one.most), stream, str(len(one.argv)), *one.argv]
    seconds = sum(one.seconds + MARGIN for one in questions)
    try:
        done = target.command(["sh", "-c", ASK, "sh", *words], seconds)
    except MachineError as wrong:
        return [Answer(code=None, said=wrong.message) for _ in questions]
    why = done.stderr.decode("utf-8", "replace").strip()[:200]
    return [_answer(done.stdout, mark, number, one, why) for number, one in enumerate(questions)]


def _answer(stdout: bytes, mark: str, number: int, question: Question, why: str) -> Answer:
    head, tail = f"\n{mark} {number}\n".encode(), f"\n{mark} {number} ".encode()
    _, begun, rest = stdout.partition(head)
    said, ended, code = rest.partition(tail)
    code = code.partition(b"\n")[0]
    if not ended or not code.isdigit():
        return Answer(code=None, said=why or "No answer came.", late=bool(begun))
    text, whole = said.decode("utf-8", "replace"), len(said) < question.most
    return Answer(code=int(code), said=text, late=int(code) == _LATE, whole=whole)
