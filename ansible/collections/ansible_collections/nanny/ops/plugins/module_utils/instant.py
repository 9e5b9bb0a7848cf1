# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instants as people and the control plane write them."""

from __future__ import annotations

from datetime import datetime, timezone


def same_instant(one, other):
    """Tell whether two texts name one instant to the second; empty and None are none at all."""
    if not one or not other:
        return bool(one) == bool(other)
    return one == other or _read(one) == _read(other)


def _read(text):
    try:
        found = datetime.fromisoformat(text.strip().upper().replace("Z", "+00:00"))
    except ValueError:
        return text  # the control plane says what is wrong with it
    known = found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return known.astimezone(timezone.utc).replace(microsecond=0)
