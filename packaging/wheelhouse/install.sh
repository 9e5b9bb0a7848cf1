#!/bin/sh
# Installs what product.sh names from the wheels beside it, without a network; the machine's own Python is not changed.
#
# PREFIX/versions/VERSION is a virtual environment, PREFIX/current names the one in use, PREFIX/bin is its bin.
# What was in use before stays beside it, so that one can go back by a link; anything older goes.
set -eu

usage() { printf 'usage: %s [--prefix DIRECTORY] [--python PROGRAM] [--service [--anew] | --verify | --remove]\n' "$0"; }
say() { printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=packaging/wheelhouse/agent.sh
. "$here/product.sh"
prefix=$home_of_units
wanted=
service=
anew=
verify=
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
        --anew) anew=yes ;;
        --verify) verify=yes ;;
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

if [ -e "$prefix/bin/$program" ] && command -v dpkg-query >/dev/null && owner=$(dpkg-query -S "$prefix/bin/$program" 2>/dev/null); then
    die "$prefix belongs to the package ${owner%%:*}; upgrade it with apt-get instead"
fi
# An update by order and this must not meet.
if [ -d "$prefix" ] && command -v flock >/dev/null; then
    exec 9>"$prefix/.lock"
    flock -n 9 || die "another version is being installed in $prefix"
fi
# Where --service puts the files of a folder beside this one.
place() {
    case $1 in
        systemd) printf /etc/systemd/system ;;
        *) printf '/etc/%s' "$1" ;;
    esac
}
if [ -n "$remove" ]; then
    if [ "$prefix" = "$home_of_units" ] && [ -e "/etc/systemd/system/$main_unit" ]; then
        [ ! -d /run/systemd/system ] || stop_units
        for folder in systemd sysusers.d tmpfiles.d; do
            for file in "$here/$folder"/*; do
                rm -f "$(place $folder)/${file##*/}"
            done
        done
        [ ! -d /run/systemd/system ] || systemctl daemon-reload
        for command in $commands; do
            rm -f "${command#*:}"
        done
        remove_rest
    fi
    # The names that end with .new are left by an installation or an update that was killed.
    for mine in versions current bin trial start failed.json .current.new .current.back .bin.new .trial.new .start.new \
        .failed.json.new .staging .lock; do
        rm -rf "${prefix:?}/$mine"
    done
    [ ! -d "$prefix" ] || rmdir --ignore-fail-on-non-empty "$prefix"
    say "removed from $prefix; $stays"
    exit 0
fi
python=$(find_python)
version=$("$python" -I -c "$check" "$here")
umask 022
home=$prefix/versions/$version

# Prints what is not as an installation left it: the version in use, its files by what the wheels say, units, commands.
as_installed='
import base64, csv, hashlib, pathlib, sys
home, here = map(pathlib.Path, sys.argv[1:])
for record in home.glob("lib/python3*/site-packages/*.dist-info/RECORD"):
    for name, digest, _ in csv.reader(record.read_text().splitlines()):
        kind, _, wanted = digest.partition("=")
        file = record.parent.parent / name
        if wanted and file.is_file():
            found = base64.urlsafe_b64encode(hashlib.new(kind, file.read_bytes()).digest()).decode().rstrip("=")
        if wanted and (not file.is_file() or found != wanted):
            print(file)
mine, brought = ({
    file.relative_to(tree): file.read_bytes()
    for file in tree.glob("ansible/**/*") if file.is_file() and "__pycache__" not in file.parts
} for tree in (home, here))
for name in sorted(mine.keys() | brought.keys()):
    if mine.get(name) != brought.get(name):
        print(home / name)
'
differences() {
    [ "$(readlink "$prefix/current" 2>/dev/null)" = "versions/$version" ] || printf '%s\n' "$prefix/current"
    [ -e "$home/manifest.json" ] || printf '%s\n' "$home"
    "$python" -I -c "$as_installed" "$home" "$here"
    [ "$prefix" = "$home_of_units" ] || return 0
    for folder in systemd sysusers.d tmpfiles.d; do
        for file in "$here/$folder"/*; do
            cmp -s "$file" "$(place $folder)/${file##*/}" || printf '%s\n' "$(place $folder)/${file##*/}"
        done
    done
    for command in $commands; do
        cmp -s "${command%%:*}" "${command#*:}" || printf '%s\n' "${command#*:}"
    done
}
if [ -n "$verify" ]; then
    found=$(differences)
    [ -n "$found" ] || exit 0
    say "$found"
    exit 1
fi
if [ -n "$anew" ]; then
    rm -f "$home/manifest.json"
fi
if [ ! -e "$home/manifest.json" ]; then
    rm -rf "$home"
    mkdir -p "$prefix/versions"
    "$python" -I -m venv --without-pip "$home"
    "$home/bin/python" -I "$here/pip.whl/pip" install --quiet --no-input --disable-pip-version-check --no-cache-dir \
        --no-index --find-links "$here/wheels" --require-hashes --requirement "$here/requirements.txt"
    "$home/bin/$program" --version >/dev/null || die "the new version does not start; what was there is unchanged"
    if [ -d "$here/ansible" ]; then
        cp -R "$here/ansible" "$home/ansible"
        chmod -R u=rwX,go=rX "$home/ansible"
    fi
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
say "$program $version is installed in $prefix; its Python is $python"
[ -n "$service" ] || exit 0

for folder in systemd sysusers.d tmpfiles.d; do
    mkdir -p "$(place $folder)"
    cp "$here/$folder"/* "$(place $folder)/"
done
systemd-sysusers "${main_unit%.service}.conf"
systemd-tmpfiles --create "${main_unit%.service}.conf"
mkdir -p /etc/nanny-ops
[ -e "/etc/nanny-ops/$settings" ] || cp "$here/$settings" "/etc/nanny-ops/$settings"
for command in $commands; do
    case $command in
        "$here"/*) install -m 0755 "${command%%:*}" "${command#*:}" ;;
        *) ln -sfn "${command%%:*}" "${command#*:}" ;;
    esac
done
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    start_units
fi
say_what_next
