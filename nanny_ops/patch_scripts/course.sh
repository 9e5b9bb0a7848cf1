# shellcheck shell=sh disable=SC2034,SC2154
# The course of a run, shared by the scripts of all managers but apt; taken in after the text that all share.
#
# A script sets "manager", "program" (what must be there), "family" (whom it serves), "lock_words" and "trouble" (extended
# regular expressions for "somebody holds the lock" and for an error's line) before, and "lock_files" after. It writes
# $work/plan and $work/left, provides installed, perform and after, and ends with carry_out.

SYSTEMD_PAGER='cat'
export SYSTEMD_PAGER

# What tests turn down or point elsewhere: the pause in seconds between two looks at a lock, and the root to look into.
lock_pause=${NANNY_LOCK_PAUSE:-5}
root=${NANNY_ROOT:-}

distribution=$(release ID)

begin() { # the names of distributions served; then whatever is needed is there, and a private folder
    serves "$@"
    command -v "$program" >/dev/null 2>&1 || fail 3 "$program is not installed here; this script is for $family."
    for tool in awk sed grep mktemp sort comm find stat date; do
        command -v "$tool" >/dev/null 2>&1 || fail 100 "$tool is not installed here, and nothing can be worked out without it."
    done
    work=$(mktemp -d "/var/tmp/nanny-$manager.XXXXXXXX") || fail 100 "no private folder could be made in /var/tmp."
    mkdir -p "$work/cache" "$work/log" "$work/tmp" || fail 100 "/var/tmp cannot be written."
    said=$work/said
    printf '%s\n' "$exclude" | sed '/^$/d' >"$work/exclude"
    printf '%s\n' "$only" | sed '/^$/d' >"$work/only"
    for list in left modified locked skipped removals plan; do : >"$work/$list"; done
    beside >"$work/beside-before"
}

# --- locks ---------------------------------------------------------------------------------------------------------

# Who holds one of $lock_files: "pid name". A lock is a number in the file, one that the kernel knows of, or just that the
# file is there and open. A number whose process has gone holds nothing.
lock_holder() {
    for lock in $lock_files; do
        [ -e "$lock" ] || continue
        pid=$(sed -n '1s/^[[:space:]]*\([0-9][0-9]*\).*/\1/p' "$lock" 2>/dev/null)
        if [ -n "$pid" ] && [ "$pid" != $$ ] && [ -d "/proc/$pid" ]; then
            echo "$pid $(cat "/proc/$pid/comm" 2>/dev/null)"
            return
        fi
        [ -n "$pid" ] || holder "$lock" | grep . && return
        [ -n "$pid" ] || opener "$lock" | grep . && return
    done
}

opener() { # file: the first process that has it open
    # shellcheck disable=SC2012 # this path holds no newline
    ls -l /proc/[0-9]*/fd 2>/dev/null | awk -v file="$(readlink -f "$1")" '/^\/proc\// { split($1, part, "/"); pid = part[3] }
        substr($0, length($0) - length(file)) == " " file { print pid; exit }' | while read -r pid; do
        echo "$pid $(cat "/proc/$pid/comm" 2>/dev/null)"
    done
}

# Wait until nobody holds a lock; when the time is over end with 5, naming the holder, who is let be.
wait_for_lock() {
    said_so=false
    while held_by=$(lock_holder) && [ -n "$held_by" ]; do
        [ "$(patience)" -gt 0 ] || blocked "$held_by" "another program is at work, and has been for $lock_timeout s."
        $said_so || echo "Another program is at work: process ${held_by%% *} (${held_by#* }); waiting."
        said_so=true
        sleep "$lock_pause"
    done
}

# Run a program of the manager's; once more where another one has taken the lock in between. Its output goes to $said.
unlocked() {
    while :; do
        wait_for_lock
        "$@" >"$said" 2>"$said.errors" </dev/null
        code=$?
        if [ "$code" -eq 0 ] || ! grep -q -i -E "$lock_words" "$said" "$said.errors"; then return "$code"; fi
        [ "$(patience)" -gt 0 ] || blocked "$(named_holder)" "another program is at work, and has been for $lock_timeout s."
        sleep "$lock_pause"
    done
}

named_holder() { # by the manager's own words
    pid=$(grep -h -i -E "$lock_words" "$said" "$said.errors" | sed -n 's/.*pid[ :]*\([0-9][0-9]*\).*/\1/p' | head -n 1)
    [ -z "$pid" ] || echo "$pid $(cat "/proc/$pid/comm" 2>/dev/null)"
}

