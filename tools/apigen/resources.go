// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// Verbs is a list, or "all" or "rw".
type Verbs []string

func (v *Verbs) UnmarshalJSON(data []byte) error {
	var word string
	if json.Unmarshal(data, &word) == nil {
		*v = Verbs{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
		if word == "rw" {
			*v = Verbs{"create", "delete", "get", "list", "patch", "update", "watch"}
		} else if word != "all" {
			return fmt.Errorf("verbs %q", word)
		}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(v))
}

func (v Verbs) has(s string) bool {
	for _, x := range v {
		if x == s {
			return true
		}
	}
	return false
}

// Subresource of resources.yaml.
type Subresource struct {
	Verbs Verbs  `json:"verbs"`
	Body  string `json:"body"`
}

// Resource is a row of resources.yaml.
type Resource struct {
	Plural     string                 `json:"plural"`
	Kind       string                 `json:"kind"`
	Namespaced *bool                  `json:"namespaced"`
	Short      []string               `json:"short"`
	Categories []string               `json:"categories"`
	Verbs      Verbs                  `json:"verbs"`
	Prefix     string                 `json:"prefix"`
	Stored     *bool                  `json:"stored"`
	Fields     []string               `json:"fields"`
	Status     bool                   `json:"status"`
	Scale      bool                   `json:"scale"`
	Generation bool                   `json:"generation"`
	Deleted    bool                   `json:"deleted"`
	Revision   bool                   `json:"revision"`
	Upsert     bool                   `json:"upsert"`
	StatusOnly bool                   `json:"statusOnly"`
	Sub        map[string]Subresource `json:"sub"`
}

// GroupVersion of resources.yaml.
type GroupVersion struct {
	Group     string     `json:"group"`
	Version   string     `json:"version"`
	Resources []Resource `json:"resources"`
}

func readResources(path string) ([]GroupVersion, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var gvs []GroupVersion
	if err := yaml.UnmarshalStrict(data, &gvs); err != nil {
		return nil, err
	}
	for i := range gvs {
		rs := gvs[i].Resources
		for j := range rs {
			rs[j].complete()
		}
		sort.Slice(rs, func(a, b int) bool { return rs[a].Plural < rs[b].Plural })
	}
	return gvs, nil
}

func (r *Resource) complete() {
	yes := true
	if r.Namespaced == nil {
		r.Namespaced = &yes
	}
	if r.Stored == nil {
		r.Stored = &yes
	}
	if r.Prefix == "" {
		r.Prefix = r.Plural
	}
	if r.Sub == nil {
		r.Sub = map[string]Subresource{}
	}
	rw := Verbs{"get", "patch", "update"}
	if r.Status {
		r.Sub["status"] = Subresource{Verbs: rw}
	}
	if r.Scale {
		r.Sub["scale"] = Subresource{Verbs: rw, Body: "autoscaling/v1.Scale"}
	}
}

// parseBody splits "group/version.Kind"; the core group is empty.
func parseBody(s string) (schema.GroupVersionKind, error) {
	g, rest, ok := strings.Cut(s, "/")
	v, k, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 {
		return schema.GroupVersionKind{}, fmt.Errorf("body %q is not group/version.Kind", s)
	}
	return schema.GroupVersionKind{Group: g, Version: v, Kind: k}, nil
}

// collectKinds gives every kind of the rows, their lists and bodies, and those of roots.go.
func collectKinds(s *runtime.Scheme, gvs []GroupVersion) ([]Kind, error) {
	seen := map[schema.GroupVersionKind]bool{}
	kinds := metaKinds()
	add := func(gvk schema.GroupVersionKind) error {
		if seen[gvk] {
			return nil
		}
		seen[gvk] = true
		t, err := goType(s, gvk)
		if err == nil {
			kinds = append(kinds, Kind{gvk.Group, gvk.Version, gvk.Kind, t})
		}
		return err
	}
	for _, gv := range gvs {
		for _, r := range gv.Resources {
			gvk := schema.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: r.Kind}
			if err := add(gvk); err != nil {
				return nil, err
			}
			if r.Verbs.has("list") {
				gvk.Kind += "List"
				if err := add(gvk); err != nil {
					return nil, err
				}
			}
			for _, sub := range r.Sub {
				if sub.Body == "" {
					continue
				}
				body, err := parseBody(sub.Body)
				if err == nil {
					err = add(body)
				}
				if err != nil {
					return nil, err
				}
			}
		}
	}
	for _, gvk := range extraKinds {
		if err := add(gvk); err != nil {
			return nil, err
		}
	}
	sort.Slice(kinds, func(i, j int) bool {
		a, b := kinds[i], kinds[j]
		if a.Group != b.Group {
			return a.Group < b.Group
		}
		if a.Version != b.Version {
			return a.Version < b.Version
		}
		return a.Kind < b.Kind
	})
	return kinds, nil
}
