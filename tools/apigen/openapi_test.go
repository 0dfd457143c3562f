// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/spec3"
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

// TestOpenAPIv3 reads each document as kubectl does, which looks for fieldValidation among the parameters of PATCH.
func TestOpenAPIv3(t *testing.T) {
	_, gvs, _ := mustBuild(t)
	c := startTool(t)
	patches := 0
	for _, gv := range gvs {
		text, err := c.ask('3', []byte(gv.Group+"/"+gv.Version))
		if err != nil {
			t.Fatal(err)
		}
		doc := &spec3.OpenAPI{}
		if err := json.Unmarshal(text, doc); err != nil {
			t.Fatalf("%s/%s: %v", gv.Group, gv.Version, err)
		}
		for path, item := range doc.Paths.Paths {
			if item.Patch == nil {
				continue
			}
			found := false
			for _, p := range item.Patch.Parameters {
				found = found || p.Name == "fieldValidation"
			}
			if _, gvk := item.Patch.Extensions["x-kubernetes-group-version-kind"]; !gvk {
				t.Errorf("%s: no kind", path)
			}
			if patches++; !found && !strings.HasSuffix(path, "/proxy") {
				t.Errorf("%s: PATCH without fieldValidation", path)
			}
		}
		for _, r := range gv.Resources {
			found := false
			for _, s := range doc.Components.Schemas {
				list, _ := s.Extensions["x-kubernetes-group-version-kind"].([]interface{})
				for _, e := range list {
					m, _ := e.(map[string]interface{})
					found = found || m["kind"] == r.Kind && m["group"] == gv.Group && m["version"] == gv.Version
				}
			}
			if !found {
				t.Errorf("%s/%s: no schema for %s", gv.Group, gv.Version, r.Kind)
			}
		}
	}
	if patches < 60 {
		t.Errorf("only %d patches", patches)
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
