"""Who may do what: users, tokens, roles and the grants that bind them to paths."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nanny_ops.lab.pve.schema.permission import refused
from nanny_ops.lab.pve.state.role import Roles, built_in

ROOT = "root@pam"
#: Paths that /access/permissions always looks at.
WELL_KNOWN = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")


@dataclass
class User:
    """One user, ``name@realm``; ``expire`` in seconds of the epoch, 0 for never."""

    userid: str
    password: str = field(default="", repr=False)
    enabled: bool = True
    expire: int = 0
    comment: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()

    @property
    def realm(self) -> str:
        """Return the part behind the last ``@``."""
        return self.userid.rpartition("@")[2]


@dataclass
class Token:
    """One API token ``user@realm!name``; one with ``privsep`` holds only what is granted to it and to its user."""

    token_id: str
    secret: str = field(repr=False)
    privsep: bool = True
    expire: int = 0
    comment: str = ""

    @property
    def user(self) -> str:
        """Return the user, ``name@realm``."""
        return self.token_id.partition("!")[0]

    @property
    def name(self) -> str:
        """Return the part behind the exclamation mark."""
        return self.token_id.partition("!")[2]


@dataclass(frozen=True)
class Grant:
    """One line of the access list: ``who`` is a user, a token or, with ``kind`` group, a group."""

    path: str
    who: str
    role: str
    kind: str = "user"
    propagate: bool = True


@dataclass
class Access:
    """All of it; custom roles stand beside the built-in ones."""

    release: str
    users: dict[str, User] = field(default_factory=lambda: {ROOT: User(ROOT)})
    tokens: dict[str, Token] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    custom: Roles = field(default_factory=dict)
    #: Realm -> what it is; both always exist.
    realms: dict[str, str] = field(
        default_factory=lambda: {
            "pam": "Linux PAM standard authentication",
            "pve": "Proxmox VE authentication server",
        }
    )

    def __post_init__(self) -> None:
        """Know the release's own roles and privileges."""
        self.special = built_in(self.release)
        self.known_privileges = frozenset(self.special["Administrator"])

    @property
    def roles(self) -> Roles:
        """Return all roles with their privileges."""
        return self.special | self.custom

    def privileges(self, who: str, path: str, *, handed_on: bool = False) -> frozenset[str]:
        """Return what a user or token holds at a path: the nearest level with a grant counts, as in Proxmox VE.

        With ``handed_on`` only what it then holds below the path, too.
        """
        userid, _, name = who.partition("!")
        if not name:
            return self._of_user(userid, path, handed_on=handed_on)
        token = self.tokens.get(who)
        if token is None:
            return frozenset()
        whole = self._of_user(userid, path, handed_on=handed_on)
        return whole if not token.privsep else whole & self._granted((("token", who),), path, handed_on=handed_on)

    def _of_user(self, userid: str, path: str, *, handed_on: bool) -> frozenset[str]:
        if userid == ROOT:
            return self.known_privileges
        user = self.users.get(userid)
        if user is None or not user.enabled:
            return frozenset()
        own = self._granted((("user", userid),), path, handed_on=handed_on)
        return own or self._granted(tuple(("group", group) for group in user.groups), path, handed_on=handed_on)

    def _granted(self, names: tuple[tuple[str, str], ...], path: str, *, handed_on: bool) -> frozenset[str]:
        level = path
        while True:
            here = [g for g in self.grants if g.path == level and (g.kind, g.who) in names]
            here = [g for g in here if g.propagate or level == path]
            if here:
                roles = self.roles
                counted = [g for g in here if g.propagate or not handed_on]
                return frozenset[str]().union(*(roles.get(g.role, frozenset()) for g in counted))
            if level in {"/", ""}:
                return frozenset()
            level = level.rpartition("/")[0] or "/"


@dataclass
class Caller:
    """Who makes a request: a token, a user with a ticket, or nobody for the calls that the world may make."""

    access: Access
    who: str
    #: guest id -> pool, because what is granted on a pool holds for its guests.
    pool_of: dict[int, str] = field(default_factory=dict)
    _held: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)

    @property
    def user(self) -> str:
        """Return the user, ``name@realm``."""
        return self.who.partition("!")[0]

    @property
    def token_name(self) -> str:
        """Return the token's name, empty for a user."""
        return self.who.partition("!")[2]

    @property
    def is_root(self) -> bool:
        """Return whether it is root@pam itself; its tokens are not."""
        return self.who == ROOT

    def privileges(self, path: str) -> frozenset[str]:
        """Return what it holds at a path."""
        if path not in self._held:
            self._held[path] = self._look_up(path)
        return self._held[path]

    def _look_up(self, path: str) -> frozenset[str]:
        held = self.access.privileges(self.who, path)
        head, _, vmid = path.rpartition("/")
        if head == "/vms" and vmid.isdigit() and (pool := self.pool_of.get(int(vmid))):
            held |= self.access.privileges(self.who, f"/pool/{pool}")
        return held

    def may(self, path: str, privilege: str) -> bool:
        """Return whether it holds a privilege at a path."""
        return privilege in self.privileges(path)

    def may_any(self, path: str, privileges: Iterable[str]) -> bool:
        """Return whether it holds one of several privileges at a path."""
        return not self.privileges(path).isdisjoint(privileges)

    def need(self, path: str, *privileges: str) -> None:
        """Raise Refusal with Proxmox VE's sentence unless it holds one of the privileges at a path."""
        if not self.may_any(path, privileges):
            raise refused(f"{path}, {'|'.join(privileges)}")
