"""Lineage over HTTPS: a receiver with a certificate of its own gets what a run told, if the machine trusts it, and else nothing.

usage: python receive_lineage.py OPSMART PROJECT
"""

import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import threading

opsmart, project = sys.argv[1], pathlib.Path(sys.argv[2])
certificate, key = project / "receiver.pem", project / "receiver.key"
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    + ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    + ["-keyout", key, "-out", certificate],
    check=True, capture_output=True)
came = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        came.append((self.path, self.headers["Authorization"], self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("localhost", 0), Receiver)
server.handle_error = lambda *_: None
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=server.serve_forever, daemon=True).start()


def run(job, **variables):
    url = f"https://localhost:{server.server_port}"
    environment = os.environ | {"OPENLINEAGE_URL": url, "OPENLINEAGE_API_KEY": "k3y", "NO_PROXY": "*"} | variables
    return subprocess.run([opsmart, "--quiet", "-C", project, "run", job], env=environment, capture_output=True, text=True)


def left():
    newest = max((project / "warehouse/runs").iterdir())
    return [json.loads(line) for line in (newest / "lineage.ndjson").read_text().splitlines()]


said = run("every_minute", SSL_CERT_FILE=str(certificate))
assert (said.returncode, said.stderr) == (0, ""), said
assert [(path, key) for path, key, _ in came] == [("/api/v1/lineage", "Bearer k3y")] * 2, came
assert [json.loads(body) for _, _, body in came] == left()

# Whom the machine does not trust gets to hear of nothing.
said = run("broken")
assert len(came) == 2 and "certificate" in said.stderr and "k3y" not in said.stderr, said
assert [event["eventType"] for event in left()] == ["START", "FAIL"]
server.shutdown()
print("ok: lineage goes over HTTPS to whom the machine trusts")
