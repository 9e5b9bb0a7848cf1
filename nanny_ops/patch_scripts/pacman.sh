#!/bin/sh
# Upgrade packages with pacman. POSIX sh: runs under dash, busybox ash and bash.
#
#   pacman.sh [--dry-run] [--exclude=a,b] [--dist-upgrade] [--autoremove] [--conffiles=keep|hold-back]
#             [--lock-timeout=SECONDS] [--repair] [--verbose]
#
# Arch supports upgrades of the whole system only, so --only is refused: one new package beside old libraries may not even
# start. --exclude is taken, as pacman takes --ignore, at the risk of who orders it: what depends on the newer version of
# an excluded package is left out with it, but pacman does not know of all that breaks. The same goes for --conffiles=hold-back.
# --security-only is refused, for Arch does not say which updates concern security. --dist-upgrade also goes back to older
# versions where the repositories have only those. The databases are fetched into a folder of this call's own, and laid in
# place only when the upgrade begins: a system whose databases are newer than its packages is half upgraded already.
self=pacman.sh
name_pattern='[A-Za-z0-9_][A-Za-z0-9_.+:@-]*' # with a colon, for holds of a fleet may name other systems' packages
manager=pacman program=pacman
family='Arch Linux, Manjaro, EndeavourOS and what else is like Arch'
lock_words='unable to lock database'
trouble='^ *(error:|::.*(unable|breaks|conflict))'
. "${0%/*}/common.sh"
. "${0%/*}/course.sh"
options "$@"
if $only_given; then fail 2 "--only: Arch supports upgrades of the whole system only; --exclude leaves packages out."; fi
if $security_only; then fail 2 "--security-only: Arch does not say which of its updates concern security, so none can be chosen."; fi
begin arch archlinux manjaro
kernels=replaced
chmod 755 "$work" # pacman downloads as a user of its own, who must get in
database=$(pacman-conf DBPath 2>/dev/null)
database=$root${database:-/var/lib/pacman}
database=${database%/}
lock_files=$database/db.lck

sandbox='' settings=$root/etc/pacman.conf
pacman_() {
    # shellcheck disable=SC2086 # one word or none
    unlocked pacman --config "$settings" $sandbox --noconfirm --noprogressbar --color never "$@"
    result=$?
    if [ "$result" -ne 0 ] && [ -z "$sandbox" ] && grep -q -i -E 'landlock|sandbox' "$said" "$said.errors"; then
        echo "This kernel has no sandbox for pacman's downloads; going on without."
        sandbox=--disable-sandbox
        pacman_ "$@"
        result=$?
    fi
    return "$result"
}

# --- what was cut short ------------------------------------------------------------------------------------------------

# pacman has its lock open as long as it runs; one that nobody has open was left by one that died.
if [ -e "$lock_files" ] && [ -z "$(lock_holder)" ]; then
    cut_short "a stale lock, $lock_files, which no process has open" rm -f "$lock_files"
fi
reinstall() { # folder of a package whose record is incomplete
    name=${1##*/}
    name=${name%-*-*}
    rm -rf "$1"
    pacman_ -Sy --overwrite '*' "$name"
}
for folder in "$database"/local/*/; do
    folder=${folder%/}
    if [ ! -d "$folder" ] || { [ -s "$folder/desc" ] && [ -e "$folder/files" ]; }; then continue; fi
    cut_short "a half-installed package, ${folder##*/}" reinstall "$folder"
done
older() { # two folders of one package: the one of the older version
    if [ "$(vercmp "$(field VERSION "$1")" "$(field VERSION "$2")")" -gt 0 ]; then echo "$2"; else echo "$1"; fi
}
field() { # name, folder
    sed -n "/^%$1%/{n;p;q;}" "$2/desc"
}
last='' last_folder=''
for folder in "$database"/local/*/; do
    folder=${folder%/}
    if [ ! -s "$folder/desc" ]; then continue; fi
    name=$(field NAME "$folder")
    if [ "$name" = "$last" ]; then
        wrong=$(older "$last_folder" "$folder")
        cut_short "two versions at once, of which ${wrong##*/} is the older" rm -rf "$wrong"
    fi
    last=$name last_folder=$folder
done

# --- what there is -----------------------------------------------------------------------------------------------------

