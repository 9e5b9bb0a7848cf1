# shellcheck shell=sh disable=SC2034,SC2154
# What the scripts of dnf, yum and zypper share: everything that is asked of rpm itself. Taken in after the course of a run.

native=$(uname -m)
# By its path: busybox has an rpm of its own, which its shell would prefer.
rpm_program=$(printf '%s\n' "$PATH" | tr ':' '\n' | while read -r place; do
    if [ -x "$place/rpm" ]; then echo "$place/rpm" && break; fi
done)
rpm() {
    "${rpm_program:-/usr/bin/rpm}" "$@"
}
rpm_format='%{NAME}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\t%{ARCH}\n'

# name, epoch:version-release, architecture -> name.architecture where it is a foreign one, and the version without "0:".
by_name() {
    awk -F '\t' -v OFS='\t' -v native="$native" '{
        sub(/^0:/, "", $2)
        if ($3 != native && $3 != "noarch" && $3 != "") $1 = $1 "." $3
        $3 = ""
        sub(/\t+$/, "")
        print }'
}

installed() {
    rpm -qa --qf "$rpm_format" 2>"$work/rpm-errors" | grep -v '^gpg-pubkey	' >"$work/rpm-list"
    [ -s "$work/rpm-list" ] || return 1
    by_name <"$work/rpm-list" | sort
}

# Packages of which only one version may be there, and two are: the older ones, as rpm names them. A transaction that
# was cut short between installing the new and erasing the old leaves them behind.
doubled() {
    rpm -qa --qf '%{INSTALLTIME}\t%{NAME}.%{ARCH}\t%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\n' 2>/dev/null |
        grep -v -E '	(gpg-pubkey|kernel|installonlypkg)' | sort -t '	' -k 2,2 -k 1,1rn |
        awk -F '\t' '$2 == last { print $3 } { last = $2 }' >"$work/doubled"
    # Kernels and their modules say by what they provide that they are installed beside each other.
    [ -s "$work/doubled" ] || return 1
    while read -r package; do
        rpm -q --provides "$package" 2>/dev/null | grep -q -E '^(installonlypkg|multiversion)\(' || echo "$package"
    done <"$work/doubled" >"$work/doubled-wrong"
    [ -s "$work/doubled-wrong" ]
}

# Find what was cut short; repair it where that is wanted, else end with 6.
check_interrupted() {
    if ! rpm -q --quiet rpm 2>"$work/rpm-errors" && [ -s "$work/rpm-errors" ]; then
        cut_short "the rpm database cannot be read: $(head -n 1 "$work/rpm-errors")" rpm --rebuilddb
    fi
    if doubled; then
        what="two versions at once, of which these are the older: $(tr '\n' ' ' <"$work/doubled-wrong")"
        # The second half of what was cut short; rpm leaves alone what the newer version owns too.
        # shellcheck disable=SC2046 # names hold no blanks
        cut_short "${what% }" rpm -e --nodeps $(cat "$work/doubled-wrong")
    fi
}

# awk: bytes of a rounded size and its unit.
awk_bytes='function bytes(number, unit,    place) {
    if (number !~ /^[0-9.]+$/) return ""
    for (place = index("kMGT", substr(unit, 1, 1) == "K" ? "k" : substr(unit, 1, 1)); unit != "" && place > 0; place--) number *= 1024
    return sprintf("%.0f", number)
}
'

# The transaction of dnf 4 and yum, a table that is folded where a name is long: section, name, architecture, version,
# repository, bytes. The size ends a row; its unit is a word of its own, or missing.
rpm_table() {
    awk -v OFS='\t' "$awk_bytes"'/^[A-Z][A-Za-z ]*:$/ { section = $0; sub(/:$/, "", section); n = 0; next }
        /^(Transaction Summary|Total |Is this ok)/ { section = ""; n = 0 }
        section == "" || NF == 0 { next }
        /^[[:space:]]+replacing/ { n = 0
            part = $2; sub(/\.[^.]*$/, "", part)
            print "Replacing", part, substr($2, length(part) + 2), $3, "-"; next }
        { for (i = 1; i <= NF; i++) word[++n] = $i
            if (n < 5) next
            print section, word[1], word[2], word[3], word[4], bytes(word[5], n > 5 ? word[6] : ""); n = 0 }' "$1"
}

# Of the names on stdin, those with a configuration file that an administrator has changed.
rpm_modified() {
    while read -r name; do
        if rpm -V --nodeps --nodigest --nosignature "$name" 2>/dev/null | grep -q -E '^..5[^ ]* +c '; then echo "$name"; fi
    done
}

