// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/pager"
)

// TestClientLibraries uses what client-go builds on top of its clients.
func TestClientLibraries(t *testing.T) {
	config := startServer(t)
	client := kubernetes.NewForConfigOrDie(config)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	maps := client.CoreV1().ConfigMaps("default")
	for i := range 25 {
		if _, err := maps.Apply(ctx, corev1apply.ConfigMap(fmt.Sprintf("m%d", i), "default").WithLabels(map[string]string{"in": "pages"}).
			WithData(map[string]string{"n": fmt.Sprint(i)}), metav1.ApplyOptions{FieldManager: "judge"}); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("informer", func(t *testing.T) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		f := informers.NewSharedInformerFactory(client, time.Second)
		lister := f.Core().V1().ConfigMaps().Lister()
		f.Start(ctx.Done())
		for kind, ok := range f.WaitForCacheSync(ctx.Done()) {
			if !ok {
				t.Error("not in sync:", kind)
			}
		}
		got, err := lister.List(labels.SelectorFromSet(labels.Set{"in": "pages"}))
		if err != nil || len(got) != 25 {
			t.Error(len(got), err)
		}
	})

	t.Run("pager", func(t *testing.T) {
		n := 0
		p := pager.New(pager.SimplePageFunc(func(o metav1.ListOptions) (runtime.Object, error) { return maps.List(ctx, o) }))
		p.PageSize = 7
		if err := p.EachListItem(ctx, metav1.ListOptions{LabelSelector: "in=pages"}, func(runtime.Object) error { n++; return nil }); err != nil || n != 25 {
			t.Error(n, err)
		}
	})

	cached := memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(config))
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, nil)

	t.Run("mapper and dynamic", func(t *testing.T) {
		gvr, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: "cm"})
		if err != nil || gvr != corev1.SchemeGroupVersion.WithResource("configmaps") {
			t.Fatal(gvr, err)
		}
		u, err := dynamic.NewForConfigOrDie(config).Resource(gvr).Namespace("default").Get(ctx, "m3", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if n, _, _ := unstructured.NestedString(u.Object, "data", "n"); n != "3" {
			t.Error(u)
		}
	})

	t.Run("scale", func(t *testing.T) {
		pod := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
		if _, err := client.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d"},
			Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: pod.Labels}, Template: pod}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		scales, err := scale.NewForConfig(config, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(cached))
		if err != nil {
			t.Fatal(err)
		}
		deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
		s, err := scales.Scales("default").Get(ctx, deployments, "d", metav1.GetOptions{})
		if err != nil || s.Spec.Replicas != 1 || s.Status.Selector != "a=b" {
			t.Fatal(s, err)
		}
		s.Spec.Replicas = 4
		if s, err = scales.Scales("default").Update(ctx, deployments, s, metav1.UpdateOptions{}); err != nil || s.Spec.Replicas != 4 {
			t.Error(s, err)
		}
	})

	t.Run("leader election", func(t *testing.T) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		led := false
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Namespace: "default", Name: "leader"}, Client: client.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: "me"}},
			LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: time.Second, ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { led = true; cancel() }, OnStoppedLeading: func() {}},
		})
		lease, err := client.CoordinationV1().Leases("default").Get(context.Background(), "leader", metav1.GetOptions{})
		if err != nil || !led || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity != "" {
			t.Error(led, lease, err)
		}
	})
}
