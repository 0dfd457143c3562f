# SPDX-License-Identifier: Apache-2.0
"""Values by an OpenAPI v3 schema, and values that are slightly not; whether a value fits; what an answer lost. For api_fuzz.py."""
import base64
import json
import re

DEPTH_MAX = 7
# Never made: stringData goes into data, owners in templates may repeat their key, unseen by validation, and eviction responders are
# behind a gate of upstream's.
UNMADE = {"evictionResponders", "ownerReferences", "stringData"}
WORDS = ["a", "b", "web", "x-1", "example.com/a", "Always", "100m", "1Gi", "10.0.0.1", "tcp", "0"]
ODD_STRINGS = ["", " ", "é漢\U0001F600", "a" * 300, "a\nb", "\u0000", "-", ".", "..", "/", "A_B", "1.2.3.4/33", "%", "{}", "99999999999999999999"]
ODD_VALUES = [None, True, 0, -1, 1.5, 2 ** 31, 2 ** 63, -2 ** 63 - 1, 1e300, "", "x", [], {}, [[]], [None], {"": None}, {"a": {"a": {}}}]
ODD_TEXTS = [b"", b"null", b"[]", b"{", b"\"x\"", b"0", b"\xff\xfe", b"{}{}", b"k8s\x00", b"k8s\x00\x0a\x02\x08\x01", b"[" * 20000, b"{\"a\":" * 3000,
             b"- a\n- b", b"a: &a [*a]", b"a: *b", b"%YAML 9\n---", b"\t", b"{\"kind\":\"X\",\"kind\":\"Y\"}", b"---\n---\n", b"1e999"]
# Field names whose texts have a form of their own, so that more of what is made is accepted.
FORMS = {"image": "i", "name": "n", "namespace": "kinds-test", "key": "k", "port": 80, "containerPort": 80, "path": "/p", "mountPath": "/m", "host": "h.example.com",
         "schedule": "0 0 1 1 *", "operator": "In", "apiVersion": "v1", "kind": "Pod", "fieldPath": "metadata.name", "uid": "u"}


