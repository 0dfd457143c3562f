// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// bare drops what is empty inside of list items and free-form values: there Go tells null from [], which JSON that was stored does not.
func bare(v any) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	for k, c := range m {
		if l, ok := c.([]any); ok {
			for i := range l {
				l[i] = withoutEmpty(l[i])
			}
		}
		if k == "data" || k == "parameters" {
			if m[k] = withoutEmpty(c); reflect.DeepEqual(m[k], map[string]any{}) {
				delete(m, k)
			}
		}
		bare(c)
	}
}

func sortStrings(s []string) { sort.Strings(s) }

// machine is what a field manager needs of an API server: one version, no defaults.
type machine struct{}

func (machine) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	u, ok := in.(*unstructured.Unstructured)
	if !ok {
		return in, nil
	}
	out, err := scheme.Scheme.New(u.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, out); err != nil {
		return nil, err
	}
	out.GetObjectKind().SetGroupVersionKind(u.GroupVersionKind())
	return out, nil
}
func (machine) Convert(in, out, context any) error { return fmt.Errorf("not used") }
func (machine) ConvertFieldLabel(gvk schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}
func (machine) Default(runtime.Object) {}
func (machine) New(gvk schema.GroupVersionKind) (runtime.Object, error) {
	out, err := scheme.Scheme.New(gvk)
	if err == nil {
		out.GetObjectKind().SetGroupVersionKind(gvk)
	}
	return out, err
}

// kinds are those that upstream's apply configurations know, with their own metadata.
func kinds() []schema.GroupVersionKind {
	var out []schema.GroupVersionKind
	for gvk, t := range scheme.Scheme.AllKnownTypes() {
		if f, ok := t.FieldByName("ObjectMeta"); !ok || !f.Anonymous || applyconfigurations.ForKind(gvk) == nil {
			continue
		}
		out = append(out, gvk)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].String() < out[j].String() })
	return out
}

// history is one object's life on both sides.
type history struct {
	g     *generator
	c     *tool
	gvk   schema.GroupVersionKind
	typ   reflect.Type
	fm    *managedfields.FieldManager
	live  runtime.Object  // upstream's
	ours  json.RawMessage // proa's
	now   int64
	steps []string

	managers []string
	updates  int // of ten steps; the others apply
}

const firstTime = 1e9

func toJSON(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

func (h *history) typed(m map[string]any) runtime.Object {
	out := reflect.New(h.typ).Interface().(runtime.Object)
	if err := json.Unmarshal(toJSON(m), out); err != nil {
		panic(err)
	}
	out.GetObjectKind().SetGroupVersionKind(h.gvk)
	return out
}

func (h *history) name(m map[string]any) map[string]any {
	m["apiVersion"], m["kind"] = h.gvk.GroupVersion().String(), h.gvk.Kind
	meta, ok := m["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		m["metadata"] = meta
	}
	for _, k := range []string{"uid", "generation", "creationTimestamp", "deletionTimestamp", "resourceVersion", "selfLink", "generateName", "managedFields"} {
		delete(meta, k)
	}
	meta["name"], meta["namespace"] = "x", "default"
	delete(m, "status") // an endpoint of its own
	bare(m)
	return m
}

// settle gives what was written in this step the step's time, and what was stored a uid.
func (h *history) settle(o runtime.Object, begin time.Time) {
	m := o.(metav1.Object)
	m.SetUID("u")
	entries := m.GetManagedFields()
	for i := range entries {
		if entries[i].Time != nil && entries[i].Time.Unix() >= begin.Unix() {
			entries[i].Time = &metav1.Time{Time: time.Unix(h.now, 0).UTC()}
		}
	}
	m.SetManagedFields(entries)
	h.live = o
}

func (h *history) step() error {
	h.now++
	begin := time.Now().Truncate(time.Second)
	managers := h.managers
	fresh := tree(h.g.object(h.typ).Interface())
	q := &question{APIVersion: h.gvk.GroupVersion().String(), Kind: h.gvk.Kind, Manager: managers[h.g.Intn(len(managers))], Time: h.now, Live: h.ours}
	var want runtime.Object
	var err error
	if h.g.Intn(10) >= h.updates {
		body := h.g.thin(fresh, 0.3).(map[string]any)
		if h.live != nil && h.g.Intn(2) == 0 { // much of what is there
			body = h.g.mix(tree(h.live), body).(map[string]any)
			body = h.g.thin(body, 0.1).(map[string]any)
		}
		body = h.name(body)
		q.Op, q.Force, q.Body = "apply", h.g.Intn(2) == 0, toJSON(body)
		live := h.live
		if live == nil {
			live, _ = machine{}.New(h.gvk)
		}
		want, err = h.fm.Apply(live.DeepCopyObject(), &unstructured.Unstructured{Object: body}, q.Manager, q.Force)
	} else {
		body := fresh
		if h.live != nil {
			body = h.g.mix(tree(h.live), fresh).(map[string]any)
			if h.g.Intn(4) == 0 {
				body = tree(h.live)
			}
		}
		body = h.name(body)
		if h.live != nil && h.g.Intn(8) == 0 {
			body["metadata"].(map[string]any)["managedFields"] = []any{}
		}
		if h.live != nil {
			body["metadata"].(map[string]any)["uid"] = "u"
		}
		q.Op, q.Body = "update", toJSON(body)
		live := h.live
		if live == nil {
			live, _ = machine{}.New(h.gvk)
		}
		want, err = h.fm.Update(live.DeepCopyObject(), h.typed(body), q.Manager)
	}
	h.steps = append(h.steps, string(toJSON(q)))
	got, askErr := h.c.ask(q)
	if askErr != nil {
		return askErr
	}
	if err != nil {
		if got.Status == nil {
			return fmt.Errorf("upstream refuses: %v; we made %s", err, got.Object)
		}
		return sameError(err, got.Status)
	}
	if got.Status != nil {
		return fmt.Errorf("upstream accepts; we say %d %s", got.Status.Code, got.Status.Message)
	}
	h.settle(want, begin)
	ours := reflect.New(h.typ).Interface().(runtime.Object)
	if err := json.Unmarshal(got.Object, ours); err != nil {
		return err
	}
	ours.(metav1.Object).SetUID("u")
	h.ours = toJSON(withUID(got.Object))
	if d := cmp.Diff(plain(want), plain(ours)); d != "" {
		return fmt.Errorf("object (- upstream, + proa):\n%s", d)
	}
	return nil
}

func withUID(text json.RawMessage) map[string]any {
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		panic(err)
	}
	m["metadata"].(map[string]any)["uid"] = "u"
	return m
}

