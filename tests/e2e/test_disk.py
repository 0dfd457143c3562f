# SPDX-License-Identifier: Apache-2.0
"""A full disk: writers are told, readers don't notice, and afterwards everything goes on."""
from harness import expect
from rest import Server

MAPS = "/api/v1/namespaces/default/configmaps"
DISK = "24m"
BIG = "x" * 500000


def make(build):
    return Server(build, disk=DISK)


def fill(server):
    """Takes what is left on the server's disk, to the last page."""
    server.inside("sh", "-c", f"dd if=/dev/zero of={server.data}/ballast bs=4096 2>/dev/null || true")


def writes_until_refused(client, prefix):
    kept = []
    for i in range(1000):
        answer = client.do("POST", MAPS, {"metadata": {"name": f"{prefix}{i}"}, "data": {"x": BIG}})
        if answer.code != 201:
            return kept, answer
        kept.append(f"{prefix}{i}")
    expect(False, "the disk never became full")


def test_a_full_disk_is_told_and_survived(server):
    client = server.admin()
    revision = client.must(201, "POST", MAPS, {"metadata": {"name": "before"}})["metadata"]["resourceVersion"]
    events = server.admin().watch(f"{MAPS}?watch=true&resourceVersion={revision}")
    fill(server)
    kept, refused = writes_until_refused(client, "big")
    status = refused.json
    expect(refused.code in (500, 507) and status["kind"] == "Status" and status["status"] == "Failure", status)
    expect("space" in status["message"] or refused.code == 500, status)
    for _ in range(20):
        answer = client.do("POST", MAPS, {"metadata": {"name": "never"}, "data": {"x": BIG}})
        expect(answer.code == refused.code, f"{answer.code} {answer.data[:300]}")
    ready = client.do("GET", "/readyz")
    expect(ready.code == 500 and b"[-]etcd-readiness failed" in ready.data and b"[+]etcd ok" in ready.data, f"readiness: {ready.data}")
    client.must(200, "GET", "/livez")  # starting it again would make no space
    client.must(404, "GET", MAPS + "/never")
    client.must(200, "GET", MAPS + "/before")
    names = [o["metadata"]["name"] for o in client.must(200, "GET", MAPS)["items"]]
    expect(set(kept) | {"before"} <= set(names) and "never" not in names, names)
    server.inside("rm", f"{server.data}/ballast")
    made = client.must(201, "POST", MAPS, {"metadata": {"name": "after"}})
    client.must(200, "GET", "/readyz")
    seen = [next(events) for _ in range(len(kept) + 1)]
    expect([e["object"]["metadata"]["name"] for e in seen] == kept + ["after"], "the watch tells what was kept, and only that")
    expect(seen[-1]["object"]["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"], "revision")
    for name in kept:
        client.must(200, "DELETE", f"{MAPS}/{name}")
