#!/bin/sh
# Upgrade packages with apt-get. POSIX sh: runs under dash, busybox ash and bash.
#
#   apt.sh [--dry-run] [--exclude=a,b] [--only=a,b] [--security-only] [--verbose]
#
# The last line of stdout is a JSON list of the packages that would change (--dry-run) or have changed. A dry run
# refreshes the indexes into a private folder and leaves the system as it is. No holds are placed: exclusions live in a
# private preferences file, so a crash leaves nothing behind. Holds that the administrator has placed stay.
# Exit codes: 0 done, 2 wrong arguments, 3 apt is not here, 4 done but for a repository that could not be refreshed,
# 100 apt-get failed; the list is printed in every case, and the last line of stderr says what was wrong.
# A dead repository does not keep the fixes of the others away, and is no success either: what it holds is not known.
set -u
PATH=${PATH:-/usr/sbin:/usr/bin}:/usr/sbin:/sbin:/usr/bin:/bin
LC_ALL=C
DEBIAN_FRONTEND=noninteractive
APT_LISTCHANGES_FRONTEND=none
NEEDRESTART_MODE=l
UCF_FORCE_CONFFOLD=1
export PATH LC_ALL DEBIAN_FRONTEND APT_LISTCHANGES_FRONTEND NEEDRESTART_MODE UCF_FORCE_CONFFOLD
unset LANGUAGE
umask 022

# Seconds to wait for another package manager, and how often the index lock, which apt-get does not wait for, is tried.
lock_timeout=300
index_tries=10
index_pause=${NANNY_INDEX_PAUSE:-15}

work=
tidy() {
    [ -z "$work" ] || rm -rf -- "$work"
}
trap tidy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

fail() { # code, sentence
    echo "apt.sh: $2" >&2
    echo '[]'
    exit "$1"
}

# The most telling line of what apt-get said, after a colon; nothing if it said nothing.
told() {
    grep -h -E '^(dpkg: error|E: )' "$@" | head -n 1 | cut -c 1-300 | sed 's/^/: /'
}

names() { # option, value: one valid package name a line
    list=$(printf '%s\n' "$2" | tr ', ' '\n\n' | sed '/^$/d')
    [ -n "$list" ] || fail 2 "$1 names no package."
    wrong=$(printf '%s\n' "$list" | grep -v -x '[a-z0-9][a-z0-9+.-]*\(:[a-z0-9-]*\)\{0,1\}')
    [ -z "$wrong" ] || fail 2 "$1: '$(printf '%s' "$wrong" | head -n 1)' is not a package name."
    printf '%s\n' "$list"
}

dry_run=false exclude='' only='' only_given=false security_only=false
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=true ;;
        --security-only) security_only=true ;;
        --verbose | -v) set -x ;;
        --exclude=* | --only=*) ;;
        --exclude | --only) [ $# -gt 1 ] || fail 2 "$1 needs a list of packages." ;;
        *) fail 2 "unknown option '$1'; known are --dry-run, --exclude, --only, --security-only and --verbose." ;;
    esac
    case $1 in
        --exclude=* | --only=*) option=${1%%=*} value=${1#*=} ;;
        --exclude | --only) option=$1 value=$2 && shift ;;
        *) option='' ;;
    esac
    case $option in
        --exclude | --only)
            found=$(names "$option" "$value") || { # it has said why, but its list went into the variable
                echo '[]'
                exit 2
            } ;;
    esac
    case $option in
        --exclude) exclude="$exclude
$found" ;;
        --only) only_given=true only="$only
$found" ;;
    esac
    shift
done

for program in apt-get apt-mark apt-config dpkg-query awk sed grep mktemp; do
    command -v "$program" >/dev/null 2>&1 || fail 3 "$program is not installed here; this script is for Debian and its kin."
done

work=$(mktemp -d /var/tmp/nanny-apt.XXXXXXXX) || fail 100 "no private folder could be made in /var/tmp."
chmod 755 "$work" # apt downloads as its own unprivileged user, who must get in
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/log" || fail 100 "/var/tmp cannot be written."
# Not "dpkg --print-architecture": busybox has a dpkg of its own, which its shell would prefer.
eval "$(apt-config shell native APT::Architecture preferences Dir::Etc::preferences/f status Dir::State::status/f)"
[ -n "${native:=}" ] || fail 100 "apt-config does not tell the architecture."

# What is installed, as "name<TAB>version", the native architecture left out of the name as apt-get does.
installed() {
    dpkg-query -W -f='${binary:Package}\t${Version}\t${Status}\n' |
        awk -F '\t' -v native="$native" '$3 !~ /(not-installed|config-files)$/ {
            sub(":" native "$", "", $1); print $1 "\t" $2 }'
}

