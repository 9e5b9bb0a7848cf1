"""What runs inside a container, as POSIX sh: works under dash, busybox ash and bash, needs no file but the job's.

The supervisor's own programs are sh, cat, mkfifo, setsid, sha256sum, sleep and timeout, found in coreutils and
util-linux as well as in busybox.
"""

#: Arguments: folder. A planted link or folder of somebody else makes mkdir fail.
PREPARE = 'rm -rf -- "$1" && mkdir -m 0700 -- "$1"'

#: Arguments: script, interpreter, the program that ``env`` looks up or nothing. Prints words and values.
VERIFY = """
for need in cat mkfifo setsid sha256sum sleep timeout; do
    command -v "$need" >/dev/null || echo "lacks $need"
done
sum=$(sha256sum <"$1")
echo "sha256 ${sum%% *}"
if [ -x "$2" ] && { [ -z "$3" ] || command -v "$3" >/dev/null; }; then echo "interpreter yes"; fi
"""

#: Arguments: SUPERVISE, folder, seconds, command. A background child is never a group leader, so setsid does not fork.
LAUNCH = 'setsid sh -c "$@" & wait $!'

#: Arguments (from $0 on): folder, seconds, command. The output goes through named pipes, because a service that the
#: script has started would otherwise hold the stdout of ``pct exec`` for ever: two seconds after the script's end the
#: readers are ended. The numbers of this session and of the two readers are written down for HALT.
SUPERVISE = """
folder=$0 limit=$1
shift
mkfifo "$folder/out" "$folder/err" || exit 125
cat <"$folder/out" & out=$!
cat <"$folder/err" >&2 & err=$!
echo "$$ $out $err" >"$folder/pid"
timeout -k 10 "$limit" "$@" >"$folder/out" 2>"$folder/err" </dev/null
code=$?
{ sleep 2; kill "$out" "$err"; } >/dev/null 2>&1 </dev/null &
late=$!
wait "$out" "$err" 2>/dev/null
kill "$late" 2>/dev/null
exit "$code"
"""

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
