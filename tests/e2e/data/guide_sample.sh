#!/bin/bash
# A patch script of the shape that the guide shows
set -euo pipefail

MODE="${1:-apply}"

if [ "$MODE" = "--dry-run" ]; then
    echo "DRY RUN: nanny-demo-web would be upgraded"
    echo '[{"name":"nanny-demo-web","version":"1.1-1","old_version":"1.0-1","action":"upgrade"}]'
else
    apt-get update
    apt-get upgrade -y nanny-demo-web
    echo '[{"name":"nanny-demo-web","version":"1.1-1","old_version":"1.0-1","action":"upgrade"}]'
fi