class Schemas:
    def __init__(self, random):
        self.random, self.named = random, {}

    def add(self, document):
        self.named.update(document.get("components", {}).get("schemas", {}))

    def resolve(self, schema):
        while "$ref" in schema or "allOf" in schema:
            schema = self.named[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema["allOf"][0]
        return schema

    # ---- making ----

    def odd(self):
        return json.loads(json.dumps(self.random.choice(ODD_VALUES)))

    def value(self, schema, depth, name=""):
        schema, r = self.resolve(schema), self.random
        if "oneOf" in schema:
            return self.value(r.choice(schema["oneOf"]), depth, name)
        if schema.get("enum") and r.random() < 0.95:
            return r.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            return self.object(schema, depth)
        if kind == "array":
            return [] if depth > DEPTH_MAX else [self.value(schema["items"], depth + 1, name) for _ in range(r.choice((0, 1, 1, 2)))]
        if kind == "boolean":
            return r.random() < 0.5
        if kind == "integer":
            return FORMS[name] if isinstance(FORMS.get(name), int) else r.choice((0, 1, 2, 5, 80, 600, -1, 2 ** 31 - 1))
        if kind == "number":
            return r.choice((0, 1, 0.5))
        if kind == "string":
            return self.string(schema, name)
        return self.odd()

    def string(self, schema, name):
        r = self.random
        if r.random() < 0.03:
            return r.choice(ODD_STRINGS)
        if schema.get("format") == "date-time":
            return r.choice(("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05+02:00"))
        if schema.get("format") == "byte":
            return base64.b64encode(r.choice((b"", b"a", b"\x00\xff"))).decode()
        if isinstance(FORMS.get(name), str) and r.random() < 0.7:
            return FORMS[name]
        return r.choice(WORDS)

    def object(self, schema, depth):
        r, made = self.random, {}
        if depth > DEPTH_MAX:
            return made
        required = set(schema.get("required", []))
        for name, field in schema.get("properties", {}).items():
            if name in UNMADE:
                continue
            if name in required or r.random() < 0.4 / (depth + 1):
                made[name] = self.value(field, depth + 1, name)
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            for _ in range(r.choice((0, 1, 2))):
                made[r.choice(WORDS)] = self.value(more, depth + 1)
        return made

    def enrich(self, schema, value, depth=0):
        """Adds a few fields at random places; what is there stays."""
        schema, r = self.resolve(schema), self.random
        if isinstance(value, list):
            for item in value:
                self.enrich(schema.get("items", {}), item, depth + 1)
        if not isinstance(value, dict):
            return
        properties = schema.get("properties", {})
        for name, field in properties.items():
            if name in value:
                if r.random() < 0.6:
                    self.enrich(field, value[name], depth + 1)
            elif name not in ("metadata", "status", "apiVersion", "kind") and name not in UNMADE and r.random() < 0.6 / (2 + len(properties)):
                value[name] = self.value(field, depth + 2, name)

    # ---- breaking ----

    def places(self, value, found=None):
        """(container, key) of everything inside."""
        found = [] if found is None else found
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            found.append((value, key))
            self.places(inner, found)
        return found

    def mutate(self, value):
        value, r = json.loads(json.dumps(value)), self.random
        for _ in range(r.choice((1, 1, 2, 4))):
            places = self.places(value)
            if not places:
                return value
            container, key = r.choice(places)
            how = r.randrange(5)
            if how == 0:
                del container[key]
            elif how == 1:
                container[key] = self.odd()
            elif how == 2:
                container[key] = r.choice(ODD_STRINGS)
            elif how == 3 and isinstance(container[key], list):
                container[key] = container[key] * r.choice((2, 50))
            elif isinstance(container, dict):
                container[r.choice(("unknown", "", "a.b", "é", "$patch", "$retainKeys", "name", "spec"))] = self.odd()
            else:
                container.append(self.odd())
        return value

    def broken(self, body):
        """Bytes and their type: the object slightly changed, or not an object at all."""
        r = self.random
        data = json.dumps(self.mutate(body), ensure_ascii=r.random() < 0.5).encode(errors="surrogatepass")
        if r.random() < 0.1:
            data = r.choice(ODD_TEXTS)
        elif r.random() < 0.15:
            at = r.randrange(len(data))
            data = r.choice((data[:at], data[:at] + bytes([r.randrange(256)]) + data[at + 1:], data[:at] + data[at // 2:]))
        return data, r.choice(("application/json", "application/json", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"))

    def changed(self, operations, verb, body):
        """The body of a write to an existing object, and its type."""
        r = self.random
        if verb == "PATCH":
            content_type = r.choice(list(operations["patch"]["requestBody"]["content"]))
            if content_type == "application/json-patch+json":
                return json.dumps([self.json_patch(body) for _ in range(r.choice((1, 1, 2, 5)))]).encode(), content_type
            if r.random() < 0.5:
                body = {k: v for k, v in self.mutate(body).items() if r.random() < 0.7} if isinstance(body, dict) else body
            if content_type == "application/apply-patch+yaml" and isinstance(body, dict) and isinstance(body.get("metadata"), dict):
                body = dict(body, metadata={k: v for k, v in body["metadata"].items() if k != "managedFields" or r.random() < 0.1})
            return self.broken(body)[0] if r.random() < 0.2 else json.dumps(body).encode(), content_type
        if r.random() < 0.6:
            return self.broken(body)
        self.enrich(self.resolve(operations[verb.lower()]["requestBody"]["content"]["*/*"]["schema"]), body)
        return json.dumps(body).encode(), "application/json"

    def json_patch(self, body):
        r, path, value = self.random, "", body
        while isinstance(value, (dict, list)) and value and r.random() < 0.8:
            key = r.choice(list(value)) if isinstance(value, dict) else r.randrange(len(value))
            path, value = path + "/" + str(key).replace("~", "~0").replace("/", "~1"), value[key]
        if r.random() < 0.3:
            path += r.choice(("/-", "/0", "/99", "/x", "/", "~", "/~2", "/01", "/-1"))
        patch = {"op": r.choice(("add", "remove", "replace", "test", "copy", "move", "no")), "path": path}
        if r.random() < 0.8:
            patch["value"] = value if r.random() < 0.5 else self.odd()
        if patch["op"] in ("copy", "move"):
            patch["from"] = r.choice(("/metadata", "/spec", "", path, "/x"))
        return patch

    # ---- judging ----

    def check(self, schema, value, at=""):
        """What does not fit, or None."""
        schema = self.resolve(schema)
        if "oneOf" in schema:
            return None if any(not self.check(s, value, at) for s in schema["oneOf"]) else f"{at or 'it'} is none of its forms: {value!r}"
        kind = schema.get("type")
        if value is None:  # Go writes an empty list or map that it does not leave out as null
            nothing = schema.get("nullable") or kind in (None, "array", "object") or schema.get("format") == "date-time"
            return None if nothing else f"{at or 'it'} is null"
        if kind == "object" and "properties" not in schema and "additionalProperties" not in schema:
            return None  # a raw extension: whatever was given
        fits = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}.get(kind, object)
        if not isinstance(value, fits) or (kind in ("integer", "number") and isinstance(value, bool)):
            return f"{at or 'it'} is no {kind}: {value!r}"
        if isinstance(value, list):
            return next(filter(None, (self.check(schema.get("items", {}), v, f"{at}[{i}]") for i, v in enumerate(value))), None)
        if isinstance(value, dict) and "properties" in schema:
            for name in schema.get("required", []):
                # An empty list or map may be left out, and a quantity of nothing: Go reads that as upstream's null and "0".
                field = self.resolve(schema["properties"][name])
                if name not in value and field.get("type") not in ("array", "object") and "oneOf" not in field:
                    return f"{at}.{name} is missing"
            for name, v in value.items():
                if name not in schema["properties"]:
                    return f"{at}.{name} is unknown"
                wrong = self.check(schema["properties"][name], v, f"{at}.{name}")
                if wrong:
                    return wrong
        elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
            return next(filter(None, (self.check(schema["additionalProperties"], v, f"{at}.{k}") for k, v in value.items())), None)
        return None


def empty(value):
    return value in (None, "", 0, False) or value == [] or value == {} or (isinstance(value, dict) and all(empty(v) for v in value.values()))


def lost(sent, made, at=""):
    """Paths of what was sent and is not in the answer; forms that mean the same (quantities, times) are the same."""
    if isinstance(sent, dict):
        if not isinstance(made, dict):
            return [] if empty(sent) else [at]
        return [p for k, v in sent.items() for p in lost(v, made.get(k), f"{at}.{k}")]
    if isinstance(sent, list) and isinstance(made, list):
        if len(made) > len(sent):  # defaults and admission add
            return [] if all(any(not lost(a, b) for b in made) for a in sent) else [at]
        if len(sent) != len(made):
            return [at]
        return [p for i, (a, b) in enumerate(zip(sent, made)) for p in lost(a, b, f"{at}[{i}]")]
    if sent == made or sent == "" or (made is None and empty(sent)):
        return []
    number = re.compile(r"-?[\d.]+([eE][+-]?\d+|[a-zA-Z]*)$")
    if made is not None and number.match(str(sent)) and number.match(str(made)):
        return []
    return [at] if not re.match(r"\d{4}-", str(sent)) else []


def difference(before, after, at=""):
    """The first paths where two values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [d for k in sorted({*before, *after}) for d in difference(before.get(k), after.get(k), f"{at}.{k}")][:5]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [d for i, (a, b) in enumerate(zip(before, after)) for d in difference(a, b, f"{at}[{i}]")][:5]
    return [] if before == after else [f"{at}: {before!r} became {after!r}"]
