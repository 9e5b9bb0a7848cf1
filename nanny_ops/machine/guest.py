"""What runs inside a container, as POSIX sh: works under dash, busybox ash and bash, needs no file but the job's.

The supervisor's own programs are sh and those of :data:`NEEDED`, found in coreutils and util-linux as well as in
busybox.
"""

NEEDED = "cat head mkfifo mv setsid sha256sum sleep tail tee timeout tr wc"

#: Arguments: folder. A planted link or folder of somebody else makes mkdir fail.
PREPARE = 'rm -rf -- "$1" && mkdir -m 0700 -- "$1"'

#: What the line on stderr begins with that says why HAND_OVER has not run the script.
HANDED = "nanny-script "

_NEED = f"""
lacks=
for need in {NEEDED}; do
    command -v "$need" >/dev/null || {{ lacks=$need; echo "lacks $need"; }}
done
"""

#: Arguments: script, interpreter, the program that ``env`` looks up or nothing. Prints words and values.
VERIFY = (
    _NEED
    + """
sum=$(sha256sum <"$1")
echo "sha256 ${sum%% *}"
if [ -x "$2" ] && { [ -z "$3" ] || command -v "$3" >/dev/null; }; then echo "interpreter yes"; fi
"""
)

#: Arguments: folder, and what VERIFY takes after the script, which is read from stdin: one call instead of three,
#: as each ``pct`` costs most of a second of CPU. Prints what VERIFY does.
RECEIVE = f"""{_NEED}
[ -z "$lacks" ] || exit 0
umask 077
{PREPARE} || exit 1
cat >"$1/script" && chmod 0700 "$1/script" || exit 1
set -- "$1/script" "$2" "$3"
{VERIFY}"""

#: Arguments: SUPERVISE, folder, seconds, command. A background child is never a group leader, so setsid does not fork.
LAUNCH = 'setsid sh -c "$@" & wait $!'

#: Arguments (from $0 on): folder, seconds, command. The output goes through named pipes, because a service that the
#: script has started would otherwise hold the stdout of ``pct exec`` for ever: two seconds after the script's end the
#: readers are ended. They keep a copy in files, of 64 MiB at most (bash counts double), and go on when nobody listens
#: any more, so that a script lives on without its ``pct exec``; its exit code lies in ``code``, there once it is whole.
#: The numbers of this session and of the two readers are written down for HALT.
SUPERVISE = """
folder=$0 limit=$1
shift
mkfifo "$folder/out" "$folder/err" || exit 125
keep() {
    trap '' PIPE XFSZ
    ulimit -f 131072 2>/dev/null
    exec tee "$1"
}
(keep "$folder/stdout" <"$folder/out" 2>/dev/null) & out=$!
(keep "$folder/stderr" <"$folder/err" >&2 2>/dev/null) & err=$!
echo "$$ $out $err" >"$folder/pid"
timeout -k 10 "$limit" "$@" >"$folder/out" 2>"$folder/err" </dev/null
code=$?
{ sleep 2; kill "$out" "$err"; } >/dev/null 2>&1 </dev/null &
late=$!
wait "$out" "$err" 2>/dev/null
kill "$late" 2>/dev/null
echo "$code" >"$folder/code.new" && mv "$folder/code.new" "$folder/code"
exit "$code"
"""

#: Arguments: folder, interpreter, the program that ``env`` looks up or nothing, the script's SHA-256, SUPERVISE,
#: seconds, command. The script is read from stdin, verified and run, all in one call. What keeps it from being run is
#: said in one line on stderr, and the exit code is NO_PIPES then.
HAND_OVER = f"""
no() {{ echo "{HANDED}$*" >&2; exit 125; }}
for need in {NEEDED}; do command -v "$need" >/dev/null || no lacks "$need"; done
folder=$1 interpreter=$2 wanted=$3 sha256=$4 supervise=$5 limit=$6 mask=$(umask)
shift 6
umask 077
rm -rf -- "$folder" && mkdir -m 0700 -- "$folder" || exit 125
cat >"$folder/script" && chmod 0700 "$folder/script" || exit 125
sum=$(sha256sum <"$folder/script")
[ "${{sum%% *}}" = "$sha256" ] || no torn
[ -x "$interpreter" ] && {{ [ -z "$wanted" ] || command -v "$wanted" >/dev/null; }} || no interpreter
umask "$mask"
setsid sh -c "$supervise" "$folder" "$limit" "$@" </dev/null & wait $!
"""

ALIVE = """
alive() {
    { read -r leader rest <"$1/pid"; } 2>/dev/null || return 1
    case $(tr '\\0' ' ' <"/proc/$leader/cmdline") in *"$1"*) return 0 ;; esac 2>/dev/null
    return 1
}
"""

#: Arguments: folder. Prints whether the script still runs, has ended, or has gone with all that would tell its end.
STANDING = (
    ALIVE
    + """
if [ -r "$1/code" ]; then echo ended; elif alive "$1"; then echo running; else echo gone; fi
"""
)

#: Arguments: folder, bytes of stdout and of stderr that are known. Prints the rest as it grows, and ends as the script.
FOLLOW = (
    ALIVE
    + """
more() {
    size=$(wc -c <"$1") && [ "$size" -gt "$2" ] || return 1
    tail -c "+$(($2 + 1))" "$1" | head -c "$((size - $2))"
}
out=$2 err=$3
while :; do
    code=
    if [ -r "$1/code" ]; then code=$(cat "$1/code"); elif ! alive "$1"; then code=137; fi
    more "$1/stdout" "$out" && out=$size
    more "$1/stderr" "$err" >&2 && err=$size
    [ -z "$code" ] || exit "$code"
    sleep 1
done
"""
)

#: The exit code of SUPERVISE where it could not make its named pipes; nothing has run then.
NO_PIPES = 125

#: Arguments: folder. Ends every process of the script's session, gently first; services have sessions of their own.
HALT = """
[ -r "$1/pid" ] && read -r leader out err <"$1/pid" || exit 0
members() {
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        set -- ${line##*) }
        [ "$4" = "$leader" ] && [ "$1" != Z ] || continue
        pid=${stat#/proc/} pid=${pid%/stat}
        case " $leader $out $err " in *" $pid "*) ;; *) echo "$pid" ;; esac
    done
}
for try in TERM 0 0 0 0 0 0 0 0 0 KILL; do
    left=$(members)
    [ -n "$left" ] || break
    [ "$try" = 0 ] || kill -s "$try" $left 2>/dev/null
    sleep 1
done
exit 0
"""
