# What is the agent's own in its wheelhouse; install.sh reads it.
# shellcheck shell=sh disable=SC2034,SC2154
program=nanny-agent
home_of_units=/opt/nanny-agent
main_unit=nanny-agent.service
settings=agent.toml
stays="/etc/nanny-ops, /var/lib/nannyagent, /var/lib/nanny-agent-helper and the user nannyagent stay"
# Program of this folder or of the installed ones -> its name for everybody.
commands="$home_of_units/bin/nanny-agent:/usr/local/bin/nanny-agent"

stop_units() {
    systemctl disable --quiet --now nanny-agent.service nanny-agent-helper.socket nanny-agent-helper.service
}

remove_rest() { rm -f /run/nanny-agent-helper.socket; }

start_units() {
    systemctl stop nanny-agent-helper.service
    systemctl enable --quiet --now nanny-agent-helper.socket
    systemctl try-restart nanny-agent.service
}

say_what_next() {
    [ -e /var/lib/nannyagent/token.json ] || {
        say "Write the control plane's url into /etc/nanny-ops/agent.toml, then run:"
        say "  nanny-agent register && systemctl enable --now nanny-agent"
    }
}
