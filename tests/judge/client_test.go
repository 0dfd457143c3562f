// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
)

const (
	protobuf  = "application/vnd.kubernetes.protobuf"
	clientsNs = "kinds-test"     // the namespace that the bodies of kinds.json name
	eventsIn  = 20 * time.Second // an event that was not seen by then is lost; a bound, not a wait
)

// startServer starts the API server alone and returns how upstream's clients reach it, speaking protobuf.
func startServer(t *testing.T) *rest.Config {
	t.Helper()
	path := os.Getenv("PROA_APISERVER")
	if path == "" {
		t.Skip("PROA_APISERVER names no program: ninja -C BUILD tests/e2e/apiserver")
	}
	cmd := exec.Command(path, "127.0.0.1:0", t.TempDir())
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0") // a whole server; its parts are checked by themselves
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("apiserver: %v\n%s", err, log.String())
		}
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err, log.String())
	}
	return &rest.Config{WarningHandler: rest.NoWarnings{}, Host: "http://" + strings.TrimSpace(address), QPS: -1,
		ContentConfig: rest.ContentConfig{ContentType: protobuf, AcceptContentTypes: protobuf}}
}

// typed returns the client for one group and version, as the generated clientsets make it.
func typed(t *testing.T, config *rest.Config, gv schema.GroupVersion) rest.Interface {
	t.Helper()
	c := *config
	c.GroupVersion, c.APIPath, c.NegotiatedSerializer = &gv, "/apis", scheme.Codecs.WithoutConversion()
	if gv.Group == "" {
		c.APIPath = "/api"
	}
	client, err := rest.RESTClientFor(&c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// served is one resource of one version, with a body that is valid.
type served struct {
	metav1.APIResource
	schema.GroupVersion
	body map[string]any
}

func (r *served) can(verb string) bool {
	for _, v := range r.Verbs {
		if v == verb {
			return true
		}
	}
	return false
}

func (r *served) namespace() string {
	if r.Namespaced {
		return clientsNs
	}
	return ""
}

// resources are those that can be created and for which tests/e2e/kinds.json has a body.
func resources(t *testing.T, config *rest.Config) []served {
	t.Helper()
	text, err := os.ReadFile("../e2e/kinds.json")
	if err != nil {
		t.Fatal(err)
	}
	var bodies map[string]map[string]any
	if err := json.Unmarshal(text, &bodies); err != nil {
		t.Fatal(err)
	}
	_, lists, err := discovery.NewDiscoveryClientForConfigOrDie(config).ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	var found []served
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			body := bodies[schema.GroupResource{Group: gv.Group, Resource: r.Name}.String()]
			if strings.Contains(r.Name, "/") || body == nil || !scheme.Scheme.Recognizes(gv.WithKind(r.Kind)) {
				continue
			}
			found = append(found, served{r, gv, body})
		}
	}
	if len(found) < 60 {
		t.Fatalf("only %d resources discovered", len(found))
	}
	return found
}

// object makes the typed object from the body, named name unless the body has a name of its own.
func (r *served) object(t *testing.T, name string) (runtime.Object, metav1.Object) {
	t.Helper()
	text, _ := json.Marshal(r.body)
	o, err := scheme.Scheme.New(r.WithKind(r.Kind))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, o); err != nil {
		t.Fatal(err)
	}
	o.GetObjectKind().SetGroupVersionKind(r.WithKind(r.Kind))
	m, err := meta.Accessor(o)
	if err != nil {
		t.Fatal(err)
	}
	if m.GetName() == "" {
		m.SetName(name)
	}
	m.SetLabels(map[string]string{"judge": "client"})
	return o, m
}

// next is the first event about that object of that type.
func next(t *testing.T, w watch.Interface, want watch.EventType, name string) runtime.Object {
	t.Helper()
	timeout := time.After(eventsIn)
	for {
		select {
		case e, open := <-w.ResultChan():
			if !open || e.Type == watch.Error {
				t.Fatalf("watch ended before %s of %s: %v", want, name, e.Object)
			}
			if m, err := meta.Accessor(e.Object); err == nil && m.GetName() == name && e.Type == want {
				return e.Object
			}
		case <-timeout:
			t.Fatalf("no %s of %s", want, name)
		}
	}
}

