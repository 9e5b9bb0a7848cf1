"""How a request proves who makes it."""

import pytest

from nanny_ops.lab.pve.login import TICKET_LIFE, Login
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.access import User
from tests.unit.lab.pve.pretended import NOW, asking, rights


def login() -> Login:
    access = rights()
    access.users["root@pam"] = User("root@pam", "right")
    access.tokens["agent@pve!mon"].expire = 0
    access.tokens["agent@pve!nopriv"].expire = 1
    return Login(access)


@pytest.mark.rows("PVE-03")
@pytest.mark.parametrize("sign", ["=", " "])
def test_the_header_of_a_token(sign: str) -> None:
    header = {"authorization": f"PVEAPIToken{sign}agent@pve!mon=secret"}
    assert login().identify("GET", header, NOW) == "agent@pve!mon"


@pytest.mark.rows("PVE-02", "PVE-03")
@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("", "No ticket"),
        ("Bearer x", "No ticket"),
        ("PVEAPIToken=agent@pve!mon=wrong", "Authentication failed!"),
        ("PVEAPIToken=agent@pve!mon:secret", "Authentication failed!"),
        ("PVEAPIToken=nobody@pve!x=secret", "Authentication failed!"),
        ("PVEAPIToken=disabled@pve!t1=secret", "Authentication failed!"),
        ("PVEAPIToken=agent@pve!nopriv=secret", "Authentication failed!"),
    ],
)
def test_every_other_header_is_answered_late(header: str, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        login().identify("GET", {"authorization": header}, NOW)
    assert (refused.value.status, refused.value.text, refused.value.delay) == (401, text, True)


@pytest.mark.rows("PVE-02")
def test_a_ticket_reads_alone_and_changes_only_with_the_second_token() -> None:
    made = login()
    cookie = {"cookie": f"PVEAuthCookie={made.ticket('root@pam', NOW)}"}
    assert made.identify("GET", cookie, NOW) == "root@pam"
    assert made.identify("POST", cookie | {"csrfpreventiontoken": made.csrf_token("root@pam", NOW)}, NOW) == "root@pam"
    for wrong in ({}, {"csrfpreventiontoken": "bad"}):
        with pytest.raises(Refusal, match="Permission denied - invalid csrf token"):
            made.identify("POST", cookie | wrong, NOW)
    with pytest.raises(Refusal, match="Authentication failed!"):
        made.identify("GET", cookie, NOW + TICKET_LIFE + 1)


def test_a_ticket_is_taken_in_place_of_the_password() -> None:
    made = login()
    assert made.password_fits("root@pam", "right", NOW)
    assert made.password_fits("root@pam", made.ticket("root@pam", NOW), NOW)
    assert not made.password_fits("agent@pve", made.ticket("root@pam", NOW), NOW)
    assert not made.password_fits("root@pam", "wrong", NOW)


def test_a_user_without_a_password_has_none_that_fits() -> None:
    assert not login().password_fits("agent@pve", "", NOW)


def test_the_whole_api_asks_for_it() -> None:
    assert asking().reply("GET", "/version", authorization="").status == 401
