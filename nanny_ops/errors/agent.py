"""Errors on the agent's side of the link; never an HTTP answer."""

from nanny_ops.errors.root import NannyError


class AgentError(NannyError):
    """The agent cannot go on with this."""

    code = "agent_error"


class NotRegistered(AgentError):
    """This machine is not registered; run 'nanny-agent register'."""

    code = "not_registered"


class AlreadyRegistered(AgentError):
    """This machine is registered already; add --force to replace its identity."""

    code = "already_registered"


class AlreadyRunning(AgentError):
    """Another agent runs with this state directory."""

    code = "already_running"


class TokenFileBroken(AgentError):
    """The token file cannot be read; run 'nanny-agent register --force'."""

    code = "token_file_broken"


class TrustedKeysBroken(AgentError):
    """The file of pinned keys cannot be read; run 'nanny-agent register --force'."""

    code = "trusted_keys_broken"


class IdentityRefused(AgentError):
    """The control plane no longer accepts this agent's tokens; run 'nanny-agent register --force'."""

    code = "identity_refused"


class Unreachable(AgentError):
    """The control plane cannot be reached."""

    code = "unreachable"


class Rejected(AgentError):
    """The control plane refused a request for good."""

    code = "rejected"


class ForeignHost(AgentError):
    """The address lies outside the agent's own control plane."""

    code = "foreign_host"
