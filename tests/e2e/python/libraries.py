# SPDX-License-Identifier: Apache-2.0
"""usage: KUBECONFIG=FILE python libraries.py : what the Python client builds on top of its API classes.

create_from_yaml, watches that go on where they ended, chunks, server-side apply, leader election, informers.
Prints a line a check and at the end `N passed, N failed`.
"""
import inspect
import sys
import threading

import kubernetes
from kubernetes import client, config, dynamic, utils, watch

WAIT_S = 10
NS = "libraries"
DOCUMENTS = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made", "namespace": NS}, "data": {"a": "1"}},
    {"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "made", "namespace": NS}, "spec": {
            "replicas": 0, "selector": {"matchLabels": {"a": "made"}},
            "template": {"metadata": {"labels": {"a": "made"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "made", "namespace": NS}, "rules": []}]},
    {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "made", "namespace": NS}, "spec": {"podSelector": {}}},
    {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "made", "namespace": NS}, "spec": {
        "schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}}},
]


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def config_map(name, **labels):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NS, "labels": labels}, "data": {"k": "v"}}


def create_from_yaml(core):
    utils.create_from_yaml(client.ApiClient(), yaml_objects=DOCUMENTS, namespace=NS)
    check(client.AppsV1Api().read_namespaced_deployment("made", NS).spec.replicas == 0, "the Deployment of the List")
    try:
        utils.create_from_yaml(client.ApiClient(), yaml_objects=DOCUMENTS[:1], namespace=NS)
    except utils.FailToCreateError as error:
        check(error.api_exceptions[0].status == 409 and "AlreadyExists" in str(error), str(error))
    else:
        raise AssertionError("created twice")


def create_or_update(core):
    """The client's own apply of files, where it has one."""
    if not hasattr(utils, "create_from_yaml") or "apply" not in inspect.signature(utils.create_from_yaml).parameters:
        return "not in this client"
    for data in ({"a": "1"}, {"a": "2"}):
        document = dict(config_map("applied"), data=data)
        utils.create_from_yaml(client.ApiClient(), yaml_objects=[document], namespace=NS, apply=True)
    check(core.read_namespaced_config_map("applied", NS).data == {"a": "2"}, "applied")
    return None


def watch_resumes(core):
    listed = core.list_namespaced_config_map(NS)
    w, seen, n = watch.Watch(), [], 3
    # The client loops over watches of one second until it is stopped; each object is made by the event of the one before.
    core.create_namespaced_config_map(NS, config_map("w0", watched="yes"))
    done = threading.Timer(2.5, lambda: core.create_namespaced_config_map(NS, config_map("late", watched="yes")))
    done.start()
    for event in w.stream(core.list_namespaced_config_map, NS, label_selector="watched=yes",
                          resource_version=listed.metadata.resource_version, _request_timeout=WAIT_S):
        name = event["object"].metadata.name
        seen.append(f"{event['type']} {name}")
        if name == "late":
            w.stop()
        elif len(seen) < n:
            core.create_namespaced_config_map(NS, config_map(f"w{len(seen)}", watched="yes"))
    done.join()
    check(seen == ["ADDED w0", "ADDED w1", "ADDED w2", "ADDED late"], f"the watch told {seen}")


def watch_expired(core):
    """A revision that never was, or was long ago, is answered as the client expects it."""
    w = watch.Watch()
    try:
        for _ in w.stream(core.list_namespaced_config_map, NS, resource_version="999999999999", timeout_seconds=1):
            raise AssertionError("an event of the future")
    except client.exceptions.ApiException as error:
        check(error.status in (410, 504), f"{error.status} {error.reason}")


def chunks(core):
    for i in range(12):
        core.create_namespaced_config_map(NS, config_map(f"chunk-{i:02}", chunk="yes"))
    names, token, left = [], None, []
    while token is None or token:
        page = core.list_namespaced_config_map(NS, label_selector="chunk=yes", limit=5, **({"_continue": token} if token else {}))
        names += [o.metadata.name for o in page.items]
        left.append(page.metadata.remaining_item_count)
        token = page.metadata._continue or ""
    check(names == [f"chunk-{i:02}" for i in range(12)], f"{names}")


