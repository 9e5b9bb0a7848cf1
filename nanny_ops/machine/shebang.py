"""Read a script's ``#!`` line as the Linux kernel does, so that a noexec mount does not matter."""

from dataclasses import dataclass

#: Bytes of a file that the kernel looks at.
KERNEL_BUFFER = 256


@dataclass(frozen=True)
class Interpreter:
    """The program that runs a script, and the at most one argument that the kernel hands it before the script."""

    path: str
    argument: str | None = None

    @property
    def argv(self) -> list[str]:
        """Return what goes before the script's path."""
        return [self.path] if self.argument is None else [self.path, self.argument]

    @property
    def looked_up(self) -> str:
        """Return the program that ``env`` will look for in PATH; empty if the interpreter is not ``env``."""
        if self.path.rpartition("/")[2] != "env" or self.argument is None:
            return ""
        words = [word for word in self.argument.split() if not word.startswith("-") and "=" not in word]
        return words[0] if words else ""


def parse(script: bytes) -> Interpreter | None:
    """Return a script's interpreter, None if no absolute path is given in the first 256 bytes.

    Everything after the interpreter is one argument, blanks inside included; a carriage return is part of it.
    """
    buffer = script[:KERNEL_BUFFER]
    if not buffer.startswith(b"#!"):
        return None
    line, newline, _ = buffer[2:].partition(b"\n")
    words = line.strip(b" \t").split(b"\0")[0]
    path, blank, argument = _cut(words)
    if not newline and not blank and len(script) > KERNEL_BUFFER:
        return None  # the path itself may be cut off
    if not path.startswith(b"/"):
        return None
    return Interpreter(_text(path), _text(argument) if argument else None)


def _cut(line: bytes) -> tuple[bytes, bytes, bytes]:
    for position, byte in enumerate(line):
        if byte in b" \t":
            return line[:position], line[position : position + 1], line[position:].strip(b" \t")
    return line, b"", b""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
