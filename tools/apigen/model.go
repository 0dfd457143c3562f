// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Field is one member of a Type, as struct field of src/api/type.h.
type Field struct {
	Name, Kind, Shape, ListType string
	Pointer, OmitEmpty          bool
	Required, Atomic, Embedded  bool
	Off                         bool // behind a gate that is off
	PatchMerge, RetainKeys      bool
	Number                      int
	Type                        *Type
	MergeKey, Default, Doc      string
	ListKeys, Enum              []string
}

// Type is one struct, as struct type of src/api/type.h.
type Type struct {
	Name   string // OpenAPI model name
	Go     reflect.Type
	Atomic bool
	Fields []*Field
	Doc    string
}

// Model collects the types reachable from the kinds.
type Model struct {
	src   *Sources
	types map[reflect.Type]*Type
	docs  Docs
}

// Feature gates that a v1.37 server has off unless asked, of those that the markers of fields name: their fields are known and
// left out of what is written.
var gateOff = map[string]bool{
	"AtomicWriteVolumeUserFields":                  true,
	"CSIVolumeHealth":                              true,
	"CompositePodGroup":                            true,
	"ContainerStopSignals":                         true,
	"CoordinatedLeaderElection":                    true,
	"DRADerivedAttributes":                         true,
	"DRADeviceCompatibilityGroups":                 true,
	"DRAListTypeAttributes":                        true,
	"DRANodeAllocatableResources":                  true,
	"DRAOptionalNodeOperations":                    true,
	"DRAPartitionableDevicesType":                  true,
	"DRAWorkloadResourceClaims":                    true,
	"EmptyDirVolumeMode":                           true,
	"EvictionRequestAPI":                           true,
	"GRPCContainerProbeTLS":                        true,
	"GenericWorkload":                              true,
	"H2CContainerProbe":                            true,
	"ImageVolumeWithDigest":                        true,
	"InPlacePodVerticalScalingSchedulerPreemption": true,
	"PodGroupPreemptionPolicy":                     true,
	"StatefulSetRecreateStrategy":                  true,
	"TopologyAwareWorkloadScheduling":              true,
	"VolumeBindMountOptions":                       true,
	"WorkloadWithJob":                              true,
}

// Types whose JSON is not that of a Go struct.
var special = map[reflect.Type]string{
	reflect.TypeFor[metav1.Time]():          "FIELD_TIME",
	reflect.TypeFor[metav1.MicroTime]():     "FIELD_MICRO_TIME",
	reflect.TypeFor[metav1.Duration]():      "FIELD_DURATION",
	reflect.TypeFor[resource.Quantity]():    "FIELD_QUANTITY",
	reflect.TypeFor[intstr.IntOrString]():   "FIELD_INT_OR_STRING",
	reflect.TypeFor[runtime.RawExtension](): "FIELD_RAW",
	reflect.TypeFor[metav1.FieldsV1]():      "FIELD_FIELDS_V1",
	reflect.TypeFor[apiextensionsv1.JSON](): "FIELD_JSON",
}

// Any JSON value in JSON, a message of their own in protobuf: FIELD_JSON with that message as type.
var jsonUnions = map[reflect.Type]bool{
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrArray]():       true,
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrBool]():        true,
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrStringArray](): true,
}

func modelName(t reflect.Type) string {
	if n, ok := reflect.New(t).Interface().(interface{ OpenAPIModelName() string }); ok {
		return n.OpenAPIModelName()
	}
	parts := strings.SplitN(t.PkgPath(), "/", 2)
	host := strings.Split(parts[0], ".")
	for i, j := 0, len(host)-1; i < j; i, j = i+1, j-1 {
		host[i], host[j] = host[j], host[i]
	}
	return strings.Join(host, ".") + "." + strings.ReplaceAll(parts[1], "/", ".") + "." + t.Name()
}

func (m *Model) add(t reflect.Type) (*Type, error) {
	if known := m.types[t]; known != nil {
		return known, nil
	}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is not a struct", t)
	}
	if err := m.src.load(t.PkgPath()); err != nil {
		return nil, err
	}
	out := &Type{Name: modelName(t), Go: t}
	m.types[t] = out
	id := t.PkgPath() + "." + t.Name()
	out.Atomic = m.src.types[id].one("structType") == "atomic"
	out.Doc = m.docs.typeDoc(out.Name)
	for i := 0; i < t.NumField(); i++ {
		f, err := m.field(t, t.Field(i), m.src.fields[id][t.Field(i).Name])
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", id, t.Field(i).Name, err)
		}
		if f != nil {
			f.Doc = m.docs.fieldDoc(out.Name, f.Name)
			out.Fields = append(out.Fields, f)
		}
	}
	return out, nil
}

