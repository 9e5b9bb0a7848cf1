"""Prints the Debian mirror that this host's apt is configured with, as JSON: url, host, port."""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from nanny_ops.lab.image import configured_mirror

url = configured_mirror(Path("/etc/apt"), sys.argv[1])
parts = urlsplit(url)
port = parts.port or {"http": 80, "https": 443}[parts.scheme]
sys.stdout.write(json.dumps({"url": url, "host": parts.hostname, "port": port}))
