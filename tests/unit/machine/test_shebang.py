"""``#!`` lines, read as the kernel reads them."""

import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanny_ops.machine.run import run
from nanny_ops.machine.shebang import Interpreter, parse


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (b"#!/bin/sh\necho", Interpreter("/bin/sh")),
        (b"#! /bin/sh -eu \n", Interpreter("/bin/sh", "-eu")),
        (b"#!/usr/bin/env -S python3 -u\n", Interpreter("/usr/bin/env", "-S python3 -u")),
        (b"#!\t/bin/bash\t-e  -u\t\n", Interpreter("/bin/bash", "-e  -u")),
        (b"#!/bin/sh", Interpreter("/bin/sh")),
        (b"#!/bin/sh\r\n", Interpreter("/bin/sh\r")),
        (b"", None),
        (b"echo\n", None),
        (b" #!/bin/sh\n", None),
        (b"#!\n", None),
        (b"#!   \n/bin/sh", None),
        (b"#!sh\n", None),
        (b"#!/" + b"x" * 300 + b"\n", None),
    ],
)
def test_lines(script, expected):
    assert parse(script) == expected


@pytest.mark.parametrize(
    ("line", "program"),
    [
        (b"#!/usr/bin/env python3\n", "python3"),
        (b"#!/usr/bin/env -S A=b perl -w\n", "perl"),
        (b"#!/bin/sh -e\n", ""),
        (b"#!/usr/bin/env\n", ""),
    ],
)
def test_what_env_will_look_for(line, program):
    found = parse(line)
    assert found is not None
    assert found.looked_up == program


blanks = st.text(" \t", max_size=3)
words = st.text(st.characters(codec="ascii", exclude_characters="\0\n", min_codepoint=33), min_size=1, max_size=20)


@given(before=blanks, words=st.lists(words, max_size=3), after=blanks, rest=st.binary(max_size=50))
def test_every_short_line_gives_back_its_parts(before, words, after, rest):
    argument = " ".join(words)
    line = f"#!{before}/x/interp{' ' if words else ''}{argument}{after}\n".encode()
    assert parse(line + rest) == Interpreter("/x/interp", argument or None)


@given(st.binary(max_size=400))
def test_no_bytes_break_it(script):
    found = parse(script)
    assert found is None or (found.path.startswith("/") and script.startswith(b"#!"))


@settings(max_examples=25, deadline=None)
@given(argument=st.text("ab -\t", max_size=12))
def test_the_kernel_agrees(tmp_path_factory, argument):
    folder = tmp_path_factory.mktemp("shebang")
    show = folder / "show"
    show.symlink_to("/bin/echo")
    script = folder / "script"
    script.write_text(f"#!{show} {argument}\n")
    script.chmod(stat.S_IRWXU)
    found = parse(script.read_bytes())
    assert found is not None
    by_kernel = run([str(script)], timeout=5).stdout
    by_us = run([*found.argv, str(script)], timeout=5).stdout
    assert by_us == by_kernel
    assert os.fsencode(str(script)) in by_kernel