def server_side_apply(core):
    if int(kubernetes.__version__.split(".")[0]) < 24:
        return "not in this client"
    resource = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")
    body = config_map("ssa")
    resource.server_side_apply(body=body, name="ssa", namespace=NS, field_manager="one")
    try:
        resource.server_side_apply(body=dict(body, data={"k": "other"}), name="ssa", namespace=NS, field_manager="two")
        raise AssertionError("no conflict")
    except dynamic.exceptions.ConflictError as error:
        check('conflict with \\"one\\"' in str(error.body), str(error.body))
    forced = resource.server_side_apply(body=dict(body, data={"k": "other"}), name="ssa", namespace=NS, field_manager="two",
                                        force_conflicts=True)
    check(forced.data["k"] == "other", "force had no effect")
    return None


def versions(core):
    check(client.VersionApi().get_code().git_version.startswith("v1.37"), "the version")
    check("v1" in client.CoreApi().get_api_versions().versions, "the core versions")
    groups = {g.name for g in client.ApisApi().get_api_versions().groups}
    check({"apps", "batch", "rbac.authorization.k8s.io"} <= groups, f"{groups}")
    review = client.AuthorizationV1Api().create_self_subject_access_review({"spec": {"resourceAttributes": {
        "verb": "get", "resource": "pods", "namespace": NS}}})
    check(review.status.allowed, "may the admin get pods")


def bodies_of_every_sort(core):
    """Binary data, an empty value, numbers that are words, texts of other scripts and times survive the models."""
    core.create_namespaced_secret(NS, client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"a": "ünï 漢 \u0001"}))
    check(core.read_namespaced_secret("s", NS).data == {"a": "w7xuw68g5ryiIAE="}, "the text of a secret")
    service = core.create_namespaced_service(NS, client.V1Service(metadata=client.V1ObjectMeta(name="s"), spec=client.V1ServiceSpec(
        ports=[client.V1ServicePort(port=80, target_port="http", name="a"), client.V1ServicePort(port=81, target_port=8081, name="b")])))
    check([p.target_port for p in service.spec.ports] == ["http", 8081], "numbers or words")
    check(service.metadata.creation_timestamp.tzinfo is not None, "times have a zone")


def leader_election(core):
    module = __import__("kubernetes.leaderelection", fromlist=["leaderelection", "electionconfig"])
    if not hasattr(module, "leaderelection"):
        from kubernetes.leaderelection import electionconfig, leaderelection
    else:
        electionconfig, leaderelection = module.electionconfig, module.leaderelection
    try:
        from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock as Lock
    except ImportError:
        from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock as Lock
    leading = threading.Event()
    elector = leaderelection.LeaderElection(electionconfig.Config(
        Lock("leader", NS, "me"), lease_duration=3, renew_deadline=2, retry_period=1, onstarted_leading=leading.set,
        onstopped_leading=lambda: None))
    threading.Thread(target=elector.run, daemon=True).start()
    check(leading.wait(WAIT_S), "never leads")
    return Lock.__name__


def informer(core):
    try:
        from kubernetes import informer as module
    except ImportError:
        return "not in this client"
    events, told = [], threading.Condition()

    def handler(kind):
        def handle(*objects):
            with told:
                events.append((kind, objects[-1].metadata.name if hasattr(objects[-1], "metadata") else None))
                told.notify_all()
        return handle

    def wait(event):
        with told:
            check(told.wait_for(lambda: event in events, WAIT_S), f"never told {event}: {events}")

    shared = module.SharedInformer(list_func=core.list_namespaced_config_map, namespace=NS, label_selector="informed=yes")
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        shared.add_event_handler(getattr(module, kind, kind), handler(kind))
    core.create_namespaced_config_map(NS, config_map("before", informed="yes"))
    shared.start()
    wait(("ADDED", "before"))
    core.create_namespaced_config_map(NS, config_map("after", informed="yes"))
    wait(("ADDED", "after"))
    core.patch_namespaced_config_map("after", NS, {"data": {"k": "2"}})
    wait(("MODIFIED", "after"))
    core.delete_namespaced_config_map("after", NS)
    wait(("DELETED", "after"))
    shared.stop()
    return None


CHECKS = (versions, create_from_yaml, create_or_update, watch_resumes, watch_expired, chunks, server_side_apply, bodies_of_every_sort,
          leader_election, informer)


def main():
    config.load_kube_config()
    core = client.CoreV1Api()
    core.create_namespace({"metadata": {"name": NS}})
    passed = failed = 0
    for run in CHECKS:
        name = f"{run.__name__} {kubernetes.__version__}"
        try:
            note = run(core)
            passed += 1
            print(f"ok    {name}" + (f" ({note})" if note else ""), flush=True)
        except Exception as error:  # each check says how it fails
            failed += 1
            print(f"FAIL  {name}: {type(error).__name__}: " + " ".join(str(error).split())[:900], flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
