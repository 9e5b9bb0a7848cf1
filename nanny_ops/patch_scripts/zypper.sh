#!/bin/sh
# Upgrade packages with zypper. POSIX sh: runs under dash, busybox ash and bash.
#
#   zypper.sh [--dry-run] [--exclude=a,b] [--only=a,b] [--security-only] [--dist-upgrade] [--autoremove]
#             [--conffiles=keep|hold-back] [--lock-timeout=SECONDS] [--repair] [--verbose]
#
# --dist-upgrade is "zypper dup". A rolling distribution (Tumbleweed, Slowroll, MicroOS) knows no other upgrade, so there it
# is taken always, and --only is refused: dup takes no names. Exclusions are locks in a file of this call's own, beside the
# administrator's, which stay and are heeded. A dry run keeps its indexes and logs in a folder of its own. zypper tells the
# size of all packages together only; that of each is read from the indexes, where a program is here that unpacks them. A
# configuration file that its package does not mark as one to keep (noreplace) is replaced by rpm whatever is asked; the
# old one stays as *.rpmsave. A root that transactional-update manages is left alone.
self=zypper.sh
name_pattern='[A-Za-z0-9_][A-Za-z0-9_.+:-]*' # with a colon, for holds of a fleet may name other systems' packages
manager=zypper program=zypper
family='openSUSE Leap, Tumbleweed and Slowroll, and SUSE Linux Enterprise'
lock_words='system management is locked'
trouble='(type="error"|^ *(error|problem)|nothing provides|^rpm: )'
. "${0%/*}/common.sh"
. "${0%/*}/course.sh"
. "${0%/*}/rpm.sh"
options "$@"
begin suse opensuse sles
lock_files="$root/run/zypp.pid $root/var/run/zypp.pid $root/var/lib/rpm/.rpm.lock $root/usr/lib/sysimage/rpm/.rpm.lock"

rolling=false
case $distribution in
    opensuse-tumbleweed | opensuse-slowroll | opensuse-microos | aeon | kalpa) rolling=true ;;
esac
if $rolling && $only_given; then
    fail 2 "--only: a rolling distribution is upgraded as a whole; to upgrade one package alone would mix two states of it."
fi
if command -v transactional-update >/dev/null 2>&1 && [ "$(stat -f -c %T / 2>/dev/null)" = btrfs ] && ! [ -w /usr ]; then
    fail 3 "the root is read-only and upgraded by transactional-update; this script is for $family with a writable root."
fi

# A zypp.conf of our own: the administrator's, with locks in a file where exclusions can be added.
settings=$root/etc/zypp/zypp.conf
if [ ! -r "$settings" ]; then settings=$root/usr/etc/zypp/zypp.conf; fi
{
    echo '[main]'
    sed '/^[[:space:]]*\(\[main\]\|locksfile\.path\|history\.logfile\)/d' "$settings" 2>/dev/null
    echo "locksfile.path = $work/locks"
    if $dry_run; then echo "history.logfile = $work/log/history"; fi
} >"$work/zypp.conf"
ZYPP_CONF=$work/zypp.conf ZYPP_LOCK_TIMEOUT=0
export ZYPP_CONF ZYPP_LOCK_TIMEOUT
if $dry_run; then
    ZYPP_LOGFILE=$work/log/zypper.log
    export ZYPP_LOGFILE
fi

lock_out() { # the locks of names on stdin, in the form of the file
    sed 's/.*/\ntype: package\nmatch_type: exact\ncase_sensitive: on\nsolvable_name: &\n/' | sed 's/\.\('"$native"'\|i[3-6]86\|noarch\)$//'
}
if [ -r "$root/etc/zypp/locks" ]; then cat "$root/etc/zypp/locks"; fi >"$work/locks"
lock_out <"$work/exclude" >>"$work/locks"
sed -n 's/^solvable_name: *//p' "$root/etc/zypp/locks" >"$work/locked" 2>/dev/null

zypper_() {
    if $dry_run; then set -- --cache-dir "$work/cache" "$@"; fi
    if [ -d "$work/repos" ]; then set -- --reposd-dir "$work/repos" "$@"; fi
    unlocked zypper --xmlout --non-interactive "$@"
}

check_interrupted

# --- what there is -----------------------------------------------------------------------------------------------------

attribute() { # awk: the value of an attribute of the element in $0
    # shellcheck disable=SC2016 # awk's own
    printf '%s' 'function attribute(name,    at, rest) {
        at = index($0, " " name "=\"")
        if (!at) return ""
        rest = substr($0, at + length(name) + 3)
        rest = substr(rest, 1, index(rest, "\"") - 1)
        gsub(/&lt;/, "<", rest); gsub(/&gt;/, ">", rest); gsub(/&quot;/, "\"", rest); gsub(/&apos;/, "\047", rest); gsub(/&amp;/, "\\&", rest)
        return rest
    }
    function full(arch) { name = attribute("name"); return arch == native || arch == "noarch" ? name : name "." arch }
    '
}
elements() { # one element a line, of a file of XML
    sed 's/></>\n</g' "$1"
}

