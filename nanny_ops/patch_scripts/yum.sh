#!/bin/sh
# Upgrade packages with yum 3, of the RHEL 7 generation. POSIX sh: runs under dash, busybox ash and bash.
#
#   yum.sh [--dry-run] [--exclude=a,b] [--only=a,b] [--security-only] [--dist-upgrade] [--autoremove]
#          [--conffiles=keep|hold-back] [--lock-timeout=SECONDS] [--repair] [--verbose]
#
# --dist-upgrade is yum's distribution-synchronization: every package becomes the one that the repositories hold, also by
# going back. A dry run keeps its indexes, logs and history in a folder of its own. Exclusions are options of one call;
# the administrator's version locks stay and are heeded. CentOS 7 never published advisories, so there --security-only is
# refused. Sizes are as rounded as yum tells them. A configuration file that its package does not mark as one to
# keep (noreplace) is replaced by rpm whatever is asked; the old one stays as *.rpmsave.
self=yum.sh
name_pattern='[A-Za-z0-9_][A-Za-z0-9_.+:-]*' # with a colon, for holds of a fleet may name other systems' packages
manager=yum program=yum
family='RHEL, CentOS, Oracle Linux, Scientific Linux and CloudLinux 7'
lock_words='another app is currently holding the yum lock|existing lock .*another copy is running'
trouble='^ *(error|problem|failure:|one of the configured repositories failed|cannot retrieve)'
. "${0%/*}/common.sh"
. "${0%/*}/course.sh"
. "${0%/*}/rpm.sh"
options "$@"
version=$(release VERSION_ID)
case $distribution:${version%%.*} in
    rhel:7 | centos:7 | ol:7 | scientific:7 | cloudlinux:7) ;;
    *) wrong_system ;;
esac
begin "$distribution"
lock_files="$root/var/run/yum.pid $root/var/lib/rpm/.rpm.lock"
TMPDIR=$work/tmp # where yum saves a transaction that nobody agreed to
export TMPDIR

private=''
if $dry_run; then
    mkdir -p "$work/state"
    cp -Rp "$root/var/lib/yum/yumdb" "$work/state" 2>/dev/null # why a package was installed, for --autoremove
    private="--setopt=cachedir=$work/cache --setopt=logfile=$work/log/yum.log --setopt=persistdir=$work/state"
fi
exclusions=''
for name in $exclude; do exclusions="$exclusions --exclude=$name"; done
yum_() { # yum with what every call has; the private folders of a dry run are in $private
    # shellcheck disable=SC2086 # options without blanks
    unlocked yum -y $private --setopt=exit_on_lock=1 '--setopt=*.skip_if_unavailable=1' --skip-broken $exclusions "$@"
}

# --- what was cut short ------------------------------------------------------------------------------------------------

for journal in "$root"/var/lib/yum/transaction-all.*; do
    [ -e "$journal" ] || continue
    complete() { # what a yum that died had still to do; where the program is missing, its journal is only put away
        if command -v yum-complete-transaction >/dev/null; then yum-complete-transaction -y; else
            mkdir -p "$root/var/lib/yum/cut-short" && mv "$root"/var/lib/yum/transaction-* "$root/var/lib/yum/cut-short"
        fi
    }
    cut_short 'a transaction of yum' complete
    break
done
check_interrupted

# --- what there is -----------------------------------------------------------------------------------------------------

$dry_run || yum_ -q clean expire-cache # then the next call looks for newer indexes
# Asked without exclusions and locks, so that what they keep back can be named. Long rows are folded: three words each.
wanted=$exclusions exclusions=''
yum_ --disableexcludes=all --disableplugin=versionlock list updates
code=$?
exclusions=$wanted
sed '1,/^Updated Packages/d' "$said" >"$work/updates"
sed -n 's/^.*failure: .* from \([^ :]*\):.*/\1/p' "$said" "$said.errors" | sort -u >"$work/missed"
if [ "$code" -ne 0 ] && ! grep -q -i 'No matching Packages to list' "$said.errors"; then
    fail 100 "the package indexes could not be refreshed$(told "$said" "$said.errors")."
fi
while read -r repository; do missed "$repository"; done <"$work/missed"
if [ -n "$incomplete" ] && [ "$(yum_ -q repolist enabled; grep -c '^[^ ]' "$said")" -le "$(($(wc -l <"$work/missed") + 1))" ]; then
    fail 100 "none of the repositories could be refreshed: $incomplete."
fi

