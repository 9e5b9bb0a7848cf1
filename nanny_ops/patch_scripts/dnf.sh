#!/bin/sh
# Upgrade packages with dnf, 4 or 5. POSIX sh: runs under dash, busybox ash and bash.
#
#   dnf.sh [--dry-run] [--exclude=a,b] [--only=a,b] [--security-only] [--dist-upgrade] [--autoremove]
#          [--conffiles=keep|hold-back] [--lock-timeout=SECONDS] [--repair] [--verbose]
#
# --dist-upgrade is dnf's distro-sync: every package becomes the one that the repositories hold, also by removing others
# and by going back to older versions. A dry run keeps its indexes, logs and history in a folder of its own. Exclusions
# are options of one call; the administrator's version locks stay and are heeded. A configuration file that its package
# does not mark as one to keep (noreplace) is replaced by rpm whatever is asked; the old one stays as *.rpmsave.
self=dnf.sh
name_pattern='[A-Za-z0-9_][A-Za-z0-9_.+:-]*' # with a colon, for holds of a fleet may name other systems' packages
manager=dnf program=dnf
family='Fedora, and RHEL, CentOS, AlmaLinux, Rocky and Oracle Linux from version 8 on'
lock_words='another copy is running|waiting for process with pid|failed to obtain .*lock'
trouble='^ *(error|problem|failed|curl error)'
. "${0%/*}/common.sh"
. "${0%/*}/course.sh"
. "${0%/*}/rpm.sh"
options "$@"
version=$(release VERSION_ID)
case $distribution:${version%%.*} in
    rhel:[67] | centos:[67] | ol:[67] | scientific:[67] | cloudlinux:[67] | amzn:*)
        wrong_system ;;
esac
begin fedora rhel centos
if [ -e "$root/run/ostree-booted" ]; then
    fail 3 "the root is an image that rpm-ostree replaces as a whole; this script is for $family with a writable root."
fi
lock_files="$root/var/lib/dnf/rpmdb_lock.pid $root/var/cache/dnf/metadata_lock.pid $root/run/dnf/rpmtransaction.lock"
lock_files="$lock_files $root/var/lib/rpm/.rpm.lock $root/usr/lib/sysimage/rpm/.rpm.lock"

# By the name of the program that "dnf" leads to; to ask it for its version would write logs.
case $(readlink -f "$(command -v dnf)") in
    *dnf5) five=true ;;
    *) five=false ;;
esac
COLUMNS=1000 # dnf5 folds its table at this width, in the middle of words
export COLUMNS

dnf_() { # dnf with what every call has; the private folders of a dry run are in $private
    # shellcheck disable=SC2086 # options without blanks, as dnf itself splits them
    set -- dnf -y $private --nobest '--setopt=*.skip_if_unavailable=True' $exclusions "$@"
    $five || set -- "$@" --setopt=exit_on_lock=True
    unlocked "$@"
}
exclusions=''
for name in $exclude; do exclusions="$exclusions --exclude=$name"; done

# dnf's own indexes may be as old as it likes; what is asked of it here is always refreshed once.
private=''
if $dry_run; then
    mkdir -p "$work/state"
    cp -p "$root"/var/lib/dnf/history.sqlite* "$work/state" 2>/dev/null # why a package was installed, for --autoremove
    private="--setopt=cachedir=$work/cache --setopt=system_cachedir=$work/cache --setopt=logdir=$work/log"
    if ! $five; then private="$private --setopt=persistdir=$work/state"; fi
fi

check_interrupted

# --- what there is -----------------------------------------------------------------------------------------------------

dnf_ --refresh makecache
code=$?
sed -n "s/.*[Ff]ailed to download metadata for repo '\([^']*\)'.*/\1/p; s/.*[Ff]ailed to download metadata .* for repository \"\([^\"]*\)\".*/\1/p
    s/^Ignoring repositories: *//p" "$said" "$said.errors" | tr ', ' '\n' | sed '/^$/d' | sort -u >"$work/missed"
if [ "$code" -ne 0 ]; then fail 100 "the package indexes could not be refreshed$(told "$said.errors" "$said")."; fi
# Asked without exclusions and locks, so that what they keep back can be named.
format='%{name}\t%{arch}\t%{epoch}:%{version}-%{release}\t%{repoid}\t%{downloadsize}'
if $five; then format="$format\\n"; fi
wanted=$exclusions exclusions=''
dnf_ -q --disableexcludes=all repoquery --upgrades --qf "$format" ||
    fail 100 "dnf cannot list updates$(told "$said.errors" "$said")."
exclusions=$wanted
grep '	' "$said" | awk -F '\t' -v OFS='\t' -v native="$native" '{ version = $3
    sub(/^(0|\(none\)):/, "", version)
    print ($2 == native || $2 == "noarch" ? $1 : $1 "." $2), version, $4, $5 }' | sort -u >"$work/offered"
while read -r repository; do missed "$repository"; done <"$work/missed"
if [ -n "$incomplete" ]; then
    dnf_ -q repolist --enabled # a heading, and a line for each
    if [ "$(($(grep -c '^[^ ]' "$said") - 1))" -le "$(wc -l <"$work/missed")" ]; then
        fail 100 "none of the repositories could be refreshed: $incomplete."
    fi
