# SPDX-License-Identifier: Apache-2.0
"""Every kind of discovery with kubectl against `proa server`: TLS, client certificate, RBAC, the store on a disk, controllers."""
import pathlib
import subprocess
import sys

from harness import expect
from rest import Server

KINDS_S = 900
make = Server


def test_every_kind_with_kubectl(server):
    program = pathlib.Path(__file__).parent / "kinds.py"
    result = subprocess.run([sys.executable, program, "--kubeconfig", server.kubeconfig], capture_output=True, text=True,
                            timeout=KINDS_S)
    failures = [line for line in result.stdout.splitlines() if not line.startswith("ok ")]
    expect(result.returncode == 0, "\n".join(failures) + result.stderr)
