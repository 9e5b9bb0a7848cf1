"""Lines of lock files by the version of Python that they are for."""

from pathlib import Path

from release.lock import conditions, of_python

LOCK = """# made by a program
a==1 ; python_full_version < '3.12' \\
    --hash=sha256:aa
a==2 ; python_full_version >= '3.12' \\
    --hash=sha256:bb \\
    --hash=sha256:bc
colorama==3 ; sys_platform == 'win32' \\
    --hash=sha256:cc
d==4 \\
    --hash=sha256:dd
"""


def test_a_python_gets_the_lines_that_are_for_it_whoever_asks(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(LOCK)
    assert of_python([lock], "3.11") == "a==1 \\\n    --hash=sha256:aa\nd==4 \\\n    --hash=sha256:dd\n"
    assert of_python([lock], "3.13").startswith("a==2 \\\n    --hash=sha256:bb \\\n    --hash=sha256:bc\n")
    assert conditions([lock]) == {"a==1": "python_full_version < '3.12'", "a==2": "python_full_version >= '3.12'"}
