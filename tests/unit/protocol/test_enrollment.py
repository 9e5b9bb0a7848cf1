"""The records of enrolment are told apart by their action and bound what they take."""

from typing import Annotated

import pytest
from pydantic import Discriminator, TypeAdapter, ValidationError

from nanny_ops.protocol import enrollment as words
from nanny_ops.protocol.enrollment import Authorize, Deny, DeviceAuthStart, Refresh, Register, TokenAnswer

COMMANDS = (DeviceAuthStart, Authorize, Deny, Register, Refresh)


def test_a_user_code_has_no_symbol_that_people_misread() -> None:
    assert not set("IO01") & set(words.USER_CODE_ALPHABET)
    assert len(set(words.USER_CODE_ALPHABET)) == len(words.USER_CODE_ALPHABET) == 32
    assert words.USER_CODE_LENGTH == 8


def test_each_action_is_one_record() -> None:
    actions = [command.__dataclass_fields__["action"].default for command in COMMANDS]
    assert actions == ["device-auth-start", "authorize", "deny", "register", "refresh"]


def test_the_action_chooses_the_record() -> None:
    either = TypeAdapter(Annotated[Authorize | Register, Discriminator("action")])
    assert either.validate_python({"action": "register", "device_code": "x"}) == Register(device_code="x")
    with pytest.raises(ValidationError, match="union_tag_invalid"):
        either.validate_python({"action": "sign-in", "device_code": "x"})


@pytest.mark.parametrize(
    "body",
    [
        {"device_code": ""},
        {"device_code": "x" * 129},
        {"device_code": "x", "hostname": "h" * 256},
        {"device_code": "x", "all_ips": ["192.0.2.1"] * 257},
    ],
)
def test_oversized_claims_are_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Register).validate_python(body)


def test_a_token_answer_speaks_of_bearer_and_an_hour() -> None:
    answer = TokenAnswer(access_token="a", refresh_token="r", agent_id="agent-1")
    assert (answer.token_type, answer.expires_in) == ("Bearer", 3600)


def test_health_thresholds_are_in_order() -> None:
    assert 0 < words.STALE_AFTER < words.OFFLINE_AFTER
