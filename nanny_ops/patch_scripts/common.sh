# shellcheck shell=sh disable=SC2034,SC2154
# What every patch script shares. A script names this file in one line, ". ...common.sh"; before it travels, this text
# takes the place of that line, so that a script is one file with one checksum. POSIX sh: dash, busybox ash and bash.
#
# The next line tells the privileged helper that --dry-run changes nothing.
# nanny-ops: dry-run
#
# A script sets "self" (its file name) and "name_pattern" (a basic regular expression for one package name) before.
set -u
PATH=${PATH:-/usr/sbin:/usr/bin}:/usr/sbin:/sbin:/usr/bin:/bin
LC_ALL=C
export PATH LC_ALL
unset LANGUAGE
umask 022

work=
tidy() {
    [ -z "$work" ] || rm -rf -- "$work"
}
trap tidy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

tab=$(printf '\t')
# Where what the kernel tells and what was installed is looked for; only tests set it.
root=${NANNY_ROOT:-}

# awk: a text as JSON.
awk_text='function text(value,    i, c, out) {
    out = ""
    for (i = 1; i <= length(value); i++) {
        c = substr(value, i, 1)
        if (c == "\"" || c == "\\") out = out "\\" c
        else if (c < " ") out = out " "
        else out = out c
    }
    return "\"" out "\""
}
'

# Notes of one kind from lines of texts that tabs separate. Words: the kind, then the name of each column.
notes() {
    kind=$1
    shift
    awk -F '\t' -v kind="$kind" -v keys="$*" "$awk_text"'BEGIN { count = split(keys, key, " ") }
    {
        printf "nanny-note {\"kind\":%s", text(kind)
        for (i = 1; i <= count; i++) printf ",%s:%s", text(key[i]), text(substr($i, 1, 2000))
        print "}"
    }'
}

# One note. Words: the kind, then keys and values in turn; a value whose key ends in ":" is JSON already.
note() {
    line="\"kind\":\"$1\""
    shift
    while [ $# -gt 1 ]; do
        case $1 in
            *:) line="$line,\"${1%:}\":$2" ;;
            *) line="$line,\"$1\":$(printf '%s' "$2" | tr '\n\t' '; ' | awk "$awk_text"'{ print text(substr($0, 1, 2000)) }')" ;;
        esac
        case $line in *:) line="$line\"\"" ;; esac # awk prints nothing for nothing
        shift 2
    done
    printf 'nanny-note {%s}\n' "$line"
}

# Lines to a JSON list of texts.
texts() {
    awk "$awk_text"'BEGIN { printf "[" } { printf "%s%s", comma, text(substr($0, 1, 250)); comma = "," } END { print "]" }'
}

# The list of changes, the last line of stdout. Input: name, old version, new version, repository, security (true, false
# or nothing), bytes to download (a number or nothing); separated by tabs. Without an old version it is an installation,
# without a new one a removal.
changes() {
    awk -F '\t' "$awk_text"'BEGIN { printf "[" }
    {
        action = $2 == "" ? "install" : ($3 == "" ? "remove" : "upgrade")
        printf "%s{\"name\":%s,\"version\":%s,\"old_version\":%s,\"action\":\"%s\"", comma, text($1), text($3), text($2), action
        printf ",\"repository\":%s,\"security\":%s", text(substr($4, 1, 250)), ($5 ~ /^(true|false)$/ ? $5 : "null")
        printf ",\"size\":%s}", ($6 ~ /^[0-9]+$/ ? $6 : "null")
        comma = ","
    }
    END { print "]" }'
}

fail() { # exit code, sentence
    echo "$self: $2" >&2
    case $1 in
        4) note ended how partial ;;
        5) note ended how blocked ;;
        6) note ended how quarantined ;;
    esac
    echo '[]'
    exit "$1"
}

names() { # option, value: one valid package name a line
    list=$(printf '%s\n' "$2" | tr ',' '\n' | tr ' ' '\n' | sed '/^$/d')
    [ -n "$list" ] || fail 2 "$1 names no package."
    wrong=$(printf '%s\n' "$list" | grep -v -x -e "$name_pattern")
    [ -z "$wrong" ] || fail 2 "$1: '$(printf '%s' "$wrong" | head -n 1)' is not a package name."
    printf '%s\n' "$list"
}

# What is asked for. "exclude" and "only" hold one name a line.
dry_run=false exclude='' only='' only_given=false security_only=false
dist_upgrade=false autoremove=false conffiles=keep lock_timeout=300 repair=false

