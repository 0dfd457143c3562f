# SPDX-License-Identifier: Apache-2.0
"""Pods on real containers."""
import json
import pathlib
import re

from harness import expect, pod


def test_completes_with_its_output(c):
    c.apply(pod("hello", "echo out; echo err >&2", restartPolicy="Never"))
    c.wait("pod/hello", "jsonpath={.status.phase}=Succeeded")
    expect(sorted(c.kubectl("logs", "hello").stdout.split()) == ["err", "out"], c.kubectl("logs", "hello").stdout)
    state = c.get("pod", "hello")["status"]["containerStatuses"][0]["state"]["terminated"]
    expect(state["exitCode"] == 0 and state["reason"] == "Completed", state)


def test_exit_code_and_reason(c):
    c.apply(pod("fails", "exit 7", restartPolicy="Never"))
    c.wait("pod/fails", "jsonpath={.status.phase}=Failed")
    state = c.get("pod", "fails")["status"]["containerStatuses"][0]["state"]["terminated"]
    expect(state["exitCode"] == 7 and state["reason"] == "Error", state)


def test_conditions_lose_their_reasons(c):
    c.apply(pod("turns", "touch /tmp/up; sleep 1000", container={
        "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ok"]}, "periodSeconds": 1}}))
    c.wait("pod/turns", "jsonpath={.status.phase}=Running")

    def ready():
        return next(k for k in c.get("pod", "turns")["status"]["conditions"] if k["type"] == "Ready")
    expect(ready()["status"] == "False" and ready()["reason"] == "ContainersNotReady" and ready()["message"], ready())
    c.kubectl("exec", "turns", "--", "touch", "/tmp/ok")
    c.wait("pod/turns", "condition=Ready")
    expect(ready()["status"] == "True" and not {"reason", "message"} & set(ready()), ready())
    c.kubectl("delete", "pod", "turns", "--grace-period=0", "--force")


def test_oom_killed(c):
    c.apply(pod("oom", "x=x; while :; do x=$x$x; done", restartPolicy="Never",
                container={"resources": {"limits": {"memory": "16Mi"}}}))
    c.wait("pod/oom", "jsonpath={.status.phase}=Failed")
    state = c.get("pod", "oom")["status"]["containerStatuses"][0]["state"]["terminated"]
    expect(state["reason"] == "OOMKilled" and state["exitCode"] == 137, state)


def test_restarts_with_back_off(c):
    c.apply(pod("again", "exit 1"))
    c.wait("pod/again", "jsonpath={.status.containerStatuses[0].restartCount}=1")
    c.wait("pod/again", "jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff")
    last = c.get("pod", "again")["status"]["containerStatuses"][0]["lastState"]["terminated"]
    expect(last["exitCode"] == 1, last)


def test_init_containers_run_first_and_in_order(c):
    share = {"volumeMounts": [{"name": "share", "mountPath": "/share"}]}
    init = [dict({"name": f"init-{i}", "image": "busybox:demo", "command": ["/bin/sh", "-c", f"echo {i} >> /share/log"]},
                 **share) for i in (1, 2)]
    c.apply(pod("inits", "cat /share/log; echo end; sleep 1000", container=share, initContainers=init,
                volumes=[{"name": "share", "emptyDir": {}}]))
    c.wait("pod/inits", "condition=Ready")
    log = c.logs_until("inits", "end")
    expect(log == "1\n2\nend\n", log)


def test_several_containers_share_the_network(c):
    second = {"name": "client", "image": "busybox:demo",
              "command": ["/bin/sh", "-c", "until wget -qO- http://127.0.0.1:8080/; do :; done; sleep 1000"]}
    spec = pod("two", "echo shared > /tmp/index.html; exec httpd -f -p 8080 -h /tmp")
    spec["spec"]["containers"].append(second)
    c.apply(spec)
    c.wait("pod/two", "condition=Ready")
    c.logs_until("two", "shared", "-c", "client")


