#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/e2e/api_fields.py [--apiserver PROGRAM] [--only WORD]

fieldValidation on every way to write: unknown and repeated fields of JSON and YAML bodies, of each kind of patch.
"""
import re
import sys

import api as base

DEPLOYMENTS = base.DEPLOYMENTS
TYPES = {"json": "application/json", "yaml": "application/yaml", "jsonpatch": "application/json-patch+json",
         "merge": "application/merge-patch+json", "strategic": "application/strategic-merge-patch+json"}

JSON = """{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "%s", "labels": {"l": "x", "l": "y"}, "unknownMeta": 1},
"spec": {"unknown1": "v", "unknownDupe": "v", "unknownDupe": "w", "paused": true, "paused": false,
"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
"spec": {"containers": [{"name": "c", "image": "i", "unknownNested": "v", "imagePullPolicy": "Always", "imagePullPolicy": "Never"}]}}}}"""
JSON_SAYS = ['duplicate field "metadata.labels.l"', 'unknown field "metadata.unknownMeta"', 'unknown field "spec.unknown1"',
             'unknown field "spec.unknownDupe"', 'duplicate field "spec.paused"',
             'unknown field "spec.template.spec.containers[0].unknownNested"',
             'duplicate field "spec.template.spec.containers[0].imagePullPolicy"']
YAML = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: %s
spec:
  unknown1: v
  paused: true
  paused: false
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
      - name: c
        image: i
        imagePullPolicy: Always
        imagePullPolicy: Never
"""
YAML_SAYS = ['line 8: key "paused" already set in map', 'line 17: key "imagePullPolicy" already set in map',
             'unknown field "spec.unknown1"']
STRICT = "strict decoding error: "
HANDLED = 'Deployment in version "v1" cannot be handled as a Deployment: '


def warnings(response):
    return [re.fullmatch(r'299 - "(.*)"', w).group(1).replace('\\"', '"') for w in response.headers.get_all("warning") or []]


def write(api, method, path, body, kind, validation):
    query = f"?fieldValidation={validation}" if validation else ""
    response, data = api.raw(method, path + query, body.encode(), {"content-type": TYPES[kind]})
    return response.status, warnings(response), base.json.loads(data)


def whole(api, name, body, kind, says, strict):
    for method, path, code in (("POST", DEPLOYMENTS, 201), ("PUT", f"{DEPLOYMENTS}/{name}", 200)):
        status, _, answer = write(api, method, path, body % name, kind, "Strict")
        assert status == 400 and answer["message"] == HANDLED + strict, (method, answer)
        status, warned, answer = write(api, method, path, body % name, kind, "Warn")
        assert status == code and warned == says, (method, warned, answer)
        status, warned, answer = write(api, method, f"{DEPLOYMENTS}/{name}", body % name, kind, "") if method == "PUT" else (200, says, answer)
        assert status == 200 and warned == says, "the default is to warn"
        assert answer["spec"].get("paused", False) is False and "unknown1" not in answer["spec"], answer
    status, warned, _ = write(api, "PUT", f"{DEPLOYMENTS}/{name}", body % name, kind, "Ignore")
    assert status == 200 and not warned, warned


def test_json(api):
    whole(api, "json", JSON, "json", JSON_SAYS, STRICT + ", ".join(JSON_SAYS))


def test_yaml(api):
    whole(api, "yaml", YAML, "yaml", YAML_SAYS,
          STRICT + "yaml: unmarshal errors:\n  " + "\n  ".join(YAML_SAYS[:2]) + ", " + YAML_SAYS[2])


def test_values(api):
    for method, path in (("POST", DEPLOYMENTS), ("PUT", DEPLOYMENTS + "/x"), ("PATCH", DEPLOYMENTS + "/x")):
        response, data = api.raw(method, path + "?fieldValidation=Sometimes", b"{}",
                                 {"content-type": TYPES["merge" if method == "PATCH" else "json"]})
        message = base.json.loads(data)["message"]
        assert response.status == 422 and 'fieldValidation: Unsupported value: "Sometimes"' in message, message


def test_patches(api):
    write(api, "POST", DEPLOYMENTS, YAML % "patched", "yaml", "Ignore")
    path = DEPLOYMENTS + "/patched"
    patches = {
        "merge": ('{"spec": {"unknown1": 1, "paused": true, "paused": false}}',
                  ['duplicate field "spec.paused"', 'unknown field "spec.unknown1"']),
        "strategic": ('{"spec": {"unknown1": 1, "paused": true, "paused": false, "template": {"spec": {"containers": [{"name": "c", "x": 1}]}}}}',
                      ['duplicate field "spec.paused"', 'unknown field "spec.template.spec.containers[0].x"', 'unknown field "spec.unknown1"']),
        "jsonpatch": ('[{"op": "add", "path": "/spec/x", "path": "/spec/unknown1", "value": 1, "foo": "bar"}]',
                      ['json patch unknown field "[0].foo"', 'json patch duplicate field "[0].path"', 'unknown field "spec.unknown1"']),
    }
    for kind, (patch, says) in patches.items():
        status, _, answer = write(api, "PATCH", path, patch, kind, "Strict")
        assert status == 422 and answer["reason"] == "Invalid", answer
        assert answer["message"].startswith(' "" is invalid: patch: Invalid value: "'), answer["message"]
        tail = answer["message"].split(STRICT)[1]
        assert sorted(tail.split(", ")) == sorted(says), (kind, tail)
        if kind == "strategic":
            assert 'Invalid value: "map[spec:map[unknown1:1 paused:false template:map[' in answer["message"], answer["message"]
        status, warned, answer = write(api, "PATCH", path, patch, kind, "")
        assert status == 200 and sorted(warned) == sorted(says), (kind, warned, answer)
        status, warned, _ = write(api, "PATCH", path, patch, kind, "Ignore")
        assert status == 200 and not warned, (kind, warned)
        bad = '[{"op": "add", "path": "/spec/replicas", "value": "x"}]' if kind == "jsonpatch" else '{"spec": {"replicas": "x"}}'
        status, _, answer = write(api, "PATCH", path, bad, kind, "")
        assert status == 422 and "cannot unmarshal string into Go struct field" in answer["message"], answer


def test_bombs(api):
    path = base.MAPS + "/bombed"
    api.do("POST", base.MAPS, base.config("bombed"), 201)
    many = "[" + ",".join(['{"op": "add", "path": "/data/a", "value": "1"}'] * 10001) + "]"
    status, _, answer = write(api, "PATCH", path, many, "jsonpatch", "")
    assert status == 413 and "maximum operations in a JSON patch is 10000, got 10001" in answer["message"], answer
    huge = '{"data": {"a": "%s"}}' % ("x" * (3 * 1024 * 1024))
    response, _ = api.raw("PATCH", path, huge.encode(), {"content-type": TYPES["merge"]})
    assert response.status == 413, response.status
    doubling = [{"op": "add", "path": "/data", "value": {"a": "xxxxxxxxxxxxxxxx"}}]
    doubling += [{"op": "copy", "from": "/data", "path": f"/data/c{i}"} for i in range(40)]
    status, _, answer = write(api, "PATCH", path, base.json.dumps(doubling), "jsonpatch", "")
    assert status == 422, answer
    assert api.do("GET", path)["data"] == {"a": "b"}


if __name__ == "__main__":
    sys.exit(base.main(__doc__, globals()))