# The most telling line of what a program said, after a colon; nothing if it said nothing.
told() {
    grep -h -i -E "$trouble" "$@" 2>/dev/null | head -n 1 | sed 's/<[^>]*>//g; s/^[[:space:]]*//' | cut -c 1-300 | sed 's/\.$//; s/^/: /'
}

# What a transaction that was cut short has left, and how that is repaired. Words: a sentence, then a command.
cut_short() {
    what=$1
    shift
    if $repair && ! $dry_run; then
        wait_for_lock
        "$@" </dev/null 2>&1 || { note interrupted what "$what" repaired: false; fail 6 "$what; and the repair failed."; }
        note interrupted what "$what" repaired: true
    else
        note interrupted what "$what" repaired: false
        # With --repair a dry run can still tell what would come after.
        $repair || fail 6 "$what. With --repair it is repaired first."
    fi
}

# --- lists: name, old version, new version, repository, security, size ------------------------------------------------

tell() { # a list, one readable line each
    awk -F '\t' '{ print ($2 == "" ? "new " : ($3 == "" ? "remove " : "upgrade ")) $1 " " $2 ($2 != "" && $3 != "" ? " -> " : "") $3 ($4 != "" ? " (" $4 ")" : "") }' "$1"
}

tell_left() { # list of name, old version, new version, why
    notes left name old_version version why <"$1"
}

# What differs between two lists of installed packages (name, version; sorted), as name, old, new.
differences() {
    awk -F '\t' 'FILENAME == ARGV[1] { had[$0] = 1; next } { has[$0] = 1 }
        END {
            for (pair in had) if (!(pair in has)) { split(pair, part, "\t"); gone[part[1]] = part[2] }
            for (pair in has) if (!(pair in had)) {
                split(pair, part, "\t")
                print part[1] "\t" gone[part[1]] "\t" part[2]
                delete gone[part[1]]
            }
            for (name in gone) if (gone[name] != "") print name "\t" gone[name] "\t"
        }' "$1" "$2" | sort
}

# Of what could be upgraded ($work/available: name, old, new) that which is neither planned nor beside what was asked for,
# with the reason that why_left tells of a name.
leave() {
    awk -F '\t' 'FILENAME == ARGV[1] { planned[$1] = 1; next } !($1 in planned) && !seen[$1]++' "$work/plan" "$work/available" |
        awk -F '\t' -v OFS='\t' '{ print $1, ($2 == "" ? "-" : $2), $3 }' | while IFS="$tab" read -r name old new; do
            if $only_given; then grep -q -x -F -e "$name" "$work/only" || continue; fi
            why=$(why_left "$name")
            if $security_only && [ "$why" = kept_back ]; then continue; fi
            printf '%s\t%s\t%s\t%s\n' "$name" "${old#-}" "$new" "$why"
        done >"$work/left"
    while read -r name; do
        cut -f 1 "$work/plan" "$work/left" | grep -q -x -F -e "$name" || printf '%s\t\t\tnot_upgradable\n' "$name" >>"$work/left"
    done <"$work/only"
}

# What goes besides: $work/removals, in the form of a plan. What goes need not be upgraded before; what is excluded or held
# does not go.
plan_removals() {
    cat "$work/exclude" "$work/locked" >"$work/staying"
    awk -F '\t' 'FILENAME == ARGV[1] { stays[$1] = 1; next } !($1 in stays)' "$work/staying" "$work/removals" >"$work/both" &&
        mv "$work/both" "$work/removals"
    awk -F '\t' 'FILENAME == ARGV[1] { goes[$1] = 1; next } !($1 in goes)' "$work/removals" "$work/plan" |
        cat - "$work/removals" >"$work/both" && mv "$work/both" "$work/plan"
}

# --- after -----------------------------------------------------------------------------------------------------------

# Where kernels are installed beside each other ($kernels is "beside") the newest counts. Where a new one takes the old
# one's place, the running one is as new as there is until its files are gone; a second flavour is no newer one.
newest_kernel() {
    for folder in "$root"/lib/modules/*; do
        version=${folder##*/}
        # A folder alone proves nothing: modules of a kernel that has been removed may stay behind.
        if [ -e "$folder/vmlinuz" ] || [ -e "$root/boot/vmlinuz-$version" ] || [ -e "$root/boot/vmlinuz-${version##*-}" ]; then
            if [ "$version" = "$(uname -r)" ] && [ "$kernels" = replaced ]; then version="$version~running"; fi
            echo "$version"
        fi
    done | sort -V >"$work/kernels"
    sed -n 's/~running$//p' "$work/kernels" | grep . || tail -n 1 "$work/kernels"
}

# Without a tool that knows: in a container there is nothing to know, and elsewhere the kernel tells what there is to it.
kernel_alone() {
    if in_container || [ -n "$(newest_kernel)" ]; then tool_says=false; fi
}

