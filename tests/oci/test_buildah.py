# SPDX-License-Identifier: Apache-2.0
"""buildah running commands of a build with proa-oci."""
import shutil
import subprocess

from bundle import Skip, expect
from test_podman import own_limits

BUILDAH_S = 120


def test_buildah(o):
    if not shutil.which("buildah"):
        raise Skip("buildah is not installed")
    at = o.dir / "buildah"
    at.mkdir()
    (at / "containers.conf").write_text(own_limits())
    program = ["env", f"CONTAINERS_CONF={at}/containers.conf", "BUILDAH_ISOLATION=oci", f"TMPDIR={at}", "buildah", f"--root={at}/root",
               f"--runroot={at}/run", "--storage-driver=vfs"]

    def buildah(*words, code=0):
        r = subprocess.run([str(w) for w in (*program, *words)], capture_output=True, text=True, timeout=BUILDAH_S)
        expect(r.returncode == code, f"buildah {' '.join(map(str, words))}: exit {r.returncode}\n{r.stdout}{r.stderr}")
        return r.stdout
    name = buildah("from", "scratch").strip()
    buildah("copy", name, o.dir / "base", "/")
    how = ["run", f"--runtime={o.for_drivers()}", "--network=none"]
    expect(buildah(*how, name, "--", "sh", "-c", "echo made > /tmp/x; echo hello") == "hello\n", "run")
    expect(buildah(*how, "--user=1000:1000", "--workingdir=/tmp", name, "--", "sh", "-c", "id -u; pwd; cat x") == "1000\n/tmp\nmade\n",
           "what a step left is there for the next one")
    buildah(*how, name, "--", "sh", "-c", "exit 5", code=5)
    buildah("rm", name)
    shutil.rmtree(at)
    o.clean("after buildah")
