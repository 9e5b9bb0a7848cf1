#!/bin/sh
# Upgrade packages with apt-get. POSIX sh: runs under dash, busybox ash and bash.
#
#   apt.sh [--dry-run] [--exclude=a,b] [--only=a,b] [--security-only] [--dist-upgrade] [--autoremove]
#          [--conffiles=keep|hold-back] [--lock-timeout=SECONDS] [--repair] [--verbose]
#
# The last line of stdout is a JSON list of the packages that would change (--dry-run) or have changed; what else there is
# to tell stands in lines of notes. A dry run refreshes the indexes into a private folder and leaves the system as it is.
# No holds are placed: exclusions live in a private preferences file, so a crash leaves nothing behind. Holds that the
# administrator has placed stay.
# Exit codes: 0 done, 2 wrong arguments, 3 another system, 4 done in part, 5 another program holds a lock, 6 dpkg was
# interrupted before, 100 apt-get failed; the list is printed in every case, and the last line of stderr says what was
# wrong. A dead repository does not keep the fixes of the others away, and is no success either: what it holds is not known.
self=apt.sh
family='Debian and its kin'
name_pattern='[a-z0-9][a-z0-9+.-]*\(:[a-z0-9-]*\)\{0,1\}'
. "${0%/*}/common.sh"

# Nothing asks: stdin is empty, and these answer for those who would open the terminal themselves. An administrator's own
# configuration files stay as they are, deleted ones stay deleted.
DEBIAN_FRONTEND=noninteractive
DEBIAN_PRIORITY=critical
APT_LISTCHANGES_FRONTEND=none
NEEDRESTART_MODE=l
UCF_FORCE_CONFFOLD=1
export DEBIAN_FRONTEND DEBIAN_PRIORITY APT_LISTCHANGES_FRONTEND NEEDRESTART_MODE UCF_FORCE_CONFFOLD

# Seconds between two tries to get a lock for which apt-get does not wait by itself.
pause=${NANNY_LOCK_PAUSE:-5}
# Kernels and what belongs to them: no container needs them.
kernels='^(linux-|pve-kernel-|proxmox-kernel-|proxmox-default-kernel|pve-firmware|intel-microcode|amd64-microcode)'

options "$@"
serves debian ubuntu devuan
for program in apt-get apt apt-mark apt-config dpkg-query awk sed grep mktemp; do
    command -v "$program" >/dev/null 2>&1 || fail 3 "$program is not installed here; this script is for $family."
done

work=$(mktemp -d /var/tmp/nanny-apt.XXXXXXXX) || fail 100 "no private folder could be made in /var/tmp."
chmod 755 "$work" # apt downloads as its own unprivileged user, who must get in
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/log" "$work/debs" ||
    fail 100 "/var/tmp cannot be written."
# By its full path, for busybox has a dpkg of its own, which its shell would prefer.
dpkg=$(command -v dpkg-query)
dpkg=${dpkg%-query}
eval "$(apt-config shell native APT::Architecture preferences Dir::Etc::preferences/f status Dir::State::status/f \
    lists Dir::State::lists/d archives Dir::Cache::archives/d)"
[ -n "${native:=}" ] || fail 100 "apt-config does not tell the architecture."
: "${preferences:=/etc/apt/preferences}" "${lists:=/var/lib/apt/lists/}" "${archives:=/var/cache/apt/archives/}"
database=$(dirname "${status:=/var/lib/dpkg/status}")
! $dry_run || lists=$work/lists

# ---- What there is -------------------------------------------------------------------------------------------------