mkdir -p "$work/db/sync"
ln -s "$database/local" "$work/db/local"
cp -p "$database"/sync/*.db "$database"/sync/*.sig "$work/db/sync" 2>/dev/null # then only what has changed is fetched
fetch() {
    pacman_ --dbpath "$work/db" --logfile /dev/null -Sy
}
leave_out() { # file of repositories: settings in which these are not
    pacman-conf | awk 'FILENAME == ARGV[1] { out["[" $0 "]"] = 1; next } /^\[/ { off = ($0 in out) } !off' "$1" - >"$work/pacman.conf"
    settings=$work/pacman.conf
}
: >"$work/missed"
if ! fetch; then
    # pacman stops at the first that does not answer, and then does nothing at all with the others: one after the other.
    cp "$said.errors" "$work/first-errors"
    pacman-conf --repo-list | sort -u >"$work/repositories"
    # shellcheck disable=SC2094 # nothing is written to the list of all
    while read -r repository; do
        grep -v -x -F -e "$repository" "$work/repositories" >"$work/others"
        leave_out "$work/others"
        fetch || echo "$repository" >>"$work/missed"
    done <"$work/repositories"
    if [ "$(comm -23 "$work/repositories" "$work/missed" | grep -c .)" -eq 0 ]; then
        fail 100 "the package databases could not be refreshed$(told "$work/first-errors")."
    fi
    # An old database may name packages that can no longer be fetched, and one of those would end the upgrade of all.
    while read -r repository; do rm -f "$work/db/sync/$repository.db"; done <"$work/missed"
    leave_out "$work/missed"
fi
while read -r repository; do missed "$repository"; done <"$work/missed"

installed() {
    pacman -Q >"$work/listed" 2>"$work/list-errors" || return 1
    tr ' ' '\t' <"$work/listed" | sort
}
installed >"$work/now" || fail 100 "pacman does not list what is installed$(told "$work/list-errors")."
unlocked pacman --config "$settings" --dbpath "$work/db" --color never -Qu
awk -v OFS='\t' '$3 == "->" { print $1, $2, $4 }' "$said" >"$work/available"
awk '$3 == "->" && /\[ignored\]/ { print $1 }' "$said" >"$work/locked"

# --- the plan ----------------------------------------------------------------------------------------------------------

verb=-Su
if $dist_upgrade; then verb=-Suu; fi
ignored=$work/ignored
cat "$work/exclude" >"$ignored"
: >"$work/along"

print_plan() {
    set -- $verb
    if [ -s "$ignored" ]; then set -- "$@" --ignore "$(sort -u "$ignored" | paste -s -d , -)"; fi
    pacman_ --dbpath "$work/db" --logfile /dev/null "$@" --print --print-format "%n${tab}%v${tab}%r${tab}%s"
}

# What cannot go without a package that is left out is left out with it, one after the other.
plan() {
    tries=0
    until print_plan; do
        stuck=$(sed -n "s/^:: unable to satisfy dependency .* required by \([^ ]*\)$/\1/p
            s/^:: installing \([^ ]*\) (.*breaks dependency .*/\1/p" "$said" "$said.errors" | head -n 1)
        tries=$((tries + 1))
        if [ -z "$stuck" ] || [ ! -s "$ignored" ] || [ "$tries" -gt 200 ] || grep -q -x -F -e "$stuck" "$ignored"; then
            cat "$said" "$said.errors" >&2
            fail 100 "pacman cannot plan this upgrade$(told "$said.errors" "$said")."
        fi
        echo "$stuck" >>"$work/along"
        echo "$stuck" >>"$ignored"
    done
    {
        awk -F '\t' 'FILENAME == ARGV[1] { old[$1] = $2; next } NF == 4 { print $1 "\t" old[$1] "\t" $2 "\t" $3 "\t\t" $4 }' "$work/now" "$said"
        sed -n 's/^:: Replace \([^ ]*\) with .*/\1/p' "$said" |
            awk -F '\t' 'FILENAME == ARGV[1] { old[$1] = $2; next } { print $1 "\t" old[$1] "\t\t\t\t" }' "$work/now" -
    } | sort -u >"$work/plan"
}
plan
if [ "$conffiles" = hold-back ] && [ -s "$work/plan" ]; then
    # shellcheck disable=SC2046 # names hold no blanks
    pacman -Qii $(awk -F '\t' '$2 != "" && $3 != "" { print $1 }' "$work/plan") 2>/dev/null </dev/null |
        awk '/^Name/ { name = $3 } /\[modified\]|^MODIFIED/ { print name }' | sort -u >"$work/modified"
    if [ -s "$work/modified" ]; then
        cat "$work/modified" >>"$ignored"
        plan
    fi
fi
if [ -s "$ignored" ]; then echo "Packages are left out; Arch does not support that, and does not know of all that may break by it."; fi

if $autoremove; then
    pacman -Qdtq >"$work/orphans" 2>/dev/null
    if [ -s "$work/orphans" ]; then
        # shellcheck disable=SC2046 # names hold no blanks
        pacman_ -Rs --print --print-format "%n${tab}%v" $(cat "$work/orphans") ||
            fail 100 "pacman cannot plan the removal of orphans$(told "$said.errors" "$said")."
        awk -F '\t' 'NF == 2 { print $1 "\t" $2 "\t\t\t\t" }' "$said" >"$work/removals"
        plan_removals
    fi
fi

why_left() { # name
    if grep -q -x -F -e "$1" "$work/exclude"; then echo excluded; return; fi
    if grep -q -x -F -e "$1" "$work/modified"; then echo conffile; return; fi
    if grep -q -x -F -e "$1" "$work/locked"; then echo held; return; fi
    echo kept_back
}
leave

perform() {
    wait_for_lock
    mkdir -p "$database/sync"
    cp -p "$work"/db/sync/* "$database/sync/" || fail 100 "the databases cannot be written to $database/sync."
    : >"$work/all-said"
    : >"$work/all-errors"
    result=0
    # Signatures of the new packages may be made with keys that only the new keyring holds.
    # shellcheck disable=SC2013 # names hold no blanks
    for keyring in $(awk -F '\t' '$2 != "" && $3 != "" && $1 ~ /-keyring$/ { print $1 }' "$work/plan"); do
        [ "$result" -ne 0 ] || one_step -S "$keyring"
    done
    set -- $verb
    if [ -s "$ignored" ]; then set -- "$@" --ignore "$(sort -u "$ignored" | paste -s -d , -)"; fi
    [ "$result" -ne 0 ] || one_step "$@"
    # shellcheck disable=SC2046 # names hold no blanks
    if [ "$result" -eq 0 ] && [ -s "$work/removals" ]; then one_step -R $(cut -f 1 "$work/removals"); fi
    mv "$work/all-said" "$said"
    mv "$work/all-errors" "$said.errors"
    return "$result"
}
one_step() {
    pacman_ "$@"
    result=$?
    cat "$said" >>"$work/all-said"
    cat "$said.errors" >>"$work/all-errors"
}

after() {
    kernel_alone
}
carry_out "$@"