# What the manager's own tool says stands in $tool_says (true, false, null) and, one reason a line, in $work/reasons.
reboot_notes() {
    required=$tool_says
    if in_container; then
        # Only what a restart of the container would mend: never a kernel, its firmware or its microcode.
        grep -v -i -E '^(kernel|linux|microcode|ucode|amd-ucode|intel-ucode)' "$work/reasons" >"$work/why"
        if [ ! -s "$work/why" ] && [ "$required" = true ]; then required=false; fi
    else
        cat "$work/reasons" >"$work/why"
        running=$(uname -r) newest=$(newest_kernel)
        if [ -n "$newest" ]; then
            note kernel running "$running" newest "$newest"
            if [ "$running" != "$newest" ]; then
                echo "the running kernel $running is not the newest, $newest" >>"$work/why"
                required=true
            fi
        fi
    fi
    stale_services >"$work/services"
    if grep -q -x init "$work/services"; then
        echo 'process 1 runs on replaced files' >>"$work/why"
        required=true
    fi
    note reboot required: "$required" why: "$(texts <"$work/why")"
    grep -v -x init "$work/services" | notes service name
}

# Files that a run has laid beside those of an administrator: below /etc by looking, elsewhere by what was said of them.
beside() {
    find "$root/etc" -type f \( -name '*.rpmnew' -o -name '*.rpmsave' -o -name '*.rpmorig' -o -name '*.pacnew' \
        -o -name '*.pacsave' -o -name '*.apk-new' \) 2>/dev/null | sort
}

tell_beside() { # files with what the manager said
    {
        beside | comm -13 "$work/beside-before" -
        sed -n 's/.* \(saved\|created\|installed\) as \(\/[^ ]*\.\(rpmnew\|rpmsave\|rpmorig\|pacnew\|pacsave\)\).*/\2/p' "$@" 2>/dev/null
    } | sort -u | notes conffile path
}

# --- the course itself -----------------------------------------------------------------------------------------------

kernels=beside
incomplete=''
missed() { # repository that could not be refreshed
    note not_refreshed repository "$1"
    incomplete="$incomplete${incomplete:+, }$1"
}

finish() { # exit code, what was not done; a script's last words
    if [ "$1" -ne 0 ]; then echo "$self: $2" >&2; fi
    if [ "$1" -eq 4 ]; then note ended how partial; fi
    changes <"$work/done"
    return "$1"
}

carry_out() { # words for perform
    performed=0 stopped='' undone=''
    cp "$work/plan" "$work/done"
    if ! $dry_run && [ -s "$work/plan" ]; then
        installed >"$work/before" || fail 100 "the list of installed packages cannot be read."
        # Who ends this run early still learns what has changed until then.
        trap 'stopped=129' HUP
        trap 'stopped=130' INT
        trap 'stopped=143' TERM
        perform "$@" || performed=$?
        cat "$said"
        cat "$said.errors" >&2
        installed >"$work/after" || fail 100 "the list of installed packages cannot be read after the run."
        compare
    fi
    tell_left "$work/left"
    tool_says=null
    : >"$work/reasons"
    mv "$said" "$work/performed" 2>/dev/null
    mv "$said.errors" "$work/performed.errors" 2>/dev/null
    after
    reboot_notes
    tell "$work/done"
    if [ -n "$stopped" ]; then
        finish "$stopped" "it was told to stop."
    elif [ "$performed" -ne 0 ]; then
        finish 100 "$program ended with exit code $performed$(told "$work/performed" "$work/performed.errors")."
    elif [ -n "$undone" ]; then
        finish 4 "done, but not as planned: $undone"
    elif [ -n "$incomplete" ]; then
        finish 4 "done, but not refreshed, and so not looked at: $incomplete"
    else
        [ -s "$work/done" ] || echo "Nothing to upgrade."
        finish 0 ''
    fi
}

# What has changed, by the manager's own account; where it came from is what the plan said. What did not come, is told.
compare() {
    differences "$work/before" "$work/after" | awk -F '\t' '
        FILENAME == ARGV[1] { rest[$1] = $4 "\t" $5 "\t" $6; next } { print $0 "\t" rest[$1] }' "$work/plan" - >"$work/done"
    awk -F '\t' 'FILENAME == ARGV[1] { did[$1 FS $3] = 1; next }
        !(($1 FS $3) in did) { print $1 "\t" $2 "\t" $3 "\tnot_upgradable" }' "$work/done" "$work/plan" >"$work/undone"
    undone=$(cut -f 1 "$work/undone" | tr '\n' ' ')
    cat "$work/undone" >>"$work/left"
    tell_beside "$said" "$said.errors"
}
