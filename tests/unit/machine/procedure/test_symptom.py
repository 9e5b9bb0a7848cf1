"""What an answer says about health."""

import pytest

from nanny_ops.machine.procedure import symptom
from nanny_ops.machine.procedure.question import Answer
from nanny_ops.protocol.probe import Probe

PAGE = Probe(kind="http", port=80, status=200, body="fine")
HEAD = "HTTP/1.1 200 OK\r\nServer: fine\r\n\r\n"


def test_services_that_come_and_go_are_no_loss() -> None:
    said = "service apt-daily.service\nservice sshd.service\nport 8001\nport 0016\nport x\n"
    assert symptom.serving(Answer(code=0, said=said)) == {"sshd.service", "port 22"}
    assert symptom.serving(Answer(code=0, said=said, whole=False)) is None
    assert symptom.serving(Answer(code=1, said="")) is None


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (Answer(code=0, said=f"{HEAD}All is fine."), True),
        (Answer(code=0, said=f"{HEAD}All is well."), False),
        (Answer(code=0, said=HEAD.replace("200", "503") + "fine"), False),
        (Answer(code=7, said=""), False),
        (Answer(code=127, said=""), None),
        (Answer(code=None, said="It is not running."), None),
    ],
)
def test_a_page_that_was_fetched_inside_a_machine(answer: Answer, healthy: bool | None) -> None:
    assert symptom.judge(PAGE, answer, None)[0] is healthy


def test_no_question_may_say_more_than_a_round_takes() -> None:
    asked = [symptom.question(Probe(kind=kind)) for kind in ("unit", "command", "load", "services", "tcp", "http")]
    assert max(one.most for one in asked) == symptom.SERVING_MOST
