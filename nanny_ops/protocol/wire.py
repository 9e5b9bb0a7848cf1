"""The catalogue: every record that travels, by direction. A house test snapshots its JSON schema."""

from nanny_ops.protocol.agent import Agent, AgentDetail
from nanny_ops.protocol.audit import AuditEntry
from nanny_ops.protocol.enrollment import (
    AgentIdentity,
    AgentStatus,
    Authorize,
    Deny,
    DeviceAuthStart,
    DeviceAuthStarted,
    Refresh,
    Register,
    RegisterWithToken,
    TokenAnswer,
)
from nanny_ops.protocol.inventory import InventoryAnswer, InventoryReport
from nanny_ops.protocol.investigation import (
    Investigation,
    InvestigationRecord,
    InvestigationReport,
    InvestigationRequest,
)
from nanny_ops.protocol.legacy import LegacyMetrics
from nanny_ops.protocol.metrics import Accepted, SystemMetrics
from nanny_ops.protocol.operation import Ack, AckAnswer, OpenOperations, OutputChunk, Renew
from nanny_ops.protocol.package_exception import ExceptionRequest, PackageException
from nanny_ops.protocol.patch import (
    PatchOperation,
    PatchRecord,
    PatchRequest,
    ResultMetadata,
    ScriptDigest,
    ScriptUpload,
    ScriptVersion,
)
from nanny_ops.protocol.patch_batch import BatchRequest, PatchBatch
from nanny_ops.protocol.play_report import PlayReport, PlayReportDetail, PlayReportRequest
from nanny_ops.protocol.playbook import Playbook
from nanny_ops.protocol.playbook_run import PlaybookEvent, PlaybookRun, PlaybookRunRequest
from nanny_ops.protocol.proxmox import ClusterReport, LxcReport, NodeReport, QemuReport
from nanny_ops.protocol.prune import Prune, PruneAnswer, PruneRecord, PruneRequest, PruneResult, Pruning
from nanny_ops.protocol.realtime import Connected, Gap, RecordEvent, Subscribe
from nanny_ops.protocol.reboot import (
    Reboot,
    RebootAnswer,
    RebootFailure,
    RebootRecord,
    RebootRequest,
)
from nanny_ops.protocol.release import Release
from nanny_ops.protocol.signature import (
    Endorsement,
    ScriptSignature,
    ScriptSignatures,
    SigningKey,
    SigningKeyEntry,
    SigningKeyUpload,
)
from nanny_ops.protocol.snapshot import SnapshotRow
from nanny_ops.protocol.token import EnrollmentTokenRequest, Token, TokenIssued, TokenRequest
from nanny_ops.protocol.update import Update, UpdateAnswer, UpdateRecord, UpdateRequest, UpdateResult
from nanny_ops.protocol.user import NewPassword, PasswordAnswer, User, UserChange, UserRequest
from nanny_ops.protocol.watch import JobSteps, WatchClosed, WatchEnd, WatchOutput, WatchStatus, WatchStep

#: From an agent or a person to the control plane.
COMMANDS = (DeviceAuthStart, Authorize, Deny, Register, RegisterWithToken, Refresh, Subscribe, Ack, Renew, OutputChunk)
REQUESTS = (
    PatchRequest,
    BatchRequest,
    ExceptionRequest,
    PlaybookRunRequest,
    PlayReportRequest,
    ScriptUpload,
    ScriptSignature,
    SigningKeyUpload,
    Endorsement,
    InvestigationRequest,
    RebootRequest,
    UpdateRequest,
    PruneRequest,
    EnrollmentTokenRequest,
    TokenRequest,
    UserRequest,
    UserChange,
    NewPassword,
)
REPORTS = (
    SystemMetrics,
    LegacyMetrics,
    ClusterReport,
    NodeReport,
    LxcReport,
    QemuReport,
    InventoryReport,
    ResultMetadata,
    InvestigationReport,
    RebootFailure,
    UpdateResult,
    PruneResult,
    JobSteps,
)
#: From the control plane.
EVENTS = (Connected, Gap, RecordEvent, PatchRecord, InvestigationRecord, RebootRecord, UpdateRecord, PruneRecord)
WATCHED = (WatchStatus, WatchStep, WatchOutput, WatchEnd, WatchClosed)
ANSWERS = (
    DeviceAuthStarted,
    TokenAnswer,
    AgentIdentity,
    AgentStatus,
    Agent,
    AgentDetail,
    Accepted,
    InventoryAnswer,
    AckAnswer,
    OpenOperations,
    ScriptDigest,
    PatchOperation,
    PatchBatch,
    PackageException,
    Playbook,
    PlaybookRun,
    PlaybookEvent,
    PlayReport,
    PlayReportDetail,
    ScriptVersion,
    ScriptSignatures,
    SigningKey,
    SigningKeyEntry,
    Investigation,
    Reboot,
    RebootAnswer,
    Release,
    Update,
    UpdateAnswer,
    Prune,
    Pruning,
    PruneAnswer,
    SnapshotRow,
    Token,
    TokenIssued,
    User,
    PasswordAnswer,
    AuditEntry,
)

CATALOGUE = COMMANDS + REQUESTS + REPORTS + EVENTS + WATCHED + ANSWERS