refresh_said() { # repositories that could not be refreshed
    sed -n "s/.*Skipping repository .\{0,6\}'\{0,1\}\([^'<&]*\).* because of the above error.*/\1/p
        s/.*Repository &apos;\([^&]*\)&apos; is invalid.*/\1/p
        s/.*Repository '\([^']*\)' is invalid.*/\1/p" "$said" "$said.errors" | sed 's/^apos;//' | sort -u
}
zypper_ refresh
code=$?
refresh_said >"$work/missed"
while read -r repository; do missed "$repository"; done <"$work/missed"
if [ "$code" -ne 0 ]; then
    if grep -q -E 'Could not refresh the repositories|All services have been refreshed|No repositories' "$said" "$said.errors" || [ ! -s "$work/missed" ]; then
        fail 100 "the package indexes could not be refreshed$(told "$said" "$said.errors")."
    fi
fi

if [ -n "$incomplete" ]; then
    # zypper does nothing at all while one of its repositories has no index; in a copy of the list those are disabled.
    mkdir "$work/repos"
    for file in "$root"/etc/zypp/repos.d/*.repo; do
        awk 'FILENAME == ARGV[1] { missed[$0] = 1; next }
            function out(    i) { for (i = 1; i <= n; i++) if (!(off && line[i] ~ /^enabled *=/)) print line[i]
                if (off) print "enabled=0"
                n = 0; off = 0 }
            /^\[/ { out(); alias = $0; gsub(/[][]/, "", alias); if (alias in missed) off = 1 }
            /^name *=/ { name = $0; sub(/^name *= */, "", name); if (name in missed) off = 1 }
            { line[++n] = $0 }
            END { out() }' "$work/missed" "$file" >"$work/repos/${file##*/}"
    done
fi

# All for which something newer is offered, also what cannot be installed.
zypper_ --no-refresh list-updates --all || fail 100 "zypper cannot list updates$(told "$said" "$said.errors")."
elements "$said" | awk -v OFS='\t' -v native="$native" "$(attribute)"'/^<update .*kind="package"/ {
    print full(attribute("arch")), attribute("edition-old"), attribute("edition") }' | sort -u >"$work/available"

# Which repositories tell of patches at all.
zypper_ --no-refresh patches
awk -F '|' '/\|/ && $3 !~ /Category/ { gsub(/^ +| +$/, "", $1); print $1 }' "$said" | sort -u >"$work/telling"
tells_security=false
if [ -s "$work/telling" ]; then tells_security=true; fi
if $security_only && ! $tells_security; then
    fail 2 "--security-only: no repository of this system says which of its packages are security updates, so none can be chosen."
fi

# The packages of security patches that are needed here: a patch conflicts with what is older than it wants.
zypper_ --no-refresh list-patches --category security
elements "$said" | awk "$(attribute)"'/^<update .*kind="patch"/ && attribute("category") == "security" { print attribute("name") }' |
    sort -u >"$work/patches"
: >"$work/security"
if [ -s "$work/patches" ]; then
    # shellcheck disable=SC2046 # a patch's name holds no blank
    zypper_ --no-refresh info --type patch $(cat "$work/patches")
    awk '{ for (i = 2; i <= NF; i++) if ($i == "<" || $i == "&lt;") {
        sub(/\.(noarch|i[3-6]86|x86_64|aarch64|armv7hl|ppc64le|s390x)$/, "", $(i - 1)); print $(i - 1) } }' "$said" |
        sort -u >"$work/security"
fi

# --- the plan ----------------------------------------------------------------------------------------------------------

# The transaction of a dry run: name, old, new, repository, architecture.
summary() {
    elements "$said" | awk -v OFS='\t' -v native="$native" "$(attribute)"'
        /^<(to-[a-z-]+)/ { part = $1; sub(/^</, "", part); sub(/>.*/, "", part); next }
        /^<\/to-/ { part = ""; next }
        /^<solvable .*type="package"/ && part ~ /^to-(upgrade|install|downgrade|change-arch|reinstall|upgrade-change-arch|downgrade-change-arch)$/ {
            print full(attribute("arch")), attribute("edition-old"), attribute("edition"), attribute("repository"), attribute("arch") }
        /^<solvable .*type="package"/ && part == "to-remove" { print full(attribute("arch")), attribute("edition"), "", "", attribute("arch") }'
}

plan() { # file, command, words
    into=$1 command=$2
    shift 2
    zypper_ --no-refresh "$command" --dry-run "$@" || {
        cat "$said" "$said.errors" >&2
        fail 100 "zypper cannot plan this upgrade$(told "$said" "$said.errors")."
    }
    summary >"$into"
}