# All that dpkg knows, as "name<TAB>version<TAB>state", the native architecture left out of the name as apt-get does.
known() {
    dpkg-query -W -f='${binary:Package}\t${Version}\t${Status}\n' | sed "s/^\([^$tab]*\):$native$tab/\1$tab/"
}
installed() { # file with all that dpkg knows
    awk -F '\t' '$3 !~ /(not-installed|config-files)$/ { print $1 "\t" $2 }' "$1"
}
# Packages on which dpkg did not come to an end, one "name (state)" a line.
half_done() { # file with all that dpkg knows
    awk -F '\t' '{ split($3, word, " ") }
        word[2] ~ /reinst/ || word[3] ~ /^(half-|unpacked|triggers-)/ { print $1 " (" word[3] ")" }' "$1"
}
# Files that were laid beside an administrator's own, with their checksums.
beside() {
    find "$root/etc" -xdev -type f \( -name '*.dpkg-dist' -o -name '*.dpkg-new' -o -name '*.ucf-dist' -o -name '*.ucf-new' \) \
        -exec md5sum {} + 2>/dev/null | sort
}

# One word a line: "name" means every architecture, "=name" or "=name:arch" that one only.
meant() {
    printf '%s\n' "$1" | sed "/^\$/d; s/:all\$//; /:/s/^/=/; s/:$native\$//"
}
# awk: whether the package in the first column is named in such a list.
# shellcheck disable=SC2016 # these are awk's
awk_named='function named(list,    bare) { bare = $1; sub(/:.*/, "", bare); return ("=" $1 in list) || (bare in list) }
'
meant "$exclude" >"$work/exclude"
meant "$only" >"$work/only"
: >"$work/asking" # packages that would ask about a configuration file and are held back for it

# ---- apt-get, and whom it has to wait for ---------------------------------------------------------------------------

# An excluded package is pinned to the version it has, so that nothing can pull it along either: with the highest
# priority there is, and first, because an administrator may have pinned the same package to something newer.
write_preferences() {
    cat "$work/exclude" "$work/asking" >"$work/pinned"
    awk -F '\t' "$awk_named"'FILENAME == ARGV[1] { out[$1] = 1; next }
        named(out) { printf "\nPackage: %s\nPin: version %s\nPin-Priority: 32767\n", $1, $2 }
    ' "$work/pinned" "$work/before" >"$work/preferences"
    if [ -r "$preferences" ]; then echo && cat "$preferences"; fi >>"$work/preferences"
}

write_configuration() {
    {
        echo 'APT::Update::Error-Mode "any";'
        echo 'Dpkg::Options { "--force-confdef"; "--force-confold"; };'
        echo 'Dpkg::Use-Pty "false";'
        # What is excluded is not removed either.
        sed 's/^=//; s/:.*//; s/[.+]/\\\\&/g; s/.*/APT::NeverAutoRemove { "^&$"; };/' "$work/exclude"
        if $dry_run; then
            echo "Dir::State::lists \"$work/lists\";"
            echo "Dir::Cache \"$work/cache\";"
            echo "Dir::Cache::archives \"$work/cache/archives\";"
            echo "Dir::Log \"$work/log\";" # even a simulation writes one
            echo '#clear APT::Update::Pre-Invoke;'
            echo '#clear APT::Update::Post-Invoke;'
            echo '#clear APT::Update::Post-Invoke-Success;'
        fi
    } >"$work/plain.conf"
    { cat "$work/plain.conf" && echo "Dir::Etc::preferences \"$work/preferences\";"; } >"$work/apt.conf"
}

apt() {
    apt-get -q -y -c "$work/apt.conf" -o="DPkg::Lock::Timeout=$(patience)" "$@" </dev/null
}
# The most telling line of what apt-get said, after a colon; nothing if it said nothing.
told() {
    grep -h -E '^(dpkg: error|E: )' "$@" | head -n 1 | cut -c 1-300 | sed 's/^/: /'
}
locked() { # what apt-get said
    grep -q -E 'Could not get lock|lock was locked by another process' "$1"
}
# Wait before one more try to get a lock; false once there is no time left.
wait_for_lock() {
    [ "$(patience)" -gt 0 ] || return 1
    echo "Another package manager is at work${1:+: process $1}; waiting."
    sleep "$pause"
}
lock_holder() {
    holder "$database/lock-frontend" "$database/lock" "${archives}lock" "${lists%/}/lock"
}
give_up() { # what apt-get said
    who=$(lock_holder)
    [ -n "$who" ] || who=$(sed -n 's/.*held by process \([0-9]*\) (\([^)]*\)).*/\1 \2/p' "$1" | head -n 1)
    blocked "$who" "another package manager was at work for longer than $lock_timeout s."
}