def test_environment(c):
    env = [{"name": "PLAIN", "value": "a"}, {"name": "COMPOSED", "value": "$(PLAIN)-$(MISSING)-$$(PLAIN)"},
           {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
           {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}]
    c.apply(pod("env", "env", restartPolicy="Never", container={"env": env, "resources": {"limits": {"cpu": "250m"}}}))
    c.wait("pod/env", "jsonpath={.status.phase}=Succeeded")
    lines = c.kubectl("logs", "env").stdout.splitlines()
    for line in ("PLAIN=a", "COMPOSED=a-$(MISSING)-$(PLAIN)", "NAME=env", "CPU=250"):
        expect(line in lines, f"{line} is not in {lines}")


def test_config_map_and_secret(c):
    c.kubectl("create", "configmap", "conf", "--from-literal=key=value")
    c.kubectl("create", "secret", "generic", "sec", "--from-literal=token=hidden")
    mounts = [{"name": "conf", "mountPath": "/conf"}, {"name": "sec", "mountPath": "/sec"}]
    c.apply(pod("mounts", "cat /conf/key /sec/token; echo; sleep 1000", container={"volumeMounts": mounts},
                volumes=[{"name": "conf", "configMap": {"name": "conf"}},
                         {"name": "sec", "secret": {"secretName": "sec", "defaultMode": 0o400}}]))
    c.wait("pod/mounts", "condition=Ready")
    c.logs_until("mounts", "valuehidden")
    mode = c.kubectl("exec", "mounts", "--", "stat", "-L", "-c", "%a", "/sec/token").stdout.strip()
    expect(mode == "400", mode)


def test_service_account_token_reaches_the_api(c):
    c.apply(pod("token", "sleep 1000"))
    c.wait("pod/token", "condition=Ready")
    token = c.kubectl("exec", "token", "--", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token").stdout
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = json.loads(c.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(review)).stdout)["status"]
    expect(status.get("authenticated") and status["user"]["username"] == "system:serviceaccount:default:default", status)


def test_exec_and_exit_code(c):
    c.apply(pod("shell", "sleep 1000"))
    c.wait("pod/shell", "condition=Ready")
    expect(c.kubectl("exec", "shell", "--", "hostname").stdout == "shell\n", "hostname")
    result = c.kubectl("exec", "shell", "--", "sh", "-c", "echo no >&2; exit 3", check=False)
    expect(result.returncode == 3 and "no" in result.stderr, result)
    result = c.kubectl("exec", "-i", "shell", "--", "cat", stdin="through\n")
    expect(result.stdout == "through\n", result.stdout)


def test_logs(c):
    c.apply(pod("lines", "for i in 1 2 3 4 5; do echo line $i; done; sleep 1000"))
    c.wait("pod/lines", "condition=Ready")
    c.kubectl("logs", "lines", "-f", "--limit-bytes=35")  # returns when all five lines are there
    expect(c.kubectl("logs", "lines", "--tail=2").stdout == "line 4\nline 5\n", "tail")
    stamped = c.kubectl("logs", "lines", "--timestamps", "--tail=1").stdout
    expect(stamped[4] == "-" and stamped.endswith("Z line 5\n"), stamped)
    expect(len(c.kubectl("logs", "lines", "--since=1h").stdout.splitlines()) == 5, "since")


def test_output_that_ends_within_a_line(c):
    """No newline is added to it: not in logs, not in the message of a container that failed."""
    c.apply(pod("within", "printf 'one\ntwo'; exit 1", restartPolicy="Never",
                container={"terminationMessagePolicy": "FallbackToLogsOnError"}))
    c.wait("pod/within", "jsonpath={.status.phase}=Failed")
    ended = c.get("pod", "within")["status"]["containerStatuses"][0]["state"]["terminated"]
    expect(ended["message"] == "one\ntwo", repr(ended["message"]))
    expect(c.kubectl("logs", "within").stdout == "one\ntwo", "logs")
    expect(c.kubectl("logs", "--tail=1", "within").stdout == "two", "logs --tail=1")
    c.kubectl("delete", "pod", "within", "--wait=false")


def test_termination_grace(c):
    c.apply(pod("trap", "trap 'echo bye; exit 0' TERM; while :; do sleep 1000 & wait; done",
                terminationGracePeriodSeconds=30))
    c.wait("pod/trap", "condition=Ready")
    c.kubectl("delete", "pod", "trap", "--timeout=20s")  # far below the grace: it must have heard SIGTERM


def test_missing_image(c):
    c.apply(pod("absent", container={"image": "nowhere/absent:1", "imagePullPolicy": "Never"}))
    c.wait("pod/absent", "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ErrImageNeverPull")


def test_isolation(c):
    probe = ["cat /proc/self/status", "mount -t tmpfs x /mnt", "echo x > /proc/sys/kernel/hostname", "mknod /tmp/sda b 8 0",
             "cat /proc/kcore | head -c 1 | wc -c", "ls /proc | grep -c '^[0-9]*$'", "unshare -U true", "echo end"]
    c.apply(pod("jail", "; ".join(f"{{ {p}; }} 2>&1" for p in probe) + "; sleep 1000"))
    out = c.logs_until("jail", "end")
    expect("CapEff:\t00000000a80425fb" in out, out)  # the default set: what docker and containerd give
    expect("Seccomp:\t2" in out, out)
    expect("mount: permission denied" in out or "mount: mounting x on /mnt failed" in out, out)
    expect("can't create /proc/sys/kernel/hostname: Read-only file system" in out, out)
    lines = out.splitlines()
    processes = int(lines[[i for i, line in enumerate(lines) if line.isdigit()][-1]])
    expect(processes <= 5, out)  # its own only


def test_resources_become_cgroups(c):
    c.apply(pod("limited", "sleep 1000", container={"resources": {"limits": {"memory": "48Mi", "cpu": "500m"}}}))
    c.wait("pod/limited", "condition=Ready")
    uid = c.get("pod", "limited")["metadata"]["uid"]
    found = {path.name: path.read_text().strip() for path in pathlib.Path("/sys/fs/cgroup").glob(f"**/pod{uid}/*/*")
             if path.name in ("memory.limit_in_bytes", "memory.max", "cpu.cfs_quota_us", "cpu.max")}
    expect(str(48 << 20) in (found.get("memory.limit_in_bytes"), found.get("memory.max")), found)
    expect(found.get("cpu.cfs_quota_us") == "50000" or found.get("cpu.max") == "50000 100000", found)


def test_attach_and_port_forward(c):
    c.apply(pod("page", "echo hello > /tmp/index.html; httpd -p 8080 -h /tmp; while read line; do echo got $line; done",
                container={"stdin": True, "stdinOnce": True, "ports": [{"containerPort": 8080}]}, restartPolicy="Never"))
    c.wait("pod/page", "condition=Ready")
    with c.running("kubectl", "port-forward", "pod/page", ":8080") as forward:
        port = re.search(r"127.0.0.1:(\d+) ", forward.stdout.readline())[1]
        for _ in range(2):
            expect(c.inside(["curl", "-sS", f"http://127.0.0.1:{port}/"]).stdout == "hello\n", "no page through the tunnel")
    c.inside(["kubectl", "attach", "-i", "page"], input="one\ntwo\n")  # the end of its input ends the container
    expect(c.kubectl("logs", "page").stdout == "got one\ngot two\n", c.kubectl("logs", "page").stdout)


def test_previous_logs_of_a_restarted_container(c):
    c.apply(pod("twice", "if [ -e /state/once ]; then echo second; sleep 1000; fi; touch /state/once; echo first; exit 1",
                container={"volumeMounts": [{"name": "state", "mountPath": "/state"}]},
                volumes=[{"name": "state", "emptyDir": {}}]))
    c.wait("pod/twice", "jsonpath={.status.containerStatuses[0].restartCount}=1")
    c.logs_until("twice", "second")
    expect(c.kubectl("logs", "twice", "--previous").stdout == "first\n", "previous")


def test_liveness_probe_restarts(c):
    probe = {"exec": {"command": ["test", "!", "-e", "/tmp/sick"]}, "periodSeconds": 1, "failureThreshold": 1}
    c.apply(pod("sick", "sleep 1; touch /tmp/sick; sleep 1000", container={"livenessProbe": probe}))
    c.wait("pod/sick", "jsonpath={.status.containerStatuses[0].restartCount}=1")
    events = c.kubectl("get", "events", "--field-selector=involvedObject.name=sick").stdout
    expect("Unhealthy" in events and "Killing" in events, events)


def test_probes_say_where_nobody_answered(c):
    probes = {"readinessProbe": {"httpGet": {"port": 81, "path": "/x"}, "periodSeconds": 1},
              "startupProbe": {"tcpSocket": {"port": 82}, "periodSeconds": 1, "failureThreshold": 1000}}
    for name, kind in (("tcp", "startupProbe"), ("http", "readinessProbe")):
        c.apply(pod("deaf-" + name, "sleep 1000", container={kind: probes[kind]}))
    for name in ("tcp", "http"):
        c.wait(f"pod/deaf-{name}", "jsonpath={.status.phase}=Running")
        ip = c.get("pod", "deaf-" + name)["status"]["podIP"]
        text = {"tcp": f"Startup probe failed: dial tcp {ip}:82: connect: connection refused",
                "http": f'Readiness probe failed: Get "http://{ip}:81/x": dial tcp {ip}:81: connect: connection refused'}[name]
        with c.running("kubectl", "get", "events", "-w", f"--field-selector=involvedObject.name=deaf-{name},reason=Unhealthy",
                       "-o", r'jsonpath={.message}{"\n"}') as events:
            said = events.stdout.readline().strip()
        expect(said == text, said)


def test_scheduling_that_fails_is_explained(c):
    c.apply(pod("huge", container={"resources": {"requests": {"cpu": "1000"}}}))
    c.wait("pod/huge", "condition=PodScheduled=false")
    condition = [x for x in c.get("pod", "huge")["status"]["conditions"] if x["type"] == "PodScheduled"][0]
    expect(condition["reason"] == "Unschedulable" and "Insufficient cpu" in condition["message"], condition)