func (m *Model) field(parent reflect.Type, sf reflect.StructField, marks Markers) (*Field, error) {
	json := strings.Split(sf.Tag.Get("json"), ",")
	if !sf.IsExported() || (json[0] == "-" && !jsonUnions[parent]) {
		return nil, nil
	}
	f := &Field{Name: json[0]}
	for _, o := range json[1:] {
		f.OmitEmpty = f.OmitEmpty || o == "omitempty" || o == "omitzero"
		f.Embedded = f.Embedded || o == "inline"
	}
	f.Embedded = f.Embedded || (sf.Anonymous && f.Name == "")
	if f.Name == "" && !f.Embedded {
		f.Name = sf.Name
	}
	if pb := strings.Split(sf.Tag.Get("protobuf"), ","); len(pb) > 1 {
		n, err := strconv.Atoi(pb[1])
		if err != nil {
			return nil, err
		}
		f.Number = n
		if jsonUnions[parent] && sf.Tag.Get("json") == "" {
			for _, p := range pb {
				if v, ok := strings.CutPrefix(p, "name="); ok {
					f.Name = v
				}
			}
		}
	}
	f.Required = !f.Embedded && (marks.has("required") || !(marks.has("optional") || f.OmitEmpty))
	for _, s := range strings.Split(sf.Tag.Get("patchStrategy"), ",") {
		f.PatchMerge = f.PatchMerge || s == "merge"
		f.RetainKeys = f.RetainKeys || s == "retainKeys"
	}
	f.Off = gateOff[marks.one("featureGate")]
	f.MergeKey = sf.Tag.Get("patchMergeKey")
	if f.ListType = marks.one("listType"); f.ListType == "map" {
		f.ListKeys = marks["listMapKey"]
	}
	var err error
	if f.Default, err = m.src.defaultOf(parent.PkgPath(), marks); err != nil {
		return nil, err
	}
	if err := m.shape(f, sf.Type); err != nil {
		return nil, err
	}
	if f.Shape == "" && f.Type != nil && f.Type.Atomic && marks.one("structType") != "granular" { // the field overrules
		f.Atomic = true
	}
	f.Atomic = f.Atomic || marks.one("mapType") == "atomic" || marks.one("structType") == "atomic"
	return f, nil
}

// shape reduces a Go type to kind, shape and element type.
func (m *Model) shape(f *Field, t reflect.Type) error {
	if t.Kind() == reflect.Pointer {
		f.Pointer = true
		t = t.Elem()
	}
	if special[t] == "" && !jsonUnions[t] {
		switch {
		case t == reflect.TypeFor[metav1.Verbs]():
			f.Kind, f.Shape = "FIELD_VERBS", "SHAPE_LIST"
			return nil
		case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
			f.Shape = "SHAPE_LIST"
			t = t.Elem()
		case t.Kind() == reflect.Map:
			if t.Key().Kind() != reflect.String {
				return fmt.Errorf("map with keys %v", t.Key())
			}
			f.Shape = "SHAPE_MAP"
			t = t.Elem()
			if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String {
				f.Shape = "SHAPE_MAP_OF_LISTS"
				t = t.Elem()
			}
		}
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	return m.kind(f, t)
}

var scalars = map[reflect.Kind]string{
	reflect.String: "FIELD_STRING", reflect.Bool: "FIELD_BOOL", reflect.Int32: "FIELD_INT32", reflect.Int64: "FIELD_INT64",
	reflect.Int: "FIELD_INT64", reflect.Uint32: "FIELD_UINT32", reflect.Uint64: "FIELD_UINT64",
	reflect.Uint8: "FIELD_UINT32", reflect.Float32: "FIELD_FLOAT", reflect.Float64: "FIELD_DOUBLE", reflect.Interface: "FIELD_JSON",
}

func (m *Model) kind(f *Field, t reflect.Type) error {
	var err error
	switch {
	case special[t] != "":
		f.Kind = special[t]
	case jsonUnions[t]:
		f.Kind = "FIELD_JSON"
		f.Type, err = m.add(t)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		f.Kind = "FIELD_BYTES"
	case t.Kind() == reflect.Struct:
		f.Kind = "FIELD_STRUCT"
		f.Type, err = m.add(t)
	case scalars[t.Kind()] != "":
		f.Kind = scalars[t.Kind()]
		if t.Kind() == reflect.String && t.PkgPath() != "" {
			if err := m.src.load(t.PkgPath()); err != nil {
				return err
			}
			f.Enum = m.src.enum(t.PkgPath(), t.Name())
		}
	default:
		return fmt.Errorf("no kind for Go type %v", t)
	}
	return err
}

// sorted gives all types in order of name, as a C compiler and strcmp order them.
func (m *Model) sorted() []*Type {
	var all []*Type
	for _, t := range m.types {
		all = append(all, t)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}