refresh() {
    while :; do
        apt update >"$work/update" 2>&1
        code=$?
        cat "$work/update"
        # An index that could not be fetched is only a warning to some releases; without it the list would be a lie.
        if grep -q -E '^[WE]: (Failed to fetch|Some index files failed|GPG error|OpenPGP signature|An error occurred during the signature)' "$work/update"; then
            code=100
        fi
        [ "$code" -ne 0 ] || return 0
        locked "$work/update" || return 1
        wait_for_lock "$(lock_holder)" || give_up "$work/update"
    done
}

# The repositories that did not answer or cannot be trusted, each with the reason as far as apt-get tells it in a word.
unrefreshed() {
    awk 'function add(repository, cause) {
        sub(/ +\[.*/, "", repository); sub(/\/dists\//, " ", repository); sub(/[ \/](In)?Release(\.gpg)?$/, "", repository)
        if (repository == "") return
        if (!(repository in why)) { order[++count] = repository; why[repository] = "" }
        if (why[repository] == "") why[repository] = cause
    }
    function signature(line) {
        if (match(line, /(NO_PUBKEY|EXPKEYSIG|BADSIG|REVKEYSIG|KEYEXPIRED|Missing key) [0-9A-F]*/)) return substr(line, RSTART, RLENGTH)
        return "its signature cannot be checked"
    }
    /^Err:[0-9]+ / { line = $0; sub(/^Err:[0-9]+ /, "", line); add(line, "") }
    /^[WE]: The repository .* (is not signed|no longer signed|does not have a Release file)/ {
        line = $0; sub(/^[^\047]*\047/, "", line); sub(/\047.*/, "", line)
        add(line, $0 ~ /not have a Release/ ? "it has no Release file" : "it is not signed by a key that is trusted here")
    }
    /^[WE]: (GPG error: |OpenPGP signature verification failed: |An error occurred during the signature)/ {
        line = $0; sub(/.*(GPG error|verification failed): /, "", line); sub(/: .*/, "", line); add(line, signature($0))
    }
    /^[WE]: Release file for .* is (expired|not valid yet)/ {
        line = $5
        add(line, $0 ~ /not valid yet/ ? "its index is not valid yet: is the clock of this machine right?" : "its index has expired, or the clock of this machine is ahead")
    }
    /^[WE]: Failed to fetch / { line = $5; sub(/ .*/, "", line); if (!count) add(line, "") }
    END { for (i = 1; i <= count; i++) print order[i] (why[order[i]] == "" ? "" : " (" why[order[i]] ")") }' "$work/update"
}

# ---- The plan ------------------------------------------------------------------------------------------------------

# From apt-get's simulation: name, old version, new version, where from; separated by tabs. No new version is a removal.
simulated() {
    awk '$1 == "Inst" || $1 == "Remv" {
        line = $0; old = ""; rest = line
        sub(/^(Inst|Remv) [^ ]+ /, "", rest)
        if (substr(rest, 1, 1) == "[") { old = rest; sub(/\].*/, "", old); old = substr(old, 2); sub(/^\[[^]]*\] /, "", rest) }
        if ($1 == "Remv") { print $2 "\t" old "\t\t"; next }
        new = substr(rest, 2); sub(/[ )].*/, "", new)
        from = rest; sub(/^\([^ ]+ /, "", from); sub(/ *\[[^]]*\]\).*/, "", from)
        print $2 "\t" old "\t" new "\t" from
    }' "$1"
}