# Whether each package is a security update, by the names in $work/security: null where nobody tells ($tells_security).
flagged() {
    awk -F '\t' -v OFS='\t' -v tells="$tells_security" 'FILENAME == ARGV[1] { secure[$1] = 1; next }
        { name = $1
          sub(/\.(i[3-6]86|x86_64|aarch64|armv7hl|ppc64le|s390x)$/, "", name)
          $5 = tells != "true" || $3 == "" ? "null" : (name in secure ? "true" : "false")
          print }' "$work/security" -
}

# The names from name-version-release.architecture, the last such word of a line, as lists of advisories have it.
packages_in() {
    awk '{ for (i = NF; i > 0; i--) if ($i ~ /^[A-Za-z0-9_].*-[^-]+-[^-]+\.[a-z0-9_]+$/) {
        sub(/-[^-]*-[^-]*$/, "", $i); print $i; next } }' "$1" | sort -u
}

# From the rows of a transaction ($work/table) to a plan. Kernels come beside the old ones, which stay.
planned() { # file
    awk -F '\t' -v OFS='\t' '$1 ~ /^(Upgrading|Updating|Installing|Downgrading)/ { print $2, $4, $3, $5, $6 }' "$work/table" |
        awk -F '\t' -v OFS='\t' -v native="$native" '{ sub(/^0:/, "", $2)
            if ($3 != native && $3 != "noarch") $1 = $1 "." $3
            print $1, $2, $4, $5 }' >"$work/incoming"
    awk -F '\t' '$1 ~ /^(Removing|Replacing)/ { print $2 "\t" $4 "\t" $3 }' "$work/table" | by_name |
        awk -F '\t' 'FILENAME == ARGV[1] { comes[$1] = 1; next } !($1 in comes)' "$work/incoming" - >"$work/outgoing"
    {
        awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { old[$1] = $2; next }
            FILENAME == ARGV[2] { size[$1 FS $2] = $4; next }
            FILENAME == ARGV[3] { beside[$1] = 1; next }
            { told = size[$1 FS $2]; print $1, ($1 in beside ? "" : old[$1]), $2, $3, "", (told == "" ? $4 : told) }
        ' "$work/now" "$work/offered" "$work/installonly" "$work/incoming"
        awk -F '\t' '{ print $1 "\t" $2 "\t\t\t\t" }' "$work/outgoing"
    } | flagged | sort -u >"$1"
}

look_around() { # what is installed, and of that what comes beside its older versions
    installed >"$work/now" || fail 100 "rpm does not list what is installed: $(head -n 1 "$work/rpm-errors")."
    rpm -q --whatprovides 'installonlypkg(kernel)' 'installonlypkg(kernel-module)' --qf '%{NAME}\n' 2>/dev/null |
        grep -v ' ' | sort -u >"$work/installonly"
}

# What was asked for of all that can be upgraded, as name and version.
choose() {
    awk -F '\t' -v only="$only_given" -v security="$security_only" '
        FILENAME == ARGV[1] { wanted[$1] = 1; next }
        $3 == "" || ($2 == "" && !($1 in wanted)) { next }
        only == "true" && !($1 in wanted) { next }
        security == "true" && $5 != "true" { next }
        { print $1 "\t" $3 }' "$work/only" "$1"
}

# Why a package is not in the plan, of a name: excluded by this call, changed by hand, locked by the administrator (patterns
# in $work/locked), or not installable ($work/skipped, where the manager tells which).
why_left() {
    bare=$1
    case $bare in *.i?86 | *."$native") bare=${bare%.*} ;; esac
    if grep -q -x -F -e "$1" -e "$bare" "$work/exclude"; then echo excluded; return; fi
    if grep -q -x -F -e "$1" "$work/modified"; then echo conffile; return; fi
    if ! grep -q -x -F -e "$1" -e "$bare" "$work/skipped"; then
        while read -r pattern; do
            # shellcheck disable=SC2254 # it is a pattern
            case $1 in $pattern) echo held; return ;; esac
        done <"$work/locked"
    fi
    echo kept_back
}

# Remove what stands in $work/removals, after an upgrade that ended with $result; what both said is put together. Words: the
# call, to which the names are added. A manager would take along whatever needs one of them by now, so rpm is asked before.
remove_unneeded() {
    if [ "$result" -ne 0 ] || [ ! -s "$work/removals" ]; then return; fi
    # shellcheck disable=SC2046 # names hold no blanks
    if ! rpm -e --test $(cut -f 1 "$work/removals") >"$work/needed" 2>&1; then
        echo "Nothing is removed, for something needs it after the upgrade: $(sed -n 's/^[[:space:]]*//; 2p' "$work/needed")"
        return
    fi
    mv "$said" "$work/upgrade-said"
    # shellcheck disable=SC2046
    "$@" $(cut -f 1 "$work/removals") || result=$?
    cat "$work/upgrade-said" "$said" >"$work/both" && mv "$work/both" "$said"
}
