// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
)

// directives strews what a strategic merge patch may also say over a patch.
func (g *generator) directives(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			switch l, isList := v[k].([]any); {
			case itemKeys[strings.ToUpper(k[:1])+k[1:]] || k == "ip" || k == "uid":
			case g.Intn(12) == 0:
				v[k] = nil
			case isList && len(l) > 0 && g.Intn(4) == 0:
				if _, ok := l[0].(map[string]any); !ok {
					v["$deleteFromPrimitiveList/"+k] = l[:1]
					delete(v, k) // with both, upstream takes one or the other first
				} else {
					v["$setElementOrder/"+k] = g.keysOf(l)
				}
			default:
				v[k] = g.directives(v[k])
			}
		}
		if g.Intn(12) == 0 {
			v["$patch"] = []any{"replace", "delete", "merge", "spam"}[g.Intn(4)]
		}
		if g.Intn(15) == 0 {
			keep := []any{"name", "type"}
			for _, k := range sortedKeys(v) {
				if !strings.HasPrefix(k, "$") {
					keep = append(keep, k)
				}
			}
			v["$retainKeys"] = keep
		}
	case []any:
		for i := range v {
			v[i] = g.directives(v[i])
		}
		if len(v) > 0 && g.Intn(15) == 0 {
			if _, ok := v[0].(map[string]any); ok {
				v = append(v, map[string]any{"$patch": "replace"})
			}
		}
		return v
	}
	return v
}

// keysOf is the items with only what may tell them apart, in another order.
func (g *generator) keysOf(l []any) []any {
	out := []any{}
	for _, i := range g.Perm(len(l)) {
		item, ok := l[i].(map[string]any)
		if !ok {
			out = append(out, l[i])
			continue
		}
		only := map[string]any{}
		for k, c := range item {
			if itemKeys[strings.ToUpper(k[:1])+k[1:]] || k == "ip" || k == "uid" {
				only[k] = c
			}
		}
		out = append(out, only)
	}
	return out
}

func value(text []byte) any {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		panic(err)
	}
	return v
}

// normal is a result as it will be once it was decoded: nulls and directives that upstream left behind are no fields.
func normal(text []byte) any { return withoutDirectives(withoutNulls(value(text))) }

func withoutDirectives(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			if strings.HasPrefix(k, "$") {
				delete(v, k)
			} else {
				v[k] = withoutDirectives(c)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutDirectives(v[i])
		}
	}
	return v
}

// strategic is upstream's patching; ok is false when it panics, which it does for some nonsense.
func strategic(live, patch []byte, typ reflect.Type) (out []byte, err error, ok bool) {
	defer func() { ok = recover() == nil }()
	out, err = strategicpatch.StrategicMergePatch(live, patch, reflect.New(typ).Interface())
	return
}

func compareAnswers(want []byte, err error, got *answer, same func([]byte) any) error {
	switch {
	case err != nil && got.Status == nil:
		return fmt.Errorf("upstream refuses: %v; we made %s", err, got.Object)
	case err != nil:
		return nil
	case got.Status != nil:
		return fmt.Errorf("upstream made %s; we refuse: %s", want, got.Status.Message)
	}
	if d := cmp.Diff(same(want), same(got.Object)); d != "" {
		return fmt.Errorf("(- upstream, + proa):\n%s", d)
	}
	return nil
}

func eachKind(t *testing.T, runs int64, f func(t *testing.T, c *tool, gvk schema.GroupVersionKind, typ reflect.Type, seed int64) error) {
	c := startTool(t)
	for _, gvk := range kinds() {
		typ := scheme.Scheme.AllKnownTypes()[gvk]
		if a, err := c.ask(&question{Op: "merge", APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Body: []byte("{}")}); err != nil || a.Status != nil {
			continue // not served by v1.37
		}
		t.Run(gvk.GroupVersion().String()+" "+gvk.Kind, func(t *testing.T) {
			for run := range number("JUDGE_RUNS", runs) {
				seed := number("JUDGE_SEED", 1) + run
				if err := f(t, c, gvk, typ, seed); err != nil {
					t.Fatalf("JUDGE_SEED=%d: %v", seed, err)
				}
			}
		})
	}
}

// TestStrategic patches objects of every kind with what upstream's differ makes and with what no differ would.
func TestStrategic(t *testing.T) {
	eachKind(t, 60, func(t *testing.T, c *tool, gvk schema.GroupVersionKind, typ reflect.Type, seed int64) error {
		g := &generator{rand.New(rand.NewSource(seed)), 0.4, nil}
		live := tree(g.object(typ).Interface())
		other := tree(g.object(typ).Interface())
		mixed := g.mix(live, other)
		var patch []byte
		var err error
		if seed%2 == 0 {
			if patch, err = strategicpatch.CreateTwoWayMergePatch(toJSON(live), toJSON(mixed), reflect.New(typ).Interface()); err != nil {
				return nil // two items of one key
			}
		} else {
			patch = toJSON(g.directives(g.thin(other, 0.5)))
		}
		want, err, ok := strategic(toJSON(live), patch, typ)
		if !ok || (err != nil && strings.Contains(err.Error(), "in struct RawExtension")) {
			return nil // upstream knows nothing of what is inside; merging it is more useful than refusing
		}
		got, askErr := c.ask(&question{Op: "strategic", APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Live: toJSON(live), Body: patch})
		if askErr != nil {
			return askErr
		}
		if err = compareAnswers(want, err, got, normal); err != nil {
			return fmt.Errorf("%w\nlive %s\npatch %s", err, toJSON(live), patch)
		}
		return nil
	})
}