// plain is an object as JSON, the empty and the absent being the same.
func plain(o runtime.Object) any {
	fields := o.(metav1.Object).GetManagedFields()
	o = o.DeepCopyObject()
	o.(metav1.Object).SetManagedFields(nil)
	m := withoutEmpty(tree(o)).(map[string]any)
	var sets []string
	for _, f := range fields {
		when := "no time"
		if f.Time != nil {
			when = fmt.Sprint(f.Time.Unix() - firstTime)
		}
		sets = append(sets, fmt.Sprint(f.Manager, " ", f.Operation, " ", f.APIVersion, " ", f.Subresource, " ", when))
		var set fieldpath.Set
		if err := set.FromJSON(bytes.NewReader(f.FieldsV1.Raw)); err != nil {
			sets = append(sets, err.Error())
		}
		set.Iterate(func(p fieldpath.Path) { sets = append(sets, f.Manager+" "+string(f.Operation)+" "+p.String()) })
	}
	m["managedFields"] = sets
	return m
}

func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			c = withoutEmpty(c)
			v[k] = c
			if c == nil || reflect.DeepEqual(c, map[string]any{}) || reflect.DeepEqual(c, []any{}) {
				delete(v, k)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutEmpty(v[i])
		}
	}
	return v
}

func lines(s string) []string {
	l := strings.Split(s, "\n")
	sort.Strings(l)
	return l
}

func sameError(want error, got *metav1.Status) error {
	status, ok := want.(apierrors.APIStatus)
	if !ok {
		if got.Code != 500 {
			return fmt.Errorf("upstream: %v; we: %d %s", want, got.Code, got.Message)
		}
		return nil
	}
	w := status.Status()
	if w.Code != got.Code || w.Reason != got.Reason || !reflect.DeepEqual(lines(w.Message), lines(got.Message)) {
		return fmt.Errorf("status (- upstream, + proa):\n%s", cmp.Diff(fmt.Sprint(w.Code, w.Reason, w.Message), fmt.Sprint(got.Code, got.Reason, got.Message)))
	}
	if w.Details == nil || got.Details == nil {
		return nil
	}
	causes := func(d *metav1.StatusDetails) []string {
		var out []string
		for _, c := range d.Causes {
			out = append(out, fmt.Sprint(c))
		}
		sort.Strings(out)
		return out
	}
	if d := cmp.Diff(causes(w.Details), causes(got.Details)); d != "" {
		return fmt.Errorf("causes (- upstream, + proa):\n%s", d)
	}
	return nil
}

func number(name string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// TestApply leads an object of every kind through random applies and updates by several managers.
func TestApply(t *testing.T) {
	c := startTool(t)
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	all := kinds()
	if len(all) < 60 {
		t.Fatalf("only %d kinds", len(all))
	}
	tried := 0
	for _, gvk := range all {
		typ := scheme.Scheme.AllKnownTypes()[gvk]
		if a, err := c.ask(&question{Op: "merge", APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Body: []byte("{}")}); err != nil || a.Status != nil {
			continue // not served by v1.37
		}
		tried++
		t.Run(gvk.GroupVersion().String()+" "+gvk.Kind, func(t *testing.T) {
			for run := range number("JUDGE_RUNS", 20) {
				seed := number("JUDGE_SEED", 1) + run
				fm, err := managedfields.NewDefaultFieldManager(converter, machine{}, machine{}, machine{}, gvk, gvk.GroupVersion(), "", nil)
				if err != nil {
					t.Fatal(err)
				}
				h := &history{g: &generator{rand.New(rand.NewSource(seed)), 0.4, c.gated}, c: c, gvk: gvk, typ: typ, fm: fm, now: firstTime,
					managers: []string{"one", "two", "kubectl"}, updates: 3}
				steps := 8
				if run%10 == 9 && tried%8 == 0 { // so many that the oldest are joined
					h.managers, h.updates, steps = strings.Split("abcdefghijklmnopqrst", ""), 9, 40
				}
				for range steps {
					if err := h.step(); err != nil {
						t.Fatalf("JUDGE_SEED=%d step %d: %v\n%s", seed, len(h.steps), err, strings.Join(h.steps[max(0, len(h.steps)-1):], "\n"))
					}
				}
			}
		})
	}
	if tried < 50 {
		t.Errorf("only %d kinds are served", tried)
	}
}
