# SPDX-License-Identifier: Apache-2.0
"""Pods outlive the daemons: SIGKILL for agent and server, and a counter that never pauses."""
from harness import expect, pod

COUNT = "i=0; while :; do i=$((i+1)); echo $i $(cat /proc/uptime); usleep 50000; done"
PAUSE_S_MAX = 2.0  # far above the 50 ms between lines on a busy machine, far below a restart of the container


def counter(c):
    lines = [line.split() for line in c.kubectl("logs", "counter").stdout.splitlines()]
    return [(int(n), float(uptime)) for n, uptime, *_ in lines]


def unbroken(c, at_least):
    """Waits until the counter has got there and checks that it never paused or began again."""
    c.logs_until("counter", f"\n{at_least} ")
    seen = counter(c)
    expect([n for n, _ in seen] == list(range(1, len(seen) + 1)), "the counter did not go on from where it was")
    pauses = [later - earlier for (_, earlier), (_, later) in zip(seen, seen[1:])]
    expect(max(pauses) < PAUSE_S_MAX, f"it paused for {max(pauses)} s")
    return len(seen)


def test_agent_and_server_are_killed_under_running_pods(c):
    c.apply(pod("counter", COUNT))
    c.wait("pod/counter", "condition=Ready")
    before = c.get("pod", "counter")["status"]["containerStatuses"][0]
    seen = unbroken(c, 20)
    for victims in (["agent"], ["server"], ["agent", "server"]):
        pids = [c.kill(name) for name in victims]
        # Both answer again: the agent is asked through the server.
        c.inside(["sh", "-c", "until kubectl get --raw /api/v1/nodes/node-1/proxy/healthz >/dev/null 2>&1; do :; done"])
        seen = unbroken(c, seen + 40)
        expect([c.pid(name) for name in victims] != pids, "it was not started again")
    after = c.get("pod", "counter")["status"]["containerStatuses"][0]
    expect(after["containerID"] == before["containerID"] and after["restartCount"] == 0, after)


def test_new_pods_start_afterwards(c):
    c.apply(pod("after", "echo works", restartPolicy="Never"))
    c.wait("pod/after", "jsonpath={.status.phase}=Succeeded")


def test_exit_while_the_agent_is_away_is_not_lost(c):
    c.apply(pod("away", "until [ -e /tmp/go ]; do usleep 10000; done; usleep 300000; exit 5", restartPolicy="Never"))
    c.wait("pod/away", "condition=Ready")
    c.kubectl("exec", "away", "--", "touch", "/tmp/go")
    c.kill("agent")
    c.wait("pod/away", "jsonpath={.status.phase}=Failed")
    state = c.get("pod", "away")["status"]["containerStatuses"][0]["state"]["terminated"]
    expect(state["exitCode"] == 5, state)