# Whether an update is for security, by the name of the suite that offers it: "true", "false" where the distribution's own
# security suite is there and offers something else, and nothing where nobody tells: another vendor's repository, or a
# system without a security suite.
awk_security='function security(from) {
    if (tolower(from) ~ /(^|, )debian-security:|[a-z0-9]-security( |,|$)/) return "true"
    return told == "true" && from ~ /(^|, )(Debian|Ubuntu|Devuan|Raspbian)( Backports)?:/ ? "false" : ""
}
'
security_told() {
    if [ -n "$(find "$lists" -maxdepth 1 -name '*Release' -exec grep -l -i -E '^(Suite|Codename|Label): .*-security' {} + 2>/dev/null)" ]; then
        echo true
    else
        echo false
    fi
}

# Everything that can be upgraded, then only what was asked for, then what apt-get would do for that.
plan() {
    write_preferences
    if $dist_upgrade; then set -- dist-upgrade; else set -- --with-new-pkgs upgrade; fi
    apt -s "$@" >"$work/all" 2>"$work/errors" || {
        cat "$work/errors" >&2
        fail "$refused" "apt-get cannot plan an upgrade$(told "$work/errors")."
    }
    simulated "$work/all" >"$work/possible"
    : >"$work/unneeded"
    if $autoremove; then # whoever names a package to upgrade it needs it
        apt -s autoremove >"$work/simulation" 2>/dev/null
        simulated "$work/simulation" >"$work/unneeded"
    fi
    awk -F '\t' -v only="$only_given" -v wanted_security="$security_only" -v told="$told_security" "$awk_named$awk_security"'
        FILENAME == ARGV[1] { wanted[$1] = 1; next }
        FILENAME == ARGV[2] { unneeded[$1] = 1; next }
        $2 == "" || $3 == "" || ($1 in unneeded) { next }
        only == "true" && !named(wanted) { next }
        wanted_security == "true" && security($4) != "true" { next }
        { print $1 "=" $3 }
    ' "$work/only" "$work/unneeded" "$work/possible" >"$work/chosen"
    sed 's/=.*//' "$work/chosen" >"$work/names"

    : >"$work/plan"
    if [ ! -s "$work/chosen" ]; then
        $autoremove || return 0
        set -- autoremove
    else
        set -- install
        while read -r pair; do set -- "$@" "$pair"; done <"$work/chosen"
        if ! $autoremove && ! $dist_upgrade; then
            set -- --no-remove "$@"
        elif $autoremove; then
            $dist_upgrade || simulate --only-upgrade --no-remove "$@" # nothing goes but what is not needed any more
            set -- --auto-remove "$@"
        fi
        set -- --only-upgrade "$@"
    fi
    simulate "$@"
    printf '%s\n' "$@" >"$work/command"
    simulated "$work/simulation" | add_knowledge "$@" >"$work/plan"
    broken=$(awk -F '\t' "$awk_named"'FILENAME == ARGV[1] { out[$1] = 1; next } named(out) { print $1; exit }' \
        "$work/pinned" "$work/plan")
    [ -z "$broken" ] || fail 100 "$broken is excluded, yet these packages cannot be upgraded without it."
}
simulate() {
    apt -s "$@" >"$work/simulation" 2>"$work/errors" && return
    cat "$work/simulation" "$work/errors" >&2
    fail "$refused" "apt-get cannot upgrade these packages without removing others$(told "$work/errors")."
}
# Add to each line of a plan whether it is for security and how many bytes it downloads; what apt-get would not fetch for
# the same command is here already.
add_knowledge() {
    apt --print-uris "$@" >"$work/addresses" 2>/dev/null || echo unknown >"$work/addresses"
    awk -F '\t' -v told="$told_security" -v native="$native" "$awk_security"'
        FILENAME == ARGV[1] {
            if ($0 == "unknown") unknown = 1
            if (substr($0, 1, 1) != "\047") next
            split($0, word, " "); split(word[2], part, "_")
            version = part[2]; gsub(/%3[aA]/, ":", version); gsub(/%2[bB]/, "+", version)
            architecture = part[3]; sub(/\.deb$/, "", architecture)
            size[part[1] "=" version] = word[3]; size[part[1] ":" architecture "=" version] = word[3]
            next
        }
        { bytes = unknown || $3 == "" ? "" : 0 + size[$1 "=" $3]; print $1 "\t" $2 "\t" $3 "\t" $4 "\t" ($3 == "" ? "" : security($4)) "\t" bytes }
    ' "$work/addresses" -
}

