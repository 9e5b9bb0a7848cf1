#!/bin/sh
# Installs the agent from the wheels beside this file, without a network; the machine's own Python is not changed.
#
# PREFIX/versions/VERSION is a virtual environment, PREFIX/current names the one in use, PREFIX/bin is its bin.
# What was in use before stays beside it, so that one can go back by a link; anything older goes.
set -eu

usage() { printf 'usage: %s [--prefix DIRECTORY] [--python PROGRAM] [--service | --remove]\n' "$0"; }
say() { printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd -P)
home_of_units=/opt/nanny-agent
prefix=$home_of_units
wanted=
service=
remove=
while [ $# -gt 0 ]; do
    case $1 in
        --prefix=*) prefix=${1#*=} ;;
        --python=*) wanted=${1#*=} ;;
        --prefix | --python)
            [ $# -gt 1 ] || { usage >&2; exit 2; }
            [ "$1" = --prefix ] && prefix=$2 || wanted=$2
            shift ;;
        --service) service=yes ;;
        --remove) remove=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
case $prefix in
    /?*) ;;
    *) die "--prefix must be a whole path, from / on" ;;
esac
if [ -n "$service" ]; then
    [ "$(id -u)" = 0 ] || die "--service needs root"
    [ "$prefix" = "$home_of_units" ] || die "the units start $home_of_units; leave --prefix or --service away"
    command -v systemd-sysusers >/dev/null || die "--service needs systemd"
fi

# A Python fits when there are wheels for it: compiled parts are made for one version.
fits='
import json, pathlib, platform, sys
told = json.loads(pathlib.Path(sys.argv[1], "manifest.json").read_text())
mine = "%d.%d" % sys.version_info[:2]
sys.exit(told["format"] != 1 or mine not in told["pythons"] or platform.machine() != told["machine"])
'
find_python() {
    for python in ${wanted:-/usr/bin/python3 python3 python3.13 python3.12 python3.11}; do
        if "$python" -I -c "$fits" "$here" 2>/dev/null; then
            command -v "$python"
            return 0
        fi
    done
    die "no Python that these wheels are made for was found; see pythons and machine in $here/manifest.json"
}

# Prints the version when every file is as the manifest says.
check='
import hashlib, json, pathlib, sys
here = pathlib.Path(sys.argv[1])
told = json.loads((here / "manifest.json").read_text())
for name, digest in told["files"].items():
    file = here / name
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        sys.exit("install.sh: %s is not what the manifest says; unpack the file again" % file)
print(told["version"])
'

if [ -e "$prefix/bin/nanny-agent" ] && command -v dpkg-query >/dev/null && owner=$(dpkg-query -S "$prefix/bin/nanny-agent" 2>/dev/null); then
    die "$prefix belongs to the package ${owner%%:*}; upgrade it with apt-get instead"
fi
# An update by order and this must not meet.
if [ -d "$prefix" ] && command -v flock >/dev/null; then
    exec 9>"$prefix/.lock"
    flock -n 9 || die "another version is being installed in $prefix"
fi
if [ -n "$remove" ]; then
    if [ "$prefix" = "$home_of_units" ] && [ -e /etc/systemd/system/nanny-agent.service ]; then
        [ ! -d /run/systemd/system ] ||
            systemctl disable --quiet --now nanny-agent.service nanny-agent-helper.socket nanny-agent-helper.service
        for folder in systemd sysusers.d tmpfiles.d; do
            for file in "$here/$folder"/*; do
                case $folder in
                    systemd) rm -f "/etc/systemd/system/${file##*/}" ;;
                    *) rm -f "/etc/$folder/${file##*/}" ;;
                esac
            done
        done
        [ ! -d /run/systemd/system ] || systemctl daemon-reload
        rm -f /usr/local/bin/nanny-agent /run/nanny-agent-helper.socket
    fi
    # The names that end with .new are left by an installation or an update that was killed.
    for mine in versions current bin trial start failed.json .current.new .current.back .bin.new .trial.new .start.new \
        .failed.json.new .staging .lock; do
        rm -rf "${prefix:?}/$mine"
    done
    [ ! -d "$prefix" ] || rmdir --ignore-fail-on-non-empty "$prefix"
    say "removed from $prefix; /etc/nanny-ops, /var/lib/nannyagent, /var/lib/nanny-agent-helper and the user nannyagent stay"
    exit 0
fi
python=$(find_python)
version=$("$python" -I -c "$check" "$here")
umask 022
home=$prefix/versions/$version
if [ ! -e "$home/manifest.json" ]; then
    rm -rf "$home"
    mkdir -p "$prefix/versions"
    "$python" -I -m venv --without-pip "$home"
    "$home/bin/python" -I "$here/pip.whl/pip" install --quiet --no-input --disable-pip-version-check --no-cache-dir \
        --no-index --find-links "$here/wheels" --require-hashes --requirement "$here/requirements.txt"
    "$home/bin/nanny-agent" --version >/dev/null || die "the new version does not start; what was there is unchanged"
    # Written last: a directory without it is half a version.
    cp "$here/manifest.json" "$home/manifest.json"
fi

point() {
    ln -s "$1" "$prefix/.$2.new"
    mv -T "$prefix/.$2.new" "$prefix/$2"
}
before=$(readlink "$prefix/current" 2>/dev/null || true)
rm -f "$prefix/.current.new" "$prefix/.bin.new"
point "versions/$version" current
point current/bin bin
if [ "$before" != "versions/$version" ]; then
    # Else the starter would go back to the version before the update that was on trial.
    if [ -e "$prefix/trial/to" ] && [ ! -e "$prefix/trial/confirmed" ] && [ ! -e "$prefix/trial/returned" ]; then
        say "Somebody installed version $version on the machine while this one was on trial." >"$prefix/trial/returned"
    fi
    for old in "$prefix/versions"/*; do
        case versions/${old##*/} in
            "versions/$version" | "$before") ;;
            *) rm -rf "$old" ;;
        esac
    done
fi
say "nanny-agent $version is installed in $prefix; its Python is $python"
[ -n "$service" ] || exit 0

put() { mkdir -p "$2" && cp "$here/$1"/* "$2/"; }
put systemd /etc/systemd/system
put sysusers.d /etc/sysusers.d
put tmpfiles.d /etc/tmpfiles.d
systemd-sysusers nanny-agent.conf
systemd-tmpfiles --create nanny-agent.conf
mkdir -p /etc/nanny-ops
[ -e /etc/nanny-ops/agent.toml ] || cp "$here/agent.toml" /etc/nanny-ops/agent.toml
ln -sfn "$prefix/bin/nanny-agent" /usr/local/bin/nanny-agent
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl stop nanny-agent-helper.service
    systemctl enable --quiet --now nanny-agent-helper.socket
    systemctl try-restart nanny-agent.service
fi
[ -e /var/lib/nannyagent/token.json ] || {
    say "Write the control plane's url into /etc/nanny-ops/agent.toml, then run:"
    say "  nanny-agent register && systemctl enable --now nanny-agent"
}