# One word a line: "name" means every architecture, "=name" or "=name:arch" that one only.
meant() {
    printf '%s\n' "$1" | sed "/^\$/d; s/:all\$//; /:/s/^/=/; s/:$native\$//"
}
meant "$exclude" >"$work/exclude"
meant "$only" >"$work/only"
installed >"$work/before" || fail 100 "dpkg-query failed."

# An excluded package is pinned to the version it has, so that nothing can pull it along either: with the highest
# priority there is, and first, because an administrator may have pinned the same package to something newer.
awk -F '\t' 'FILENAME == ARGV[1] { out[$1] = 1; next }
    { bare = $1; sub(/:.*/, "", bare) }
    ("=" $1 in out) || (bare in out) { printf "\nPackage: %s\nPin: version %s\nPin-Priority: 32767\n", $1, $2 }
' "$work/exclude" "$work/before" >"$work/preferences"
if [ -r "${preferences:=/etc/apt/preferences}" ]; then echo && cat "$preferences"; fi >>"$work/preferences"

{
    echo "Dir::Etc::preferences \"$work/preferences\";"
    echo "DPkg::Lock::Timeout \"$lock_timeout\";"
    echo 'APT::Update::Error-Mode "any";'
    echo 'Dpkg::Options { "--force-confdef"; "--force-confold"; };'
    echo 'Dpkg::Use-Pty "false";'
    if $dry_run; then
        echo "Dir::State::lists \"$work/lists\";"
        echo "Dir::Cache \"$work/cache\";"
        echo "Dir::Cache::archives \"$work/cache/archives\";"
        echo "Dir::Log \"$work/log\";" # even a simulation writes one
        echo '#clear APT::Update::Pre-Invoke;'
        echo '#clear APT::Update::Post-Invoke;'
        echo '#clear APT::Update::Post-Invoke-Success;'
    fi
} >"$work/apt.conf"

apt() {
    apt-get -q -y -c "$work/apt.conf" "$@" </dev/null
}

refresh() {
    try=1
    while :; do
        apt update >"$work/update" 2>&1
        code=$?
        cat "$work/update"
        # An index that could not be fetched is only a warning to some releases; without it the list would be a lie.
        if grep -q -E '^[WE]: (Failed to fetch|Some index files failed)' "$work/update"; then
            code=100
        fi
        if [ "$code" -eq 0 ]; then return 0; fi
        if [ "$try" -ge "$index_tries" ] || ! grep -q 'Could not get lock' "$work/update"; then return 1; fi
        echo "Another package manager is at work; waiting."
        try=$((try + 1))
        sleep "$index_pause"
    done
}

# From apt-get's simulation: name, old version, new version, where from; separated by tabs.
simulated() {
    awk '$1 == "Inst" {
        line = $0; old = ""; rest = line
        sub(/^Inst [^ ]+ /, "", rest)
        if (substr(rest, 1, 1) == "[") { old = rest; sub(/\].*/, "", old); old = substr(old, 2); sub(/^\[[^]]*\] /, "", rest) }
        new = substr(rest, 2); sub(/[ )].*/, "", new)
        from = rest; sub(/^\([^ ]+ /, "", from); sub(/ *\[[^]]*\]\).*/, "", from)
        print $2 "\t" old "\t" new "\t" from
    }' "$1"
}

# Pairs to JSON. Input: name, old version, new version, where from.
json() {
    awk -F '\t' 'function text(value,    i, c, out) {
        out = ""
        for (i = 1; i <= length(value); i++) {
            c = substr(value, i, 1)
            if (c == "\"" || c == "\\") out = out "\\" c
            else if (c < " ") out = out " "
            else out = out c
        }
        return "\"" out "\""
    }
    BEGIN { printf "[" }
    {
        action = $2 == "" ? "install" : ($3 == "" ? "remove" : "upgrade")
        printf "%s{\"name\":%s,\"version\":%s,\"old_version\":%s,\"action\":\"%s\"", comma, text($1), text($3), text($2), action
        if ($4 != "") printf ",\"security\":%s,\"repository\":%s", (tolower($4) ~ /security/ ? "true" : "false"), text(substr($4, 1, 250))
        printf "}"
        comma = ","
    }
    END { print "]" }'
}

# What really changed, by dpkg's own account; where it came from is what the simulation said.
changed() {
    installed >"$work/after"
    awk -F '\t' 'FILENAME == ARGV[1] { from[$1] = $4; next }
        FILENAME == ARGV[2] { old[$1] = $2; next }
        { new[$1] = $2; if (old[$1] != $2) print $1 "\t" old[$1] "\t" $2 "\t" from[$1] }
        END { for (name in old) if (!(name in new)) print name "\t" old[name] "\t\t" }
    ' "$work/plan" "$work/before" "$work/after" | sort
}