# Packages of the plan that would ask about a configuration file: it was changed here and in the new version, not alike.
# Deleted here and changed there asks as well, and so does a file that is new there and in the way here.
asking() {
    dpkg-query -W -f='${binary:Package}\n${Conffiles}\n' | awk -v native="$native" '
        /^[^ ]/ { package = $1; sub(":" native "$", "", package) }
        /^ / && $2 ~ /^[0-9a-f]+$/ && $3 == "" { print package "\t" $1 "\t" $2 }' >"$work/conffiles"
    while IFS="$tab" read -r name old new rest; do
        if [ -z "$old" ] || [ -z "$new" ]; then continue; fi
        awk -F '\t' -v name="$name" '$1 == name { print $2 "\t" $3 }' "$work/conffiles" >"$work/own"
        if edited && fetched "$name=$new" && asks; then echo "=$name"; fi
    done <"$work/plan"
}
checksum() { # file
    md5sum <"$1" 2>/dev/null | cut -d ' ' -f 1
}
# Whether any configuration file of this package is not as it came.
edited() {
    while IFS="$tab" read -r path old; do
        [ "$(checksum "$path")" = "$old" ] || return 0
    done <"$work/own"
    return 1
}
fetched() { # name=version; as the one file in the folder
    rm -f "$work/debs"/*
    (cd "$work/debs" && apt download "$1") >"$work/errors" 2>&1 && set -- "$work/debs"/*.deb && [ -f "$1" ] && return
    echo "${1%%=*}: could not be looked into$(told "$work/errors")"
    return 1
}
asks() {
    "$dpkg-deb" --info "$work/debs"/*.deb conffiles >"$work/new" 2>/dev/null || return 1
    while read -r path flag; do
        case $path in /*) [ -z "$flag" ] || continue ;; *) continue ;; esac
        came=$(awk -F '\t' -v path="$path" '$1 == path { print $2 }' "$work/own")
        here=$([ -f "$path" ] && checksum "$path")
        [ "$here" != "$came" ] || continue # not touched, or in neither
        [ -n "$here$came" ] || continue
        offered=$("$dpkg-deb" --fsys-tarfile "$work/debs"/*.deb | tar -xOf - ".$path" 2>/dev/null | md5sum | cut -d ' ' -f 1)
        [ "$offered" = "$came" ] || [ "$offered" = "$here" ] || return 0
    done <"$work/new"
    return 1
}

# ---- What is told beside the list ------------------------------------------------------------------------------------

# The names of what waits for its turn in a phased update: what would be upgraded if every machine's turn had come. Some
# releases of apt say so themselves, others keep it back without a word or do not show it at all.
every_phase=APT::Get::Always-Include-Phased-Updates=true
phased() {
    sed -n '/^The following upgrades have been deferred due to phasing:/,/^[^ ]/p' "$work/all" | grep '^ ' | tr -s ' ' '\n'
    find "$lists" -maxdepth 1 -name '*_Packages*' \( -name '*.lz4' -o -name '*.gz' -o -name '*.xz' -o -name '*.zst' -o \
        -exec grep -q '^Phased-Update-Percentage:' {} \; \) -print 2>/dev/null | grep -q . || return 0
    if $dist_upgrade; then set -- dist-upgrade; else set -- --with-new-pkgs upgrade; fi
    apt -s -o="$every_phase" "$@" >"$work/simulation" 2>/dev/null
    simulated "$work/simulation" | awk -F '\t' 'FILENAME == ARGV[1] { comes[$1] = 1; next } $2 != "" && $3 != "" && !($1 in comes) { print $1 }
    ' "$work/possible" -
}

# Notes of what could be upgraded, by the administrator's own preferences, and is not in the plan.
tell_left() {
    command apt list --upgradable -q -q -c "$work/plain.conf" -o="$every_phase" 2>/dev/null </dev/null | awk -v native="$native" '
        match($0, / \[upgradable from: [^]]*\]$/) {
            old = substr($0, RSTART + 19, RLENGTH - 20); name = $1; sub(/\/.*/, "", name)
            if ($3 != native && $3 != "all") name = name ":" $3
            print name "\t" old "\t" $2
        }' >"$work/upgradable"
    phased >"$work/phased"
    apt-mark showhold -c "$work/plain.conf" | sed "s/:$native\$//" >"$work/holds"
    awk -F '\t' -v only="$only_given" -v security_only="$security_only" -v told="$told_security" "$awk_named$awk_security"'
        FILENAME == ARGV[1] { wanted[$1] = 1; next }
        FILENAME == ARGV[2] { planned[$1] = 1; next }
        FILENAME == ARGV[3] { held[$1] = 1; next }
        FILENAME == ARGV[4] { phased[$1] = 1; next }
        FILENAME == ARGV[5] { asking[$1] = 1; next }
        FILENAME == ARGV[6] { out[$1] = 1; next }
        FILENAME == ARGV[7] { if ($3 != "") offered[$1] = $4; next }
        ($1 in planned) || (only == "true" && !named(wanted)) { next }
        $1 in held { why = "held" }
        !($1 in held) {
            why = ($1 in phased) ? "phased" : named(asking) ? "conffile" : named(out) ? "excluded" : "kept_back"
            if (why == "kept_back" && ($1 in offered)) { # it was not asked for
                if (security_only != "true" || security(offered[$1]) != "") next
                why = "security_unknown"
            }
        }
        { print $1 "\t" $2 "\t" $3 "\t" why }
    ' "$work/only" "$work/plan" "$work/holds" "$work/phased" "$work/asking" "$work/exclude" "$work/possible" "$work/upgradable" >"$work/left"
    notes left name old_version version why <"$work/left"
    cut -f 1 "$work/left" | cat - "$work/names" >"$work/told"
    while read -r name; do
        name=${name#=}
        grep -q -x -e "$name" -e "$name:[a-z0-9-]*" "$work/told" && continue
        echo "$name: not upgradable here, nothing to do for it."
        note left name "$name" why not_upgradable
    done <"$work/only"
}