options() { # the script's own arguments
    while [ $# -gt 0 ]; do
        case $1 in
            --*=*) option=${1%%=*} value=${1#*=} ;;
            --exclude | --only | --conffiles | --lock-timeout)
                [ $# -gt 1 ] || fail 2 "$1 needs a value."
                option=$1 value=$2 && shift ;;
            *) option=$1 value='' ;;
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
            --conffiles)
                case $value in keep | hold-back) conffiles=$value ;; *) fail 2 "--conffiles is keep or hold-back." ;; esac ;;
            --lock-timeout)
                case $value in '' | *[!0-9]* | ??????*) fail 2 "--lock-timeout is a number of seconds." ;; esac
                lock_timeout=$value ;;
            *)
                case $1 in
                    --dry-run) dry_run=true ;;
                    --security-only) security_only=true ;;
                    --dist-upgrade) dist_upgrade=true ;;
                    --autoremove) autoremove=true ;;
                    --repair) repair=true ;;
                    --verbose | -v) set -x ;;
                    *) fail 2 "unknown option '$1'; known are --dry-run, --exclude, --only, --security-only, --dist-upgrade, --autoremove, --conffiles, --lock-timeout, --repair and --verbose." ;;
                esac ;;
        esac
        shift
    done
    began=$(date +%s)
    tell_system
}

release() { # key of os-release
    file=$root/etc/os-release
    [ -e "$file" ] || file=$root/usr/lib/os-release
    sed -n "s/^$1=//p" "$file" 2>/dev/null | head -n 1 | tr -d "\"'"
}

# End, for this script is not for this system. "family" says whom it is for.
wrong_system() {
    fail 3 "this system calls itself '$(release ID | grep . || echo nothing)' $(release VERSION_ID); this script is for $family."
}

serves() { # words of os-release's ID and ID_LIKE, of which one must be there
    alike=" $(release ID) $(release ID_LIKE) "
    for word in "$@"; do
        case $alike in *" $word "*) return ;; esac
    done
    wrong_system
}

# Which system this is, by its own account: whoever reads it knows how long it gets fixes.
tell_system() {
    [ -z "$(release ID)" ] ||
        note system id "$(release ID)" version "$(release VERSION_ID)" name "$(release PRETTY_NAME)" support_end "$(release SUPPORT_END)"
}

# Seconds that are left of the time to wait for locks.
patience() {
    left=$((began + lock_timeout - $(date +%s)))
    [ "$left" -gt 0 ] || left=0
    [ "$left" -le "$lock_timeout" ] || left=$lock_timeout # the clock was set back
    echo "$left"
}

# Who holds a lock on one of these files, as "pid name"; nothing if nobody does. The kernel's list of locks tells, as far
# as this pid namespace can see. It names files by a number that two file systems may both use, so who is said to hold
# the lock must have the file open as well, where that can be looked at.
holder() {
    for file in "$@"; do
        inode=$(stat -c %i "$file" 2>/dev/null) || continue
        file=$(readlink -f "$file")
        found=$(awk -v inode="$inode" '$2 != "->" && $6 ~ (":" inode "$") && $5 > 0 { print $5 }' "$root/proc/locks" 2>/dev/null |
            while read -r pid; do
                ! may_hold "$pid" "$file" || { echo "$pid $(cat "$root/proc/$pid/comm" 2>/dev/null)" && break; }
            done)
        [ -z "$found" ] || { echo "$found" && return; }
    done
}
may_hold() { # pid, file: whether the process has it open, or cannot be looked at
    [ -r "$root/proc/$1/fd" ] || return 0
    for link in "$root/proc/$1/fd"/*; do
        [ "$(readlink "$link")" != "$2" ] || return 0
    done
    return 1
}

# End, for somebody else is at work. Words: "pid name" as holder tells it, a sentence.
blocked() {
    who=${1#* }
    [ -z "$1" ] || note lock pid: "${1%% *}" name "$who"
    fail 5 "$2${1:+ It is held by process ${1%% *} ($who).}"
}

# A container shares its host's kernel. A process namespace that is not the first one tells it, whatever made it.
in_container() {
    space=$(readlink "$root/proc/self/ns/pid" 2>/dev/null)
    case $space in '' | 'pid:[4026531836]') [ -n "${container:-}" ] || [ -e "$root/run/systemd/container" ] ;; esac
}

# One line for each service that has replaced files mapped as program text: its unit's name, else the process's.
stale_services() {
    own=$(readlink "$root/proc/self/ns/pid")
    grep -l -E ' r-xp .* /(usr|bin|sbin|lib|lib64|opt)/.* \(deleted\)$' "$root"/proc/[0-9]*/maps 2>/dev/null |
        while IFS= read -r maps; do
            process=${maps%/maps}
            # A host sees the processes of its containers too; their files are not its own.
            [ "$(readlink "$process/ns/pid" 2>/dev/null)" = "$own" ] || continue
            unit=$(sed -n 's/^0::\(.*\)/\1/p; s/^[0-9]*:name=systemd:\(.*\)/\1/p' "$process/cgroup" 2>/dev/null |
                tr '/' '\n' | grep '\.service$' | tail -n 1)
            [ "$process" != "$root/proc/1" ] || unit=init
            [ -n "$unit" ] || unit=$(cat "$process/comm" 2>/dev/null)
            [ -z "$unit" ] || echo "$unit"
        done | sort -u
}
