"""The permission trees of the schema: may this caller make this call? With the sentence of the refusal."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from nanny_ops.lab.pve.refusal import Refusal


class Caller(Protocol):
    """Who asks."""

    @property
    def user(self) -> str:
        """Return the user, ``name@realm``."""

    @property
    def is_root(self) -> bool:
        """Return whether it is root@pam itself, not one of its tokens."""

    def may(self, path: str, privilege: str) -> bool:
        """Return whether it holds a privilege at a path."""


def check(tree: Mapping[str, Any], caller: Caller, given: Mapping[str, Any]) -> None:
    """Raise Refusal 403 unless the caller may; ``given`` are the parameters, those of the path among them."""
    if caller.is_root or tree.get("user") in {"all", "world"}:
        return
    if "check" not in tree:
        raise refused("user != root@pam")
    if wrong := _failed(tree["check"], caller, given):
        raise refused(wrong)


def refused(why: str) -> Refusal:
    """Return Proxmox VE's 403."""
    return Refusal(403, f"Permission check failed{f' ({why})' if why else ''}")


def _failed(test: list[Any], caller: Caller, given: Mapping[str, Any]) -> str:
    return _TESTS[test[0]](test, caller, given)


def _and(test: list[Any], caller: Caller, given: Mapping[str, Any]) -> str:
    return next((wrong for part in test[1:] if (wrong := _failed(part, caller, given))), "")


def _or(test: list[Any], caller: Caller, given: Mapping[str, Any]) -> str:
    wrongs = [_failed(part, caller, given) for part in test[1:]]
    return "" if "" in wrongs else wrongs[-1]


def _perm(test: list[Any], caller: Caller, given: Mapping[str, Any]) -> str:
    template, privileges, options = test[1], test[2], dict(zip(test[3::2], test[4::2], strict=True))
    needed = options.get("require_param")
    if needed and needed not in given:
        return f"missing {needed}"
    path = fill(template, given)
    anyone = any if options.get("any") else all
    if anyone(caller.may(path, privilege) for privilege in privileges):
        return ""
    if options.get("any"):
        return f"{path}, {'|'.join(privileges)}"
    return f"{path}, {next(privilege for privilege in privileges if not caller.may(path, privilege))}"


def fill(template: str, given: Mapping[str, Any]) -> str:
    """Return a path with the parameters in the place of ``{name}``."""
    path = template
    for name, value in given.items():
        path = path.replace(f"{{{name}}}", str(value))
    return path


def _userid_param(test: list[Any], caller: Caller, given: Mapping[str, Any]) -> str:
    userid = str(given.get("userid", ""))
    if test[1] == "self":
        return "" if userid == caller.user else f"{userid} != {caller.user}"
    path = f"/access/realm/{userid.rpartition('@')[2]}"
    return "" if caller.may(path, test[1]) else f"{path}, {test[1]}"


def _userid_group(test: list[Any], caller: Caller, _given: Mapping[str, Any]) -> str:
    if any(caller.may("/access/groups", privilege) for privilege in test[1]):
        return ""
    return f"/access/groups, {'|'.join(test[1])}"


def _perm_modify(test: list[Any], caller: Caller, given: Mapping[str, Any]) -> str:
    path = fill(test[1], given)
    return "" if caller.may(path, "Permissions.Modify") else f"{path}, Permissions.Modify"


_TESTS: dict[str, Callable[[list[Any], Caller, Mapping[str, Any]], str]] = {
    "and": _and,
    "or": _or,
    "perm": _perm,
    "userid-param": _userid_param,
    "userid-group": _userid_group,
    "perm-modify": _perm_modify,
}