# The kernel that the next start takes: the one that Proxmox VE has pinned, else the newest.
next_kernel() {
    for pin in "$root/etc/kernel/next-boot-pin" "$root/etc/kernel/proxmox-boot-pin"; do
        [ ! -s "$pin" ] || { head -n 1 "$pin" && return; }
    done
    find "$root/boot" -maxdepth 1 -name 'vmlinuz-[0-9]*' 2>/dev/null | sed 's/.*vmlinuz-//' | grep -v -E '\.(old|bak|dpkg-[a-z]+)$' | sort -V | tail -n 1
}
# What has to begin anew. Where other programs' memory cannot be looked at, "no" would be a guess.
tell_restarts() {
    : >"$work/why"
    required=false
    [ -r "$root/proc/1/maps" ] && head -c 1 "$root/proc/1/maps" >/dev/null 2>&1 || required=null
    stale_services >"$work/stale"
    sed -n 's/^\(init\|dbus\(-broker\)\{0,1\}\.service\)$/\1 runs on replaced files/p' "$work/stale" >>"$work/why"
    grep -v -x -e init "$work/stale" | notes service name
    if [ -e "$root/run/reboot-required" ]; then
        if in_container; then
            if [ -s "$root/run/reboot-required.pkgs" ]; then
                grep -v -E "$kernels" "$root/run/reboot-required.pkgs" | sort -u >>"$work/why"
            else
                required=null
            fi
        else
            sort -u "$root/run/reboot-required.pkgs" 2>/dev/null >>"$work/why"
            [ -s "$work/why" ] || echo /run/reboot-required >>"$work/why"
        fi
    fi
    if ! in_container; then
        running=$(uname -r) newest=$(next_kernel)
        if [ -n "$newest" ]; then
            note kernel running "$running" newest "$newest"
            [ "$running" = "$newest" ] || echo "kernel $running runs, the next start takes $newest" >>"$work/why"
        fi
    fi
    [ ! -s "$work/why" ] || required=true
    note reboot required: "$required" why: "$(texts <"$work/why")"
}