look_around
# The foreign architectures of a package are named; what is native or for all is not.
awk -v OFS='\t' -v native="$native" '/^Obsoleting Packages/ { exit }
    { for (i = 1; i <= NF; i++) { word[++n] = $i
        if (n == 3) {
            n = 0; name = word[1]; arch = name; sub(/.*\./, "", arch); sub(/^0:/, "", word[2])
            if (arch == native || arch == "noarch") sub(/\.[^.]*$/, "", name)
            print name, word[2], word[3], "" } } }' "$work/updates" >"$work/offered"
awk -F '\t' 'FILENAME == ARGV[1] { old[$1] = $2; next } { print $1 "\t" old[$1] "\t" $2 }
' "$work/now" "$work/offered" >"$work/available"

exclusions=''
if yum_ -q updateinfo list all; then packages_in "$said"; fi >"$work/advised"
if yum_ -q updateinfo list security; then packages_in "$said"; fi >"$work/security"
exclusions=$wanted
tells_security=false
if [ -s "$work/advised" ]; then tells_security=true; fi
if $security_only && ! $tells_security; then
    fail 2 "--security-only: no repository of this system says which of its packages are security updates, so none can be chosen."
fi

# --- the plan ----------------------------------------------------------------------------------------------------------

# The transaction that yum would do for these words, as name, old, new, repository, security, size.
plan() { # file, words
    into=$1
    shift
    # "Exiting on user command", since nobody agreed: the table stands above it.
    yum_ --assumeno "$@" || grep -q -E '^Transaction Summary' "$said" || {
        cat "$said" "$said.errors" >&2
        fail 100 "yum cannot plan this upgrade$(told "$said.errors" "$said")."
    }
    rpm_table "$said" >"$work/table"
    planned "$into"
}

verb=update
if $dist_upgrade; then verb='distribution-synchronization'; fi
plan "$work/all" $verb
awk -F '\t' '$1 ~ /^Skipped/ { print $2 }' "$work/table" | sort -u >"$work/skipped"

if [ "$conffiles" = hold-back ]; then
    awk -F '\t' '$2 != "" && $3 != "" { print $1 }' "$work/all" | rpm_modified >"$work/modified"
    if [ -s "$work/modified" ]; then
        while read -r name; do exclusions="$exclusions --exclude=$name"; done <"$work/modified"
        plan "$work/all" $verb
    fi
fi

full=true
if $only_given || $security_only; then full=false; fi
set --
if $full; then
    cp "$work/all" "$work/plan"
else
    choose "$work/all" >"$work/chosen"
    # Named with their versions, so that what was listed is what is done.
    while IFS="$tab" read -r name version; do
        case $version in *:*) epoch=${version%%:*}: ;; *) epoch='' ;; esac
        case $name in
            *.i?86) set -- "$@" "$epoch${name%.*}-${version#*:}.${name##*.}" ;;
            *) set -- "$@" "$epoch$name-${version#*:}" ;;
        esac
    done <"$work/chosen"
    if [ $# -gt 0 ]; then plan "$work/plan" update "$@"; fi
fi

# What the administrator has locked.
sed -n '/^[[:space:]]*#/d; s/^!//; s/^[0-9]*://; s/-[0-9][^-]*-[^-]*$//; /./p' "$root/etc/yum/pluginconf.d/versionlock.list" >"$work/locked" 2>/dev/null
sed -n 's/^exclude *= *//p' "$root/etc/yum.conf" "$root"/etc/yum.repos.d/*.repo 2>/dev/null |
    tr ',' '\n' | tr ' ' '\n' | sed '/^$/d' >>"$work/locked"

if $autoremove; then
    plan "$work/unneeded" autoremove
    awk -F '\t' '$3 == ""' "$work/unneeded" >"$work/removals"
    plan_removals
fi

leave

perform() {
    result=0
    if $full; then yum_ $verb || result=$?; elif [ $# -gt 0 ]; then yum_ update "$@" || result=$?; fi
    remove_unneeded yum_ --setopt=clean_requirements_on_remove=0 remove
    return "$result"
}

after() {
    needs-restarting -r >"$said" 2>"$said.errors" </dev/null
    if grep -q '^Core libraries or services have been updated' "$said"; then
        tool_says=true
        sed -n 's/^  \([^ ].*\) -> .*/\1/p' "$said" >"$work/reasons"
    elif grep -q 'No core libraries or services have been updated' "$said"; then
        tool_says=false
    fi
}
carry_out "$@"