incomplete=''
if ! refresh; then
    if grep -q -E 'Could not (get|open) lock' "$work/update"; then
        fail 100 "the package indexes could not be refreshed$(told "$work/update")."
    fi
    # Go on with the repositories that do answer, and with nothing older: an index from before may name packages that
    # cannot be fetched any more, and one of those would end the upgrade of all.
    $dry_run || {
        echo "Dir::State::lists \"$work/lists\";" >>"$work/apt.conf"
        refresh
    }
    [ -n "$(find "$work/lists" -name '*Packages*' | head -n 1)" ] ||
        fail 100 "the package indexes could not be refreshed$(told "$work/update")."
    incomplete=$(sed -n 's/^Err:[0-9]* //p' "$work/update" | sort -u | tr '\n' ';' | cut -c 1-300)
    incomplete="not refreshed, and so not looked at: ${incomplete:-some repositories}"
    echo "$incomplete"
fi

for journal in "$(dirname "${status:=/var/lib/dpkg/status}")"/updates/[0-9]*; do
    if [ -e "$journal" ]; then
        echo "dpkg is at work, or was interrupted; then nothing can be upgraded before 'dpkg --configure -a' has been run."
        break
    fi
done

# The end of a run in which apt-get did not fail.
finish() {
    [ -n "$incomplete" ] || exit 0
    echo "apt.sh: done, but $incomplete" >&2
    exit 4
}

# Everything that can be upgraded without removing anything; then only what was asked for.
apt -s --with-new-pkgs upgrade >"$work/all" 2>"$work/errors" || {
    cat "$work/errors" >&2
    fail 100 "apt-get cannot plan an upgrade$(told "$work/errors")."
}
awk '/^The following packages have been kept back:/ { kept = 1; next }
    kept && /^  / { print "Kept back, by a hold, a phased update or a dependency:" $0; next }
    { kept = 0 }' "$work/all"
simulated "$work/all" | awk -F '\t' -v only="$only_given" -v security="$security_only" '
    FILENAME == ARGV[1] { wanted[$1] = 1; next }
    $2 == "" { next }
    { bare = $1; sub(/:.*/, "", bare) }
    only == "true" && !("=" $1 in wanted) && !(bare in wanted) { next }
    security == "true" && tolower($4) !~ /security/ { next }
    { print $1 "=" $3 }
' "$work/only" - >"$work/chosen"
sed 's/=.*//' "$work/chosen" >"$work/names"
while read -r name; do
    name=${name#=}
    grep -q -x -e "$name" -e "$name:[a-z0-9-]*" "$work/names" || echo "$name: not upgradable here, nothing to do for it."
done <"$work/only"

if [ ! -s "$work/chosen" ]; then
    echo "Nothing to upgrade."
    echo '[]'
    finish
fi

set --
while read -r pair; do set -- "$@" "$pair"; done <"$work/chosen"
apt -s --only-upgrade --no-remove install "$@" >"$work/simulation" 2>"$work/errors" || {
    cat "$work/simulation" "$work/errors" >&2
    fail 100 "apt-get cannot upgrade these packages without removing others$(told "$work/errors")."
}
simulated "$work/simulation" >"$work/plan"
broken=$(awk -F '\t' 'FILENAME == ARGV[1] { out[$1] = 1; next }
    { bare = $1; sub(/:.*/, "", bare) }
    ("=" $1 in out) || (bare in out) { print $1; exit }' "$work/exclude" "$work/plan")
[ -z "$broken" ] || fail 100 "$broken is excluded, yet these packages cannot be upgraded without it."
awk -F '\t' '{ print ($2 == "" ? "new" : "upgrade") " " $1 " " $2 " -> " $3 " (" $4 ")" }' "$work/plan"

if $dry_run; then
    json <"$work/plan"
    finish
fi

# Naming a package would mark it as wanted by hand; give automatic ones their mark back.
apt-mark showauto | sort >"$work/auto-before"
# Who ends this run early still learns what has changed until then.
stopped=''
trap 'stopped=129' HUP
trap 'stopped=130' INT
trap 'stopped=143' TERM
apt --only-upgrade --no-remove install "$@" 2>"$work/errors"
code=$?
cat "$work/errors" >&2
apt-mark showauto | sort >"$work/auto-after"
lost=$(comm -23 "$work/auto-before" "$work/auto-after" | sed "s/:$native\$//" | grep -F -x -f "$work/names")
# shellcheck disable=SC2086 # names hold no blanks
[ -z "$lost" ] || apt-mark auto $lost >/dev/null

changed >"$work/changed"
[ "$code" -eq 0 ] || echo "apt.sh: apt-get ended with exit code $code$(told "$work/errors")." >&2
json <"$work/changed"
[ -z "$stopped" ] || exit "$stopped"
[ "$code" -eq 0 ] || exit "$code"
finish