# The end of a run in which apt-get did not fail: the last notes, the list, and the exit code.
finish() { # file with the list
    tell_restarts
    if [ -n "$quarantine" ]; then
        note ended how quarantined
        echo "$self: $quarantine" >&2
        code=6
    elif [ -n "$partly" ]; then
        note ended how partial
        echo "$self: done, but $partly" >&2
        code=4
    else
        code=0
    fi
    changes <"$1"
    exit "$code"
}

# ---- The run ---------------------------------------------------------------------------------------------------------

partly='' quarantine='' refused=100
write_configuration

$dry_run || while who=$(holder "$database/lock-frontend" "$database/lock") && [ -n "$who" ]; do
    wait_for_lock "$who" || blocked "$who" "dpkg was in use for longer than $lock_timeout s."
done

known >"$work/known" || fail 100 "dpkg-query failed."
interrupted() { # prints what is half done, nothing if all is well
    known >"$work/known"
    {
        half_done "$work/known" | head -n 20
        set -- "$database"/updates/[0-9]*
        [ ! -e "$1" ] || echo "a journal that was not taken over"
    } | tr '\n' ',' | sed 's/,$//; s/,/, /g'
}
# What dpkg can bring to its end, then what it wants to be given once more, as after a loss of power while it unpacked.
mend() {
    "$dpkg" --force-confdef --force-confold --configure -a </dev/null
    known >"$work/known"
    awk -F '\t' '{ split($3, word, " ") } word[2] ~ /reinst/ || word[3] == "half-installed" { print $1 }' "$work/known" >"$work/again"
    [ -s "$work/again" ] || return 0
    installed "$work/known" >"$work/before"
    write_preferences
    refresh
    set --
    while read -r name; do set -- "$@" "$name"; done <"$work/again"
    apt install --reinstall --no-remove "$@"
}
what=$(interrupted)
if [ -n "$what" ] && [ -n "$(holder "$database/lock")" ]; then
    echo "dpkg is at work."
elif [ -n "$what" ]; then
    sentence="dpkg was interrupted: $what. Nothing can be upgraded before 'dpkg --configure -a' has been run (--repair)."
    repaired=false
    if $repair && ! $dry_run; then
        mend
        left=$(interrupted)
        [ -z "$left" ] || sentence="dpkg was interrupted, and the repair did not bring it to its end: $left. See 'dpkg --audit'."
        [ -n "$left" ] || repaired=true
    fi
    note interrupted what "$what" repaired: "$repaired"
    echo "$sentence"
    if ! $repaired; then
        $dry_run || fail 6 "$sentence"
        $repair || quarantine=$sentence refused=6
    fi
fi
installed "$work/known" >"$work/before"
write_preferences
beside >"$work/beside-before"

if ! refresh; then
    ! grep -q 'Could not open lock' "$work/update" || fail 100 "apt-get may not refresh its indexes$(told "$work/update")."
    # Go on with the repositories that do answer, and with nothing older: an index from before may name packages that
    # cannot be fetched any more, and one of those would end the upgrade of all.
    $dry_run || {
        lists=$work/lists
        echo "Dir::State::lists \"$work/lists\";" | tee -a "$work/plain.conf" >>"$work/apt.conf"
        refresh
    }
    unrefreshed >"$work/dead"
    notes not_refreshed repository <"$work/dead"
    partly=$(tr '\n' ';' <"$work/dead" | sed 's/;$//; s/;/; /g' | cut -c 1-600)
    [ -n "$(find "$work/lists" -name '*Packages*' | head -n 1)" ] ||
        fail 100 "the package indexes could not be refreshed${partly:+: $partly}$(told "$work/update")."
    partly="not refreshed, and so not looked at: ${partly:-some repositories}"
    echo "$partly"
