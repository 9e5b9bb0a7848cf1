#!/bin/sh
# Upgrade packages with apk. POSIX sh: runs under busybox ash, dash and bash.
#
#   apk.sh [--dry-run] [--exclude=a,b] [--only=a,b] [--dist-upgrade] [--autoremove] [--conffiles=keep]
#          [--lock-timeout=SECONDS] [--repair] [--verbose]
#
# --security-only is refused: Alpine's indexes do not say which updates concern security. --conffiles=hold-back is refused:
# apk does not tell beforehand which new files it would lay beside an administrator's (*.apk-new). --dist-upgrade is
# "upgrade --available": every package becomes the one that the repositories hold, also an older one. apk removes what
# nothing needs any more in every upgrade, so --autoremove adds nothing; such removals are in the list. Which packages are
# upgraded can be said by name only; that they came in the versions listed is looked at afterwards. A dry run keeps its
# indexes in a folder of its own.
self=apk.sh
name_pattern='[A-Za-z0-9_][A-Za-z0-9_.+:@-]*' # with a colon, for holds of a fleet may name other systems' packages
manager=apk program=apk
family='Alpine Linux and what else is like it'
lock_words='unable to lock database|failed to lock'
trouble='^ *error'
. "${0%/*}/common.sh"
. "${0%/*}/course.sh"
options "$@"
if $autoremove; then echo "--autoremove adds nothing: apk always removes what nothing needs any more."; fi
if $security_only; then fail 2 "--security-only: Alpine's indexes do not say which updates concern security, so none can be chosen."; fi
if [ "$conffiles" != keep ]; then fail 2 "--conffiles=hold-back: apk does not tell beforehand which files it would lay beside an administrator's."; fi
begin alpine postmarketos
kernels=replaced
records=$root/lib/apk/db
if [ ! -e "$records/installed" ] && [ -e "$root/usr/lib/apk/db/installed" ]; then records=$root/usr/lib/apk/db; fi
lock_files=$records/lock

apk_() {
    if $dry_run; then set -- --cache-dir "$work/cache" "$@"; fi
    unlocked apk --no-progress --no-interactive "$@"
}
# An apk older than 2.12 does not know that it must not ask; it never does without a terminal.
apk --no-interactive --version >/dev/null 2>&1 </dev/null || apk_() {
    if $dry_run; then set -- --cache-dir "$work/cache" "$@"; fi
    unlocked apk --no-progress "$@"
}

# --- what was cut short ------------------------------------------------------------------------------------------------

# apk marks a package whose files or scripts did not all arrive.
broken=$(awk -F : '$1 == "P" { name = $2 } $1 == "f" { print name }' "$records/installed" 2>/dev/null | sort -u | tr '\n' ' ')
if [ -n "$broken" ]; then cut_short "half-installed packages: ${broken% }" apk --no-progress fix; fi

# --- what there is -----------------------------------------------------------------------------------------------------

installed() {
    awk -F : '$1 == "P" { name = $2 } $1 == "V" { print name "\t" substr($0, 3) }' "$records/installed" | sort
}
installed >"$work/now"
[ -s "$work/now" ] || fail 100 "$records/installed cannot be read."

apk_ update
code=$?
sed -n -E 's/^(WARNING|ERROR): ([a-z ]*[[:space:]])?((https?|ftp|file|\/)[^ ]*[^ :]):? .*/\3/pI' "$said" "$said.errors" |
    sed -E 's|/[^/]*/APKINDEX[^/]*$||' | sort -u >"$work/missed"
if [ "$code" -ne 0 ] || [ -s "$work/missed" ]; then
    if [ ! -s "$work/missed" ] || grep -h -E '(; |^OK: )0 distinct packages' "$said" "$said.errors" | grep -q .; then
        fail 100 "the package indexes could not be refreshed$(told "$said" "$said.errors")."
    fi
fi
while read -r repository; do missed "$repository"; done <"$work/missed"

# Every package older than what is offered: "name-1.0-r0   < 1.1-r0".
apk_ version -l '<'
awk -v OFS='\t' '$2 == "<" { name = $1; sub(/-[0-9][^-]*(-r[0-9]+)?$/, "", name)
    print name, substr($1, length(name) + 2), $3 }' "$said" | sort -u >"$work/available"

