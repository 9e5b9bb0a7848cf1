"""Scenes: tickets, tokens and bodies."""

from urllib.parse import quote

from tests.integration.conformance.rig import NOW, SECRET, Rig
from tests.integration.conformance.scenes import Asked, Scenes

SCENES = Scenes()
ROOT = "root@pam"


@SCENES.of("http200_cookie_get", "http401_cookie_post_*", "http500_cookie_post_with_csrf")
def a_ticket(rig: Rig, asked: Asked) -> None:
    asked.headers["cookie"] = f"PVEAuthCookie={quote(rig.api.login.ticket(ROOT, NOW), safe='')}"


@SCENES.of("http200_cookie_raw_unescaped_get")
def a_ticket_as_it_is(rig: Rig, asked: Asked) -> None:
    asked.headers["cookie"] = f"PVEAuthCookie={rig.api.login.ticket(ROOT, NOW)}"


@SCENES.of("http401_bad_ticket_cookie")
def a_forged_ticket(rig: Rig, asked: Asked) -> None:
    asked.headers["cookie"] = f"PVEAuthCookie={rig.api.login.ticket(ROOT, NOW)}x"


@SCENES.of("http500_cookie_post_with_csrf")
def the_second_token(rig: Rig, asked: Asked) -> None:
    asked.headers["csrfpreventiontoken"] = rig.api.login.csrf_token(ROOT, NOW)


@SCENES.of("post_access_ticket--refresh_with_ticket_as_password")
def a_ticket_for_a_password(rig: Rig, asked: Asked) -> None:
    ticket = quote(rig.api.login.ticket(ROOT, NOW), safe="")
    asked.body = f"username=root%40pam&password={ticket}".encode()


@SCENES.of("http401_wrong_secret")
def a_wrong_secret(rig: Rig, asked: Asked) -> None:
    asked.headers["authorization"] = asked.headers["authorization"].replace(SECRET, "wrong")


@SCENES.of("http200_malformed_token_space")
def a_space_for_the_equals_sign(rig: Rig, asked: Asked) -> None:
    assert asked.headers["authorization"].startswith("PVEAPIToken ")


@SCENES.of("extjs_*", "json_suffix_extjs")
def the_other_format(rig: Rig, asked: Asked) -> None:
    asked.target = asked.target.replace("/api2/json", "/api2/extjs", 1)


@SCENES.of("root_html", "http500_outside_api")
def outside_of_the_api(rig: Rig, asked: Asked) -> None:
    asked.target = asked.target.removeprefix("/api2/json")


@SCENES.of("http506_unsupported_ctype")
def a_foreign_body(rig: Rig, asked: Asked) -> None:
    asked.headers["content-type"] = "text/plain"