# A repository's name may stand where its alias does; a package of one that tells nothing is unknown, not harmless.
marked() { # file
    awk -F '\t' -v OFS='\t' -v tells="$tells_security" 'FILENAME == ARGV[1] { secure[$1] = 1; next }
        FILENAME == ARGV[2] { telling[$1] = 1; next }
        { bare = $1; sub(/\.i[3-6]86$/, "", bare)
          $5 = bare in secure ? "true" : (tells == "true" && $4 in telling ? "false" : "null"); $6 = ""; print }
    ' "$work/security" "$work/telling" "$1" | sort -u
}

unpacked() { # file
    case $1 in
        *.gz) gzip -dc "$1" ;;
        *.zst) zstd -dcq "$1" ;;
        *.xz) xz -dc "$1" ;;
        *.xml) cat "$1" ;;
    esac 2>/dev/null
}
# Add to a plan how many bytes each package downloads.
add_sizes() {
    indexes=$root/var/cache/zypp/raw
    if $dry_run; then indexes=$work/cache/raw; fi
    for index in "$indexes"/*/repodata/*primary.xml*; do unpacked "$index"; done |
        awk -v OFS='\t' -v native="$native" "$(attribute)"'FILENAME == ARGV[1] { sub(/\.i[3-6]86$/, "", $1); wanted[$1] = 1; next }
            /^ *<name>/ { name = $0; gsub(/^ *<name>|<.*/, "", name); if (!(name in wanted)) name = "" }
            name == "" { next }
            /^ *<arch>/ { arch = $0; gsub(/^ *<arch>|<.*/, "", arch) }
            /^ *<version / { version = attribute("ver") "-" attribute("rel"); epoch = attribute("epoch")
                if (epoch > 0) version = epoch ":" version }
            /^ *<size / { print (arch == native || arch == "noarch" ? name : name "." arch), version, attribute("package"); name = "" }
        ' "$work/plan" - >"$work/sizes"
    awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { size[$1 FS $2] = $3; next } { $6 = size[$1 FS $3]; print }' \
        "$work/sizes" "$work/plan" >"$work/both" && mv "$work/both" "$work/plan"
}

verb=update
if $dist_upgrade || $rolling; then verb=dist-upgrade; fi
# As zypp.conf has it by default, said again: a package does not change over to another vendor's by itself.
if [ "$verb" = dist-upgrade ]; then same_vendor=--no-allow-vendor-change; else same_vendor=; fi
plan "$work/all" "$verb" ${same_vendor:+"$same_vendor"}

if [ "$conffiles" = hold-back ]; then
    awk -F '\t' '$2 != "" && $3 != "" { print $1 }' "$work/all" | rpm_modified >"$work/modified"
    if [ -s "$work/modified" ]; then
        lock_out <"$work/modified" >>"$work/locks"
        plan "$work/all" "$verb" ${same_vendor:+"$same_vendor"}
    fi
fi

full=true
if $only_given || $security_only; then full=false; fi
set --
if $full; then
    marked "$work/all" >"$work/plan"
else
    marked "$work/all" >"$work/marked"
    awk -F '\t' -v only="$only_given" -v security="$security_only" '
        FILENAME == ARGV[1] { wanted[$1] = 1; next }
        $2 == "" || $3 == "" { next }
        only == "true" && !($1 in wanted) { next }
        security == "true" && $5 != "true" { next }
        { print $1 "\t" $3 }' "$work/only" "$work/marked" >"$work/chosen"
    while IFS="$tab" read -r name version; do
        case $name in
            *.i?86) set -- "$@" "${name%.*}.${name##*.}=$version" ;;
            *) set -- "$@" "$name=$version" ;;
        esac
    done <"$work/chosen"
    if [ $# -gt 0 ]; then
        plan "$work/chosen-plan" install --no-recommends "$@"
        marked "$work/chosen-plan" >"$work/plan"
    fi
fi

if [ -s "$work/plan" ]; then add_sizes; fi

if $autoremove; then
    zypper_ --no-refresh packages --unneeded
    awk -F '|' '/^i/ { gsub(/ /, ""); print $3 "\t" $4 "\t\t\t\t" }' "$said" | sort -u >"$work/removals"
    plan_removals
fi

leave

fine() { # 102 and 103 say that a reboot, or a new start of zypper itself, is wanted after what has been done
    case $result in 102 | 103) result=0 ;; esac
}
perform() {
    result=0
    if $full; then
        zypper_ --no-refresh "$verb" ${same_vendor:+"$same_vendor"} || result=$?
    elif [ $# -gt 0 ]; then
        zypper_ --no-refresh install --no-recommends "$@" || result=$?
    fi
    fine
    remove_unneeded zypper_ --no-refresh remove
    fine
    return "$result"
}

after() {
    zypper --non-interactive needs-rebooting >"$said" 2>"$said.errors" </dev/null
    case $? in
        0) tool_says=false ;;
        102)
            tool_says=true
            rpm -q --whatprovides 'installhint(reboot-needed)' --qf '%{NAME}\n' 2>/dev/null | grep -v ' ' | sort -u >"$work/reasons"
            if [ ! -s "$work/reasons" ]; then echo 'zypper says so' >"$work/reasons"; fi ;;
    esac
}
carry_out "$@"