fi

# Advisories: whether there are any at all, and which packages have one about security that is not installed yet.
if $five; then advisories='advisory list'; else advisories='updateinfo list'; fi
exclusions=''
# shellcheck disable=SC2086 # two words
if dnf_ -q $advisories --all; then packages_in "$said"; fi >"$work/advised"
# shellcheck disable=SC2086
if dnf_ -q $advisories --security; then packages_in "$said"; fi >"$work/security"
exclusions=$wanted
tells_security=false
if [ -s "$work/advised" ]; then tells_security=true; fi
if $security_only && ! $tells_security; then
    fail 2 "--security-only: no repository of this system says which of its packages are security updates, so none can be chosen."
fi

# --- the plan ----------------------------------------------------------------------------------------------------------

# The transaction that dnf would do for these words, as name, old, new, repository, security, size.
plan() { # file, words
    into=$1
    shift
    unlocked_plan "$@" || {
        cat "$said" "$said.errors" >&2
        fail 100 "dnf cannot plan this upgrade$(told "$said.errors" "$said")."
    }
    if $five; then table_5 "$said"; else rpm_table "$said"; fi >"$work/table"
    planned "$into"
}

unlocked_plan() {
    dnf_ --assumeno "$@" && return 0
    # "Operation aborted", since nobody agreed: the table stands above it.
    grep -q -E '^(Transaction Summary|Nothing to do)' "$said" || grep -q -i -E '(Operation aborted|Nothing to do)' "$said.errors"
}

table_5() { # dnf5's table: one row a line, the size (as installed) has two words, each replaced package a row of its own
    awk -v OFS='\t' '/^[A-Z][A-Za-z ]*:[[:space:]]*$/ { section = $0; sub(/:[[:space:]]*$/, "", section); next }
        /^Transaction Summary/ { section = "" }
        section == "" || NF < 6 { next }
        $1 == "replacing" { print "Replacing", $2, $3, $4, "-"; next }
        { print section, $1, $2, $3, $4 }' "$1"
}

look_around
awk -F '\t' 'FILENAME == ARGV[1] { old[$1] = $2; next } { print $1 "\t" old[$1] "\t" $2 }
' "$work/now" "$work/offered" >"$work/available"

verb=upgrade
if $dist_upgrade; then verb=distro-sync; fi
plan "$work/all" $verb
awk -F '\t' '$1 ~ /^Skipping/ { print $2 }' "$work/table" | sort -u >"$work/skipped"

if [ "$conffiles" = hold-back ]; then
    awk -F '\t' '$2 != "" && $3 != "" { print $1 }' "$work/all" | rpm_modified >"$work/modified"
    if [ -s "$work/modified" ]; then
        while read -r name; do exclusions="$exclusions --exclude=$name"; done <"$work/modified"
        plan "$work/all" $verb
    fi
fi

choose "$work/all" >"$work/chosen"
full=true
if $only_given || $security_only; then full=false; fi
set --
if $full; then
    cp "$work/all" "$work/plan"
elif [ -s "$work/chosen" ]; then
    # Named with their versions, so that what was listed is what is done.
    while IFS='	' read -r name version; do
        case $version in *:*) ;; *) version=0:$version ;; esac
        case $name in
            *.i?86 | *."$native") set -- "$@" "${name%.*}-$version.${name##*.}" ;;
            *) set -- "$@" "$name-$version" ;;
        esac
    done <"$work/chosen"
    plan "$work/plan" upgrade "$@"
else
    : >"$work/plan"
fi

# What the administrator has locked.
sed -n '/^[[:space:]]*#/d; s/^!//; /./p' "$root/etc/dnf/plugins/versionlock.list" 2>/dev/null |
    sed 's/-[0-9][0-9]*:.*//; s/-[0-9][^-]*-[^-]*$//' >"$work/locked"
sed -n 's/^name *= *"\(.*\)".*/\1/p' "$root/etc/dnf/versionlock.toml" >>"$work/locked" 2>/dev/null
sed -n 's/^exclude\(pkgs\)\{0,1\} *= *//p' "$root/etc/dnf/dnf.conf" "$root"/etc/yum.repos.d/*.repo 2>/dev/null |
    tr ',' '\n' | tr ' ' '\n' | sed '/^$/d' >>"$work/locked"

if $autoremove; then
    plan "$work/unneeded" autoremove
    awk -F '\t' '$3 == ""' "$work/unneeded" >"$work/removals"
    plan_removals
fi

leave

perform() {
    result=0
    if $full; then dnf_ $verb || result=$?; elif [ $# -gt 0 ]; then dnf_ upgrade "$@" || result=$?; fi
    remove_unneeded dnf_ --setopt=clean_requirements_on_remove=False remove
    return "$result"
}

after() {
    dnf_ -q needs-restarting -r
    if grep -q 'Core libraries or services have been updated' "$said"; then
        tool_says=true
        sed -n 's/^ *\* //p' "$said" >"$work/reasons"
    elif grep -q -E '(No core libraries or services have been updated|Reboot should not be necessary)' "$said"; then
        tool_says=false
    fi
}
carry_out "$@"