// TestClientsOfEveryResource does with each resource what generated clients do, typed and in protobuf.
func TestClientsOfEveryResource(t *testing.T) {
	config := startServer(t)
	ns := typed(t, config, schema.GroupVersion{Version: "v1"})
	if err := ns.Post().Resource("namespaces").Body(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: clientsNs}}).
		Do(context.Background()).Error(); err != nil {
		t.Fatal(err)
	}
	if err := ns.Post().Namespace(clientsNs).Resource("serviceaccounts").
		Body(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}).Do(context.Background()).Error(); err != nil {
		t.Fatal(err) // no controller makes it here
	}
	for _, r := range resources(t, config) {
		t.Run(r.GroupVersion.String()+"/"+r.Name, func(t *testing.T) { walk(t, config, &r) })
	}
}

func walk(t *testing.T, config *rest.Config, r *served) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := typed(t, config, r.GroupVersion)
	body, m := r.object(t, "judge-"+strings.ToLower(r.Kind))
	name := m.GetName()
	at := func(q *rest.Request) *rest.Request {
		return q.NamespaceIfScoped(r.namespace(), r.Namespaced).Resource(r.Name)
	}
	one := func(q *rest.Request) *rest.Request { return at(q).Name(name) }
	fresh := func() (runtime.Object, metav1.Object) {
		o, _ := scheme.Scheme.New(r.WithKind(r.Kind))
		m, _ := meta.Accessor(o)
		return o, m
	}
	list := func(o metav1.ListOptions) (runtime.Object, []runtime.Object) {
		t.Helper()
		l, err := scheme.Scheme.New(r.WithKind(r.Kind + "List"))
		if err != nil {
			t.Fatal(err)
		}
		if err := at(c.Get()).VersionedParams(&o, scheme.ParameterCodec).Do(ctx).Into(l); err != nil {
			t.Fatal("list:", err)
		}
		items, err := meta.ExtractList(l)
		if err != nil {
			t.Fatal(err)
		}
		return l, items
	}
	mine := metav1.ListOptions{LabelSelector: "judge=client"}

	before, _ := list(mine)
	from, _ := meta.ListAccessor(before)
	var w watch.Interface
	if r.can("watch") {
		var err error
		w, err = at(c.Get()).VersionedParams(&metav1.ListOptions{LabelSelector: mine.LabelSelector, Watch: true,
			ResourceVersion: from.GetResourceVersion(), AllowWatchBookmarks: true}, scheme.ParameterCodec).Watch(ctx)
		if err != nil {
			t.Fatal("watch:", err)
		}
		defer w.Stop()
	}

	// A dry run changes nothing.
	if err := at(c.Post()).VersionedParams(&metav1.CreateOptions{DryRun: []string{"All"}}, scheme.ParameterCodec).Body(body).
		Do(ctx).Error(); err != nil {
		t.Fatal("dry run:", err)
	}
	if err := one(c.Get()).Do(ctx).Error(); !apierrors.IsNotFound(err) {
		t.Fatal("after a dry run:", err)
	}

	made, mm := fresh()
	if err := at(c.Post()).VersionedParams(&metav1.CreateOptions{FieldManager: "judge", FieldValidation: "Strict"}, scheme.ParameterCodec).
		Body(body).Do(ctx).Into(made); err != nil {
		t.Fatal("create:", err)
	}
	if mm.GetUID() == "" || mm.GetResourceVersion() == "" || mm.GetCreationTimestamp() == (metav1.Time{}) {
		t.Errorf("create answers without uid, resourceVersion or time: %+v", mm)
	}
	if err := at(c.Post()).Body(body).Do(ctx).Error(); !apierrors.IsAlreadyExists(err) {
		t.Error("second create:", err)
	}
	if w != nil {
		if seen := next(t, w, watch.Added, name); !equality.Semantic.DeepEqual(kindless(seen), kindless(made)) {
			t.Errorf("watch saw %+v\ncreate answered %+v", seen, made)
		}
	}
	got, gm := fresh()
	if err := one(c.Get()).Do(ctx).Into(got); err != nil {
		t.Fatal("get:", err)
	}
	if _, items := list(mine); len(items) != 1 {
		t.Errorf("list has %d items", len(items))
	}
	part, err := metadata.NewForConfigOrDie(metadata.ConfigFor(config)).Resource(r.GroupVersion.WithResource(r.Name)).
		Namespace(r.namespace()).Get(ctx, name, metav1.GetOptions{})
	if err != nil || part.UID != gm.GetUID() {
		t.Errorf("metadata: %+v %v", part, err)
	}

	// Writes of what was read; the second with a resourceVersion of the past.
	if r.can("update") {
		// Retried as clients do: the server itself keeps the status of some kinds.
		if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			got, gm = fresh()
			if err := one(c.Get()).Do(ctx).Into(got); err != nil {
				return err
			}
			gm.SetAnnotations(map[string]string{"by": "update"})
			return one(c.Put()).Body(got).Do(ctx).Error()
		}); err != nil {
			t.Error("update:", err)
		}
		gm.SetAnnotations(map[string]string{"by": "the past"})
		if err := one(c.Put()).Body(got).Do(ctx).Error(); !apierrors.IsConflict(err) {
			t.Error("update of the past:", err)
		}
		if w != nil {
			next(t, w, watch.Modified, name)
		}
	}
	if r.can("patch") {
		for _, p := range []struct {
			kind types.PatchType
			text string
		}{
			{types.MergePatchType, `{"metadata":{"annotations":{"by":"merge"}}}`},
			{types.StrategicMergePatchType, `{"metadata":{"annotations":{"by":"strategic"}}}`},
			{types.JSONPatchType, `[{"op":"add","path":"/metadata/annotations/by","value":"json"}]`},
			{types.ApplyYAMLPatchType, `{"apiVersion":"` + r.GroupVersion.String() + `","kind":"` + r.Kind +
				`","metadata":{"name":"` + name + `","annotations":{"applied":"yes"}}}`},
		} {
			o, pm := fresh()
			q := one(c.Patch(p.kind))
			if p.kind == types.ApplyYAMLPatchType {
				q = q.Param("fieldManager", "applier")
			}
			if err := q.Body([]byte(p.text)).Do(ctx).Into(o); err != nil {
				t.Error(p.kind, err)
			} else if p.kind == types.ApplyYAMLPatchType && pm.GetAnnotations()["applied"] != "yes" {
				t.Error("apply answered", pm.GetAnnotations())
			}
		}
	}

	if !r.can("delete") {
		return
	}
	if err := one(c.Delete()).Body(&metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions("another")}).Do(ctx).Error(); !apierrors.IsConflict(err) {
		t.Error("delete with another's uid:", err)
	}
	zero := int64(0)
	background := metav1.DeletePropagationBackground
	if err := one(c.Delete()).Body(&metav1.DeleteOptions{GracePeriodSeconds: &zero, PropagationPolicy: &background}).Do(ctx).Error(); err != nil {
		t.Fatal("delete:", err)
	}
	if len(mm.GetFinalizers()) > 0 || r.Kind == "Namespace" {
		return // goes when its finalizers do
	}
	if w != nil {
		next(t, w, watch.Deleted, name)
	}
	if err := one(c.Get()).Do(ctx).Error(); !apierrors.IsNotFound(err) {
		t.Error("get after delete:", err)
	}
	if !r.can("deletecollection") {
		return
	}
	if err := at(c.Post()).Body(body).Do(ctx).Error(); err != nil {
		t.Fatal("create again:", err)
	}
	if err := at(c.Delete()).VersionedParams(&mine, scheme.ParameterCodec).Body(&metav1.DeleteOptions{GracePeriodSeconds: &zero, PropagationPolicy: &background}).
		Do(ctx).Error(); err != nil {
		t.Fatal("deletecollection:", err)
	}
	if _, items := list(mine); len(items) != 0 {
		t.Errorf("%d items after deletecollection", len(items))
	}
}

// kindless is the object without kind and version, which decoders of single objects and of events treat differently.
func kindless(o runtime.Object) runtime.Object {
	o = o.DeepCopyObject()
	o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return o
}