fi

told_security=$(security_told)
if $security_only && ! $told_security; then
    partly="${partly:+$partly; }this system has no security suite, so nobody tells which updates are for security"
fi

round=0
while plan; do
    if [ "$conffiles" = keep ] || [ ! -s "$work/plan" ] || [ "$round" -ge 20 ]; then break; fi
    asking >"$work/more"
    [ -s "$work/more" ] || break
    cat "$work/more" >>"$work/asking"
    round=$((round + 1))
done

tell_left
if [ ! -s "$work/plan" ]; then
    echo "Nothing to upgrade."
    finish /dev/null
fi
awk -F '\t' '{ print ($2 == "" ? "new" : $3 == "" ? "remove" : "upgrade") " " $1 " " $2 " -> " $3 " (" $4 ")" }' "$work/plan"
! $dry_run || finish "$work/plan"

# Naming a package would mark it as wanted by hand; give automatic ones their mark back.
apt-mark showauto | sort >"$work/auto-before"
set --
while read -r word; do set -- "$@" "$word"; done <"$work/command"
# Who ends this run early still learns what has changed until then.
stopped=''
trap 'stopped=129' HUP
trap 'stopped=130' INT
trap 'stopped=143' TERM
while :; do
    apt "$@" 2>"$work/errors"
    code=$?
    cat "$work/errors" >&2
    if [ "$code" -eq 0 ] || [ -n "$stopped" ] || ! locked "$work/errors"; then break; fi
    wait_for_lock "$(lock_holder)" || break
done
apt-mark showauto | sort >"$work/auto-after"
lost=$(comm -23 "$work/auto-before" "$work/auto-after" | sed "s/:$native\$//" | grep -F -x -f "$work/names")
# shellcheck disable=SC2086 # names hold no blanks
[ -z "$lost" ] || apt-mark auto $lost >/dev/null

# What really changed, by dpkg's own account; where it came from is what the simulation said.
known >"$work/known"
installed "$work/known" >"$work/after"
awk -F '\t' 'FILENAME == ARGV[1] { rest[$1] = $4 "\t" $5 "\t" $6; next }
    FILENAME == ARGV[2] { old[$1] = $2; next }
    { new[$1] = $2; if (old[$1] != $2) print $1 "\t" old[$1] "\t" $2 "\t" rest[$1] }
    END { for (name in old) if (!(name in new)) print name "\t" old[name] "\t\t\t\t" }
' "$work/plan" "$work/before" "$work/after" | sort >"$work/changed"
beside | comm -13 "$work/beside-before" - | sed "s|^[^ ]* *$root||" | notes conffile path

if [ "$code" -ne 0 ] && locked "$work/errors" && [ ! -s "$work/changed" ] && [ -z "$stopped" ]; then
    give_up "$work/errors"
fi
half=$(half_done "$work/known" | head -n 20 | tr '\n' ',' | sed 's/,$//; s/,/, /g')
[ -z "$half" ] || note interrupted what "$half" repaired: false
if [ -n "$stopped" ] || [ "$code" -ne 0 ]; then
    tell_restarts
    echo "$self: apt-get ended with exit code $code$(told "$work/errors")." >&2
    changes <"$work/changed"
    exit "${stopped:-$code}"
fi
missed=$(awk -F '\t' 'FILENAME == ARGV[1] { done[$1 "\t" $3] = 1; next } !($1 "\t" $3 in done) { print $1 }' \
    "$work/changed" "$work/plan" | head -n 20 | tr '\n' ' ')
[ -z "$missed" ] || partly="${partly:+$partly; }apt-get did not do all that it had planned: ${missed% }"
finish "$work/changed"
