"""People's accounts straight in the database, for whoever may read its directory: also before the first ``serve``."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from nanny_ops.control.app import open_database, prepare
from nanny_ops.control.services import account
from nanny_ops.control.services import user as people
from nanny_ops.control.settings import load
from nanny_ops.control.store import user as store
from nanny_ops.control.store.caller import CALLER, Caller
from nanny_ops.control.store.database import Tx
from nanny_ops.errors import NotFound
from nanny_ops.protocol.clock import now
from nanny_ops.protocol.user import User, UserChange, UserRequest

T = TypeVar("T")


class LocalUsers:
    """The calls of :class:`nanny_ops.cli.client_user.UserCalls` on the store that the environment names."""

    def __enter__(self) -> "LocalUsers":
        """Open the database, migrated first."""
        self._database = open_database(load(os.environ, {}))
        typist = CALLER.set(_typist())
        try:
            prepare(self._database)
        finally:
            CALLER.reset(typist)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database."""
        self._database.close()

    def users(self, limit: int, **filters: str) -> list[User]:
        """List accounts by address."""
        email = filters.get("email", "")
        return self.within(lambda tx: [account.rendered(tx, one) for one in store.page(tx, None, limit, 0, email)[0]])

    def user(self, email: str) -> User:
        """Show the account of an address. Raises NotFound."""
        found = self.users(1, email=email)
        if not found:
            raise NotFound(f"There is no account for {email}.")
        return found[0]

    def whose(self, email: str) -> tuple[str, bool]:
        """Return the id of an address's account; nobody is signed in, so it is not one's own. Raises NotFound."""
        return self.user(email).id, False

    def add_user(self, asked: Mapping[str, Any]) -> User:
        """Make an account. Raises Conflict, ValidationFailed."""
        request = UserRequest(**asked)
        hashed = people.hash_password(request.password)
        kept = replace(request, password="")
        return self.within(lambda tx: account.rendered(tx, account.add(tx, account.local(tx), kept, hashed, now())))

    def change_user(self, user_id: str, wanted: Mapping[str, Any]) -> User:
        """Change an account. Raises NotFound, Conflict."""
        change = UserChange(**wanted)
        return self.within(
            lambda tx: account.rendered(tx, account.change(tx, account.local(tx), user_id, change, now())[0])
        )

    def set_password(self, user_id: str, password: str, _current: str = "") -> bool:
        """Give another password; who may read the database needs no current one. Raises NotFound, ValidationFailed."""
        hashed = people.hash_password(password)
        self.within(lambda tx: account.set_password(tx, account.local(tx), user_id, hashed, now()))
        return True

    def remove_user(self, user_id: str) -> User:
        """Remove an account. Raises NotFound, Conflict."""

        def step(tx: Tx) -> User:
            who = account.local(tx)
            shown = account.rendered(tx, account.visible(tx, who, user_id))
            account.remove(tx, who, user_id, now())
            return shown

        return self.within(step)

    def within(self, run: Callable[[Tx], T]) -> T:
        """Run a function in the store in the name of whoever types."""
        typist = CALLER.set(_typist())
        try:
            return self._database.write_now(run)
        finally:
            CALLER.reset(typist)


def _typist() -> Caller:
    return Caller("local", f"uid-{os.getuid()}", os.environ.get("SUDO_USER", ""))
