# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a target, as POSIX sh: it needs no Python there, and works under dash, busybox ash and bash.

Each program takes a mark as its first argument and begins the lines with it that are its answer, so that a greeting of
the login shell or a word of ssh is never taken for one.
"""

from __future__ import annotations

import shlex

from ansible_collections.nanny.ops.plugins.plugin_utils.carried import DATA

#: Where a run lies: private, and on a disk, as its outputs may be larger than a small container's memory.
FOLDER = "/var/tmp/nanny-ops-agentless"  # noqa: S108  made with mkdir -m 0700, and believed only if it is root's
#: Held while a run begins and for as long as its connection lives; empty, and gone with the next start.
LOCK = "/run/nanny-ops-patch.lock"

#: Which run of the machine it is: of a container the start of its first process tells, as the rest is its host's.
LOOK = """
mark=$1
for file in /etc/os-release /usr/lib/os-release; do
    if [ -r "$file" ]; then printf '%s system\\n' "$mark"; cat "$file"; echo; break; fi
done
read -r boot </proc/sys/kernel/random/boot_id
read -r line </proc/1/stat
set -- ${line##*) }
printf '%s life %s-%s\\n' "$mark" "$boot" "${20}"
printf '%s end\\n' "$mark"
"""

_TELL = """
tell() {
    seconds=$(($(date -r "$folder/code" +%s || echo 0) - $(date -r "$folder/mark" +%s || echo 0)))
    printf '%s code %s %s\\n' "$mark" "$1" "$seconds"
    for stream in stdout stderr; do
        printf '%s %s\\n' "$mark" "$stream"
        [ ! -r "$folder/$stream" ] || tail -c "$cap" "$folder/$stream"
        echo
    done
    printf '%s end\\n' "$mark"
}
no() { printf '%s refused %s\\n' "$mark" "$(echo "$*" | tr '\\n' ' ')"; printf '%s end\\n' "$mark"; exit 0; }
"""

#: Arguments: mark, folder, bytes to tell of each output, lock, SHA-256, seconds, the carried programs that supervise
#: and halt a run, the call of the script. The script comes by stdin. A run whose connection was lost goes on without
#: the lock, and is known by the process that its folder names.
BEGIN = (
    DATA["alive"]
    + _TELL
    + """
mark=$1 folder=$2 cap=$3 lock=$4 sha256=$5 limit=$6 supervise=$7 halt=$8
shift 8
[ "$(id -u)" = 0 ] || no root
for need in chmod date flock id mkdir rm touch NEEDED; do command -v "$need" >/dev/null || no lacks "$need"; done
mask=$(umask)
umask 077
touch "$lock" 2>/dev/null || no lacks "$lock"
exec 9>"$lock"
flock -n 9 || no busy
for other in "${folder%-*}"-*; do
    if [ -d "$other" ] && [ ! -L "$other" ] && [ -O "$other" ] && alive "$other"; then no busy; fi
done
said=$({ rm -rf -- "$folder" && mkdir -m 0700 -- "$folder" && printf '%s' "$mark" >"$folder/mark" &&
    cat >"$folder/script" && chmod 0700 "$folder/script"; } 2>&1) || no folder "$said"
sum=$(sha256sum <"$folder/script")
[ "${sum%% *}" = "$sha256" ] || no torn
command -v "$1" >/dev/null || no interpreter "$1"
umask "$mask"
setsid sh -c "$supervise" "$folder" "$limit" "$@" </dev/null >/dev/null 2>&1 9>&- &
wait $!
code=$?
case $code in 124 | 137 | 143) sh -c "$halt" sh "$folder" 9>&- ;; esac
tell "$code"
""".replace("NEEDED", DATA["needed"])
)

#: Arguments: mark, folder, bytes, seconds. Waits for the end of a run whose connection was lost, and tells it.
COLLECT = (
    DATA["alive"]
    + _TELL
    + """
mark=$1 folder=$2 cap=$3 left=$4
[ "$(cat "$folder/mark" 2>/dev/null)" = "$mark" ] || no gone
while [ ! -r "$folder/code" ] && alive "$folder" && [ "$left" -gt 0 ]; do
    sleep 2
    left=$((left - 2))
done
[ -r "$folder/code" ] || no gone
tell "$(cat "$folder/code")"
"""
)

#: Arguments: mark, folder. Removes what a run has left, unless it is another run's by now.
CLEAR = """
[ "$(cat "$2/mark" 2>/dev/null)" != "$1" ] || rm -rf -- "$2"
printf '%s end\\n' "$1"
"""

#: Arguments: mark. Begins a restart that does not wait for this connection to end.
RESTART = """
mark=$1
set -- reboot
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then set -- systemctl reboot; fi
command -v "$1" >/dev/null || { printf '%s refused lacks %s\n%s end\n' "$mark" "$1" "$mark"; exit 0; }
setsid sh -c 'sleep 2; exec "$@"' sh "$@" </dev/null >/dev/null 2>&1 &
printf '%s end\\n' "$mark"
"""


def command(program, mark, *arguments, environment=None):
    """Return the line that runs a program with the environment that scripts have, and ``environment`` beside it."""
    told = {**DATA["environment"], **(environment or {})}
    settings = ["%s=%s" % pair for pair in sorted(told.items())]
    argv = ["env", "-i", *settings, "sh", "-c", program, "sh", mark, *map(str, arguments)]
    return " ".join(map(shlex.quote, argv))


def answer(stdout, mark):
    """Return what a program has told: by words the rest of their lines, and the lines below; {} if it is cut off."""
    told = {}
    for piece in ("\n" + stdout).split("\n" + mark + " ")[1:]:
        head, _sign, body = piece.partition("\n")
        word, _sign, rest = head.partition(" ")
        told[word.strip()] = (rest.strip(), body)
    return told if "end" in told else {}