# What the administrator holds at a version: names with a condition in the list of what is wanted.
sed -n 's/^\([^!@=<>~]*\)\(@[^=<>~]*\)\{0,1\}[=<>~].*/\1/p' "$root/etc/apk/world" >"$work/locked" 2>/dev/null

# --- the plan ----------------------------------------------------------------------------------------------------------

plan() { # words
    apk_ upgrade --simulate "$@" || {
        cat "$said" "$said.errors" >&2
        fail 100 "apk cannot plan this upgrade$(told "$said.errors" "$said")."
    }
    # "(1/3) Upgrading name (1.0-r0 -> 1.1-r0)"; a name may carry the repository that it is pinned to.
    sed -n 's/^([0-9]*\/[0-9]*) \([A-Z][a-z]*\) \([^ @]*\)\(@[^ ]*\)\{0,1\} (\(.*\))$/\1 \2 \4/p' "$said" | awk -v OFS='\t' '
        $1 == "Purging" || $1 == "Removing" { print $2, $3, ""; next }
        $1 == "Installing" { print $2, "", $3; next }
        $1 != "Reinstalling" && $4 == "->" { print $2, $3, $5 }' | sort -u >"$work/planned"
}

set --
if $dist_upgrade; then set -- --available; fi
plan "$@"
if $only_given || [ -s "$work/exclude" ]; then
    awk -F '\t' -v only="$only_given" 'FILENAME == ARGV[1] { wanted[$1] = 1; next } FILENAME == ARGV[2] { out[$1] = 1; next }
        $2 == "" || $3 == "" || $1 in out { next }
        only == "true" && !($1 in wanted) { next }
        { print $1 }' "$work/only" "$work/exclude" "$work/planned" >"$work/chosen"
    if [ -s "$work/chosen" ]; then
        while read -r name; do set -- "$@" "$name"; done <"$work/chosen"
        plan "$@"
        caught=$(awk -F '\t' 'FILENAME == ARGV[1] { out[$1] = 1; next } $1 in out { print $1; exit }' "$work/exclude" "$work/planned")
        [ -z "$caught" ] || fail 100 "$caught is excluded, yet these packages cannot be upgraded without it."
    else
        : >"$work/planned"
    fi
fi

# Where each comes from, and its size, as the indexes have them.
if [ -s "$work/planned" ]; then
    # shellcheck disable=SC2046 # names hold no blanks
    apk_ policy $(cut -f 1 "$work/planned")
    awk '/ policy:$/ { name = $1; next } /^  [^ ].*:$/ { version = $1; sub(/:$/, "", version); next }
        /^    / && $1 !~ /lib\/apk\/db\/installed/ && !((name, version) in seen) { where = $NF; sub(/^@[^ ]* /, "", where)
            seen[name, version] = 1; print name "\t" version "\t" where }' "$said" >"$work/origins"
    indexes=$root/etc/apk/cache
    if [ ! -d "$indexes" ]; then indexes=$root/var/cache/apk; fi
    if $dry_run; then indexes=$work/cache; fi
    for index in "$indexes"/APKINDEX.*.tar.gz; do
        tar -xzOf "$index" APKINDEX 2>/dev/null
    done | awk -F : '$1 == "P" { name = $2 } $1 == "V" { version = substr($0, 3) }
        $1 == "S" { size = $2 } $0 == "" { if (name != "") print name "\t" version "\t" size; name = "" }' >"$work/sizes"
    awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { from[$1 FS $2] = $3; next } FILENAME == ARGV[2] { size[$1 FS $2] = $3; next }
        { print $1, $2, $3, from[$1 FS $3], "", size[$1 FS $3] }' "$work/origins" "$work/sizes" "$work/planned" >"$work/plan"
fi

why_left() { # name
    if grep -q -x -F -e "$1" "$work/exclude"; then echo excluded; return; fi
    if grep -q -x -F -e "$1" "$work/locked"; then echo held; return; fi
    echo kept_back
}
leave

perform() {
    apk_ upgrade "$@"
}

after() {
    kernel_alone
}
carry_out "$@"
