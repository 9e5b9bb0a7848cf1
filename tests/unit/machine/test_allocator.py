"""What threads have used is given back."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from nanny_ops.machine.allocator import keep_small
small = keep_small() if sys.argv[1] == "small" else False
def work():
    [bytes(2000) for _ in range(5000)]
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
with open("/proc/self/maps") as maps:
    # A heap of a thread is a mapping of 64 MiB that is used from its beginning; the first one is [heap].
    arenas = sum(1 for line in maps if len(line.split()) == 5 and line.split()[1] == "---p")
print(small, arenas)
"""


def heaps(word: str) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, check=True, timeout=60)
    small, arenas = done.stdout.split()
    return small, int(arenas)


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="needs glibc")
def test_threads_share_one_heap() -> None:
    assert heaps("plain")[1] > heaps("small")[1]
    assert heaps("small")[0] == "True"
