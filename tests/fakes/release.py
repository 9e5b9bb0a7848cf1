"""Archives that look like releases of the agent."""

import io
import json
import tarfile


def archive(version: str, files: dict[str, bytes] | None = None) -> bytes:
    """Return a tar file with a manifest and these files."""
    manifest = json.dumps({"name": "nanny-agent", "version": version}).encode()
    return tar({"manifest.json": manifest, **(files or {})})


def tar(files: dict[str, bytes]) -> bytes:
    """Return a tar file, always the same for the same content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return out.getvalue()
