// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilproto "k8s.io/kube-openapi/pkg/util/proto"
)

// TestOpenAPIv2 reads both forms of the document with the libraries that kubectl uses.
func TestOpenAPIv2(t *testing.T) {
	c := startTool(t)
	text, err := c.ask('2', nil)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := c.ask('g', nil)
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, err := openapi_v2.ParseDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	fromWire := &openapi_v2.Document{}
	if err := proto.Unmarshal(wire, fromWire); err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string]*openapi_v2.Document{"JSON": fromJSON, "protobuf": fromWire} {
		models, err := utilproto.NewOpenAPIData(doc)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		kinds := map[schema.GroupVersionKind]bool{}
		for _, m := range models.ListModels() {
			for _, gvk := range kindsOf(models.LookupModel(m)) {
				kinds[gvk] = true
			}
		}
		for _, want := range []schema.GroupVersionKind{{Version: "v1", Kind: "Pod"}, {Group: "apps", Version: "v1", Kind: "Deployment"}} {
			if !kinds[want] {
				t.Errorf("%s: no model for %v", name, want)
			}
		}
		if len(kinds) < 100 {
			t.Errorf("%s: only %d kinds", name, len(kinds))
		}
	}
	if a, b := len(fromJSON.Paths.Path), len(fromWire.Paths.Path); a != b {
		t.Errorf("%d paths in JSON, %d in protobuf", a, b)
	}
	for i, p := range fromJSON.Definitions.AdditionalProperties {
		q := fromWire.Definitions.AdditionalProperties[i]
		forgetYAML(p.ProtoReflect())
		forgetYAML(q.ProtoReflect())
		if !proto.Equal(p, q) {
			t.Errorf("%s differs:\n%v\n%v", p.Name, p, q)
			break
		}
	}
	for i, p := range fromJSON.Paths.Path {
		q := fromWire.Paths.Path[i]
		forgetYAML(p.ProtoReflect())
		forgetYAML(q.ProtoReflect())
		if !proto.Equal(p, q) {
			t.Errorf("%s differs:\n%v\n%v", p.Name, p, q)
			break
		}
	}
}

// forgetYAML empties the free-form values, whose text may be laid out differently.
func forgetYAML(m protoreflect.Message) {
	if a, ok := m.Interface().(*openapi_v2.Any); ok {
		a.Yaml = ""
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() != protoreflect.MessageKind:
		case f.IsList():
			for i := 0; i < v.List().Len(); i++ {
				forgetYAML(v.List().Get(i).Message())
			}
		default:
			forgetYAML(v.Message())
		}
		return true
	})
}

// kindsOf reads x-kubernetes-group-version-kind as kubectl does.
func kindsOf(m utilproto.Schema) []schema.GroupVersionKind {
	list, _ := m.GetExtensions()["x-kubernetes-group-version-kind"].([]interface{})
	var out []schema.GroupVersionKind
	for _, e := range list {
		text := func(key string) string {
			switch e := e.(type) {
			case map[string]interface{}:
				s, _ := e[key].(string)
				return s
			case map[interface{}]interface{}:
				s, _ := e[key].(string)
				return s
			}
			return ""
		}
		out = append(out, schema.GroupVersionKind{Group: text("group"), Version: text("version"), Kind: text("kind")})
	}
	return out
}