// A ConfigMap carries any tree where the tool only needs a kind to speak of.
func ask(c *tool, op string, live, body []byte) (*answer, error) {
	return c.ask(&question{Op: op, APIVersion: "v1", Kind: "ConfigMap", Live: live, Body: body})
}

func (g *generator) anything(depth int) any {
	switch n := g.Intn(9); {
	case n < 2 && depth < 4:
		m := map[string]any{}
		for range g.Intn(4) {
			m[[]string{"a", "b", "c", "d/e", "f~g", ""}[g.Intn(6)]] = g.anything(depth + 1)
		}
		return m
	case n < 4 && depth < 4:
		l := []any{}
		for range g.Intn(4) {
			l = append(l, g.anything(depth+1))
		}
		return l
	case n == 4:
		return nil
	case n == 5:
		return g.Intn(2) == 0
	case n == 6:
		return []float64{0, 1, 1.5, -3, 1e9}[g.Intn(5)]
	}
	return g.word()
}

func (g *generator) root() map[string]any {
	return map[string]any{"a": g.anything(0), "b": g.anything(0), "c": []any{g.anything(1), g.anything(1)}, "d": map[string]any{"a": g.anything(1), "b": g.anything(1)}}
}

func (g *generator) pointer(v any) string {
	path := ""
	for range 1 + g.Intn(4) {
		switch at := v.(type) {
		case map[string]any:
			keys := sortedKeys(at)
			k := []string{"a", "b", "new", "d~1e", "~0", ""}[g.Intn(6)]
			if len(keys) > 0 && g.Intn(4) > 0 {
				k = keys[g.Intn(len(keys))]
				v = at[k]
				k = strings.NewReplacer("~", "~0", "/", "~1").Replace(k)
			}
			path += "/" + k
		case []any:
			i := g.Intn(len(at) + 1)
			if i < len(at) {
				v = at[i]
			}
			path += "/" + []string{fmt.Sprint(i), fmt.Sprint(i), fmt.Sprint(i), "-", "-1", "01", "x", "99"}[g.Intn(8)]
		default:
			if path == "" || g.Intn(3) > 0 {
				return path
			}
			path += "/a"
		}
	}
	return path
}

// jsonPatch is upstream's; ok is false when it panics, which it does for some nulls.
func jsonPatch(live, text []byte) (out []byte, err error, ok bool) {
	defer func() { ok = recover() == nil }()
	patch, err := jsonpatch.DecodePatch(text)
	if err == nil {
		out, err = patch.Apply(live)
	}
	return
}

func TestJSONPatch(t *testing.T) {
	c := startTool(t)
	failures := 0
	for seed := range number("JUDGE_RUNS", 20000) {
		g := &generator{rand.New(rand.NewSource(seed)), 0.4, nil}
		live := g.root()
		ops := []any{}
		for range 1 + g.Intn(4) {
			op := map[string]any{"op": []string{"add", "remove", "replace", "move", "copy", "test"}[g.Intn(6)], "path": g.pointer(live)}
			if n := op["op"]; n == "move" || n == "copy" {
				op["from"] = g.pointer(live)
			} else if n != "remove" {
				op["value"] = g.anything(1)
			}
			ops = append(ops, op)
		}
		text := toJSON(ops)
		want, err, ok := jsonPatch(toJSON(live), text)
		if !ok {
			continue
		}
		got, askErr := ask(c, "json", toJSON(live), text)
		if askErr != nil {
			t.Fatal(askErr)
		}
		if err := compareAnswers(want, err, got, value); err != nil {
			t.Errorf("seed %d: %v\nlive %s\npatch %s", seed, err, toJSON(live), text)
			if failures++; failures > 10 {
				return
			}
		}
	}
}

func TestMergePatch(t *testing.T) {
	c := startTool(t)
	for seed := range number("JUDGE_RUNS", 5000) {
		g := &generator{rand.New(rand.NewSource(seed)), 0.4, nil}
		live, patch := toJSON(g.root()), toJSON(g.root())
		want, err := jsonpatch.MergePatch(live, patch)
		got, askErr := ask(c, "merge", live, patch)
		if askErr != nil {
			t.Fatal(askErr)
		}
		if err := compareAnswers(want, err, got, value); err != nil {
			t.Fatalf("seed %d: %v\nlive %s\npatch %s", seed, err, live, patch)
		}
	}
}
