"""What runs inside a virtual machine beside :mod:`nanny_ops.machine.guest`, as POSIX sh for dash, ash and bash.

A container's script says what it has to say to ``pct exec``. In a machine nobody listens: the script's supervisor
writes files, and who wants to know reads them. Once a run has begun, it needs the guest agent no more.
"""

from nanny_ops.machine.guest import ALIVE

#: Arguments: folder, SUPERVISE, seconds, command. Where systemd runs, the script becomes a unit of its own, so that it
#: survives the restart of the guest agent that it may upgrade; a dollar is doubled for systemd, which would look for
#: variables of its own. Asked twice, it begins once.
BEGIN = """
folder=$1 supervise=$2
shift 2
mkdir "$folder/begun" 2>/dev/null || { [ -d "$folder/begun" ]; exit; }
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
    count=$#
    for word in "$supervise" "$folder" "$@"; do
        word=$(printf '%s.' "$word" | sed 's/\\$/$$/g')
        set -- "$@" "${word%.}"
    done
    shift "$count"
    exec systemd-run --quiet --collect --unit="${folder##*/}" --property=KillMode=control-group \\
        -- sh -c "$@"
fi
setsid sh -c "$supervise" "$folder" "$@" </dev/null >/dev/null 2>&1 &
"""

#: Exit codes of LOOK.
RUNNING, ENDED, GONE = 3, 4, 5

#: Arguments: folder, bytes of stdout and of stderr that are known, most bytes to tell of each. What is told was
#: written before the state was: after an end there is nothing more than that.
LOOK = (
    ALIVE
    + f"""
more() {{
    {{ size=$(wc -c <"$1"); }} 2>/dev/null && [ "$size" -gt "$2" ] || return 0
    tail -c "+$(($2 + 1))" "$1" | head -c "$3"
}}
if [ -r "$1/code" ]; then state={ENDED}; elif alive "$1"; then state={RUNNING}; else state={GONE}; fi
more "$1/stdout" "$2" "$4"
more "$1/stderr" "$3" "$4" >&2
exit "$state"
"""
)
