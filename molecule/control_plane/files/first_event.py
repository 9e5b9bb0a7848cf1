"""Ends well when the stream of events of a host (1) and port (2) tells something at once, believing an authority (3).

The token is read from standard input.
"""

import http.client
import ssl
import sys

#: Seconds for connection and first line.
DEADLINE = 20

context = ssl.create_default_context(cafile=sys.argv[3])
asked = http.client.HTTPSConnection(sys.argv[1], int(sys.argv[2]), timeout=DEADLINE, context=context)
asked.request("GET", "/api/realtime", headers={"Authorization": f"Bearer {sys.stdin.read().strip()}"})
stream = asked.getresponse()
sys.exit(0 if stream.status == http.client.OK and stream.readline().strip() else f"{stream.status} {stream.reason}")
