"""A repository of rpm packages, built inside a root that has rpm's and createrepo's programs."""

from collections.abc import Iterable
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.lab.ware import INSTALLED, OFFERED, STUCK, Ware
from nanny_ops.machine.run import run

#: Where it lies in the root, and where the packages lie that are installed from the start.
OFFER, OLD = "srv/rpm", "srv/rpm-old"
#: Seconds for one of the programs.
DEADLINE = 120.0
REPOSITORY = "[lab]\nname=lab\nbaseurl={scheme}///srv/rpm\ngpgcheck=0\nenabled=1\nautorefresh=1\n"
_SPEC = """Name: {name}
Version: {version}
Release: 1
Summary: {name} of the lab
License: MIT
BuildArch: noarch
{requires}
%description
{name} of the lab
%install
mkdir -p %{{buildroot}}/usr/share/{name} %{{buildroot}}/etc/{name} %{{buildroot}}/usr/bin
echo {version} >%{{buildroot}}/usr/share/{name}/version
echo 'from {version}' >%{{buildroot}}/etc/{name}/{name}.conf
{{ cat /usr/bin/sleep; echo {version}; }} >%{{buildroot}}/usr/bin/{name}-nap
%files
/usr/share/{name}/version
%attr(755, root, root) /usr/bin/{name}-nap
%config(noreplace) /etc/{name}/{name}.conf
"""
_ADVISORY = """<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="lab@example.com" status="stable" type="security" version="1"><id>LAB-2026:1</id>
<title>{name}</title><severity>Important</severity><release>lab</release><issued date="2026-01-01 00:00:00"/>
<updated date="2026-01-01 00:00:00"/><description>{name}</description><references/>
<pkglist><collection short="lab"><name>lab</name><package name="{name}" version="{version}" release="1" epoch="0"
 arch="noarch" src="{name}-{version}-1.src.rpm"><filename>{name}-{version}-1.noarch.rpm</filename></package>
</collection></pkglist></update></updates>
"""


def lay_rpm_repository(root: Path) -> None:
    """Install the old packages in a root, offer the newer ones to dnf and zypper. Raises MachineError."""
    (root / "etc/rpm").mkdir(parents=True, exist_ok=True)
    (root / "etc/rpm/macros.lab").write_text("%_dbpath /var/lib/rpm\n")  # Debian's own is in the home of who asks
    build(root, INSTALLED, OLD)
    offer(root, (*OFFERED, STUCK))
    inside(root, "sh", "-c", f"rpm --install --nodeps /{OLD}/noarch/*.rpm")
    for folder, scheme in (("etc/yum.repos.d", "file:"), ("etc/zypp/repos.d", "dir:")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "lab.repo").write_text(REPOSITORY.format(scheme=scheme))


def offer(root: Path, wares: Iterable[Ware]) -> None:
    """Let the repository hold these packages. Raises MachineError."""
    wares = tuple(wares)
    build(root, wares, OFFER)
    inside(root, "createrepo_c", "--quiet", f"/{OFFER}")
    for ware in (ware for ware in wares if ware.security):
        (root / "tmp/updateinfo.xml").write_text(_ADVISORY.format(name=ware.name, version=ware.version))
        inside(root, "modifyrepo_c", "/tmp/updateinfo.xml", f"/{OFFER}/repodata")


def build(root: Path, wares: Iterable[Ware], folder: str) -> None:
    """Build packages into a folder of the root. Raises MachineError."""
    for ware in wares:
        requires = "".join(f"Requires: {need}\n" for need in ware.needs)
        spec = _SPEC.format(name=ware.name, version=ware.version, requires=requires)
        (root / "tmp/ware.spec").write_text(spec)
        macros = {"_topdir": "/tmp/rpm", "_rpmdir": f"/{folder}", "_binaries_in_noarch_packages_terminate_build": "0"}
        defined = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        inside(root, "rpmbuild", "-bb", *defined, "/tmp/ware.spec")


def inside(root: Path, *argv: str) -> None:
    """Run a program in a root that no container runs in. Raises MachineError."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root"}
    done = run(["chroot", str(root), *argv], timeout=DEADLINE, env=environment)
    if done.exit_code != 0:
        raise MachineError(f"'{argv[0]}' failed in a fresh root: {done.stderr.decode(errors='replace')[-800:]}")
