# What is the control plane's own in its wheelhouse; install.sh reads it.
# shellcheck shell=sh disable=SC2034,SC2154
program=nanny-ops
home_of_units=/opt/nanny-ops
main_unit=nanny-ops.service
settings=control.toml
stays="/etc/nanny-ops, /var/lib/nanny-ops, /var/backups/nanny-ops and the user nanny-ops stay"
# Program of this folder or of the installed ones -> its name for everybody.
commands="$home_of_units/bin/nanny-ops:/usr/local/bin/nanny-ops
$here/nanny-ops-admin:/usr/local/sbin/nanny-ops-admin"

stop_units() {
    systemctl disable --quiet --now nanny-ops.service nanny-ops-backup.timer nanny-ops-certificate.timer
    systemctl stop nanny-ops-backup.service nanny-ops-certificate.service
}

remove_rest() { :; }

start_units() { systemctl try-restart nanny-ops.service; }

say_what_next() {
    systemctl is-enabled --quiet nanny-ops.service 2>/dev/null || {
        say "Look through /etc/nanny-ops/control.toml, then run:"
        say "  nanny-ops-admin user add --email you@example.com --role admin"
        say "  systemctl enable --now nanny-ops.service nanny-ops-backup.timer"
    }
}
