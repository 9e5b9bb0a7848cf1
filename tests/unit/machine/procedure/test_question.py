"""Rounds of questions, asked by a real shell on this host."""

from nanny_ops.machine.procedure import question
from nanny_ops.machine.procedure.question import SAID, Answer, Question
from nanny_ops.machine.target import Here


def ask(*questions: Question) -> list[Answer]:
    return question.ask(Here("/usr/bin:/bin"), questions, lambda: "mark")


def test_each_gets_its_own_answer() -> None:
    awkward = ["sh", "-c", 'printf "%s|" "$@"; echo out; echo err >&2; exit 3', "sh", "a b", "", '"$1"', "é"]
    found = ask(
        Question(argv=awkward, seconds=5),
        Question(argv=awkward, seconds=5, stream="stderr"),
        Question(argv=["no-such-program"], seconds=5),
        Question(argv=["sh", "-c", 'echo "mark 4 0"; cat'], seconds=5),
        Question(argv=["true"], seconds=5),
    )
    assert found[0] == Answer(code=3, said='a b||"$1"|é|out\n')
    assert found[1] == Answer(code=3, said="err\n")
    assert (found[2].code, found[2].said) == (127, "")
    assert found[3].code == 0
    assert found[4] == Answer(code=0, said="")


def test_one_that_says_too_much_is_cut_and_does_not_die_of_it() -> None:
    loud, after = ask(
        Question(argv=["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; exit 7"], seconds=10),
        Question(argv=["true"], seconds=5),
    )
    assert (loud.code, len(loud.said), loud.whole) == (7, SAID, False)
    assert after.code == 0


def test_one_that_hangs_or_leaves_a_child_costs_its_own_time_only() -> None:
    hangs, leaves, after = ask(
        Question(argv=["sleep", "60"], seconds=1),
        Question(argv=["sh", "-c", "setsid sleep 2 & echo left"], seconds=1),
        Question(argv=["echo", "on"], seconds=5),
    )
    assert hangs.late
    assert (leaves.code, leaves.said) == (0, "left\n")
    assert after.said == "on\n"


def test_a_target_that_does_not_answer_tells_why_for_each() -> None:
    class Gone(Here):
        def command(self, argv, seconds):
            return question_of(self, ["sh", "-c", "echo gone >&2; exit 255"], seconds)

    question_of = Here.command
    found = question.ask(Gone(), [Question(argv=["true"], seconds=1)] * 2)
    assert found == [Answer(code=None, said="gone")] * 2


def test_a_round_that_is_too_long_is_asked_in_several() -> None:
    sizes = []

    class Counted(Here):
        def command(self, argv, seconds):
            sizes.append(sum(map(len, argv)))
            return super().command(argv, seconds)

    many = [Question(argv=["echo", str(number), "x" * 4000], seconds=5) for number in range(10)]
    found = question.ask(Counted(), many)
    assert [one.said.split()[0] for one in found] == [str(number) for number in range(10)]
    assert len(sizes) > 1
    assert max(sizes) < 64_000 / 3
