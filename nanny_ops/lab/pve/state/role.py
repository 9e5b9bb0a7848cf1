"""Privileges and the built-in roles that bundle them, by release."""

_VM_CONFIG = tuple(
    f"VM.Config.{what}" for what in ("CDROM", "CPU", "Cloudinit", "Disk", "HWType", "Memory", "Network", "Options")
)
_AGENT_USER = tuple(f"VM.GuestAgent.{what}" for what in ("Audit", "FileRead", "FileSystemMgmt", "FileWrite"))
#: What replaced VM.Monitor in 9.x.
_NINE = (*_AGENT_USER, "VM.GuestAgent.Unrestricted", "VM.Replicate")
_VM_PLAIN = ("Allocate", "Audit", "Backup", "Clone", "Console", "Migrate", "PowerMgmt", "Snapshot", "Snapshot.Rollback")
_VM = (*(f"VM.{what}" for what in _VM_PLAIN), *_VM_CONFIG)
_DATASTORE = ("Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.AllocateTemplate", "Datastore.Audit")
_POOL = ("Pool.Allocate", "Pool.Audit")
_SDN = ("SDN.Allocate", "SDN.Audit", "SDN.Use")
_SYS = ("Sys.Audit", "Sys.Console", "Sys.Syslog")
_USERS = ("Group.Allocate", "Realm.AllocateUser", "User.Modify")
_MAPPING = ("Mapping.Audit", "Mapping.Use")
_ADMIN = (*_VM, *_DATASTORE, *_POOL, *_SDN, *_SYS, *_USERS, *_MAPPING)
#: What only the role Administrator holds.
_HIGHEST = (
    "Mapping.Modify",
    "Permissions.Modify",
    "Realm.Allocate",
    "Sys.AccessNetwork",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
)
_AUDIT = ("Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit")
_VM_USER = ("VM.Audit", "VM.Backup", "VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console", "VM.PowerMgmt")

Roles = dict[str, frozenset[str]]


def built_in(release: str) -> Roles:
    """Return the built-in roles of a release, ``8.4`` or ``9.2``."""
    eight = release == "8.4"
    more = ("VM.Monitor",) if eight else _NINE
    roles = {
        "Administrator": (*_ADMIN, *_HIGHEST, *more),
        "NoAccess": (),
        "PVEAdmin": (*_ADMIN, *more),
        "PVEAuditor": _AUDIT if eight else (*_AUDIT, "VM.GuestAgent.Audit"),
        "PVEDatastoreAdmin": _DATASTORE,
        "PVEDatastoreUser": ("Datastore.AllocateSpace", "Datastore.Audit"),
        "PVEMappingAdmin": (*_MAPPING, "Mapping.Modify"),
        "PVEMappingUser": _MAPPING,
        "PVEPoolAdmin": _POOL,
        "PVEPoolUser": ("Pool.Audit",),
        "PVESDNAdmin": _SDN,
        "PVESDNUser": ("SDN.Audit", "SDN.Use"),
        "PVESysAdmin": _SYS,
        "PVETemplateUser": ("VM.Audit", "VM.Clone"),
        "PVEUserAdmin": _USERS,
        "PVEVMAdmin": (*_VM, *more),
        "PVEVMUser": _VM_USER if eight else (*_VM_USER, *_AGENT_USER),
    }
    return {name: frozenset(held) for name, held in roles.items()}
