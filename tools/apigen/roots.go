// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"reflect"

	admissionv1 "k8s.io/api/admission/v1"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// Kind is a kind that may appear as the body of a request or response.
type Kind struct {
	Group, Version, Kind string
	Type                 reflect.Type
}

// newScheme knows every kind of the published modules.
func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		scheme.AddToScheme, apiextensionsv1.AddToScheme, apiregistrationv1.AddToScheme,
		apidiscoveryv2.AddToScheme, admissionv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// metaKinds exist in the group meta.k8s.io or, like DeleteOptions, in all of them.
func metaKinds() []Kind {
	var kinds []Kind
	for _, v := range []any{
		metav1.APIGroup{}, metav1.APIGroupList{}, metav1.APIResourceList{}, metav1.APIVersions{}, metav1.CreateOptions{},
		metav1.DeleteOptions{}, metav1.GetOptions{}, metav1.ListOptions{}, metav1.PartialObjectMetadata{},
		metav1.PartialObjectMetadataList{}, metav1.PatchOptions{}, metav1.Status{}, metav1.Table{},
		metav1.UpdateOptions{}, metav1.WatchEvent{},
	} {
		t := reflect.TypeOf(v)
		kinds = append(kinds, Kind{"meta.k8s.io", "v1", t.Name(), t})
	}
	return kinds
}

// extraKinds are bodies of the served groups that no resource in resources.yaml names.
var extraKinds = []schema.GroupVersionKind{
	{Group: "", Version: "v1", Kind: "List"},
	{Group: "", Version: "v1", Kind: "PodLogOptions"},
	{Group: "", Version: "v1", Kind: "RangeAllocation"},
	{Group: "admission.k8s.io", Version: "v1", Kind: "AdmissionReview"},
	{Group: "apidiscovery.k8s.io", Version: "v2", Kind: "APIGroupDiscovery"},
	{Group: "apidiscovery.k8s.io", Version: "v2", Kind: "APIGroupDiscoveryList"},
	{Group: "apiextensions.k8s.io", Version: "v1", Kind: "ConversionReview"},
	{Group: "autoscaling", Version: "v1", Kind: "Scale"},
	{Group: "policy", Version: "v1", Kind: "Eviction"},
}

func goType(s *runtime.Scheme, gvk schema.GroupVersionKind) (reflect.Type, error) {
	o, err := s.New(gvk)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", gvk, err)
	}
	return reflect.TypeOf(o).Elem(), nil
}
