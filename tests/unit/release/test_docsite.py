"""Where the pages of Ansible's own documentation are, as Sphinx reads it."""

import zlib

from release.docsite import ELSEWHERE, objects


def test_an_inventory_names_each_page_elsewhere() -> None:
    head, lines = objects(ELSEWHERE).split(b"zlib.\n")
    assert head.startswith(b"# Sphinx inventory version 2\n")
    assert len(head.splitlines()) == 4
    told = [line.split() for line in zlib.decompress(lines).decode().splitlines()]
    assert {f"{kind.removeprefix('std:')} {name}": page for name, kind, _, page, _ in told} == ELSEWHERE
