// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"encoding/json"
	"math/rand"
	"reflect"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// generator makes objects whose values come from small sets, so that independent ones agree and differ often.
type generator struct {
	*rand.Rand
	density float64         // of optional fields
	gated   map[string]bool // "model.field" of those to leave out
}

func (g *generator) word() string { return []string{"a", "b", "c"}[g.Intn(3)] }

// object fills a new object of that Go type.
func (g *generator) object(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	g.fill(v.Elem(), 0)
	return v
}

// Fields that tell list items apart; within one list each value is used once.
var itemKeys = map[string]bool{"Name": true, "Key": true, "Type": true, "MountPath": true, "DevicePath": true, "TopologyKey": true,
	"IP": true, "UID": true, "ContainerPort": true, "Port": true, "ResourceName": true, "Driver": true, "Path": true, "Request": true}

func (g *generator) known(v reflect.Value) bool {
	switch p := v.Addr().Interface().(type) {
	case *metav1.Time:
		*p = metav1.Time{Time: time.Unix(int64(1e9+g.Intn(2)), 0).UTC()}
	case *metav1.MicroTime:
		*p = metav1.MicroTime{Time: time.Unix(int64(1e9+g.Intn(2)), 5000).UTC()}
	case *metav1.Duration:
		p.Duration = time.Duration(1+g.Intn(2)) * time.Minute
	case *resource.Quantity:
		*p = resource.MustParse([]string{"1", "2Gi", "100m"}[g.Intn(3)])
	case *intstr.IntOrString:
		*p = []intstr.IntOrString{intstr.FromInt32(80), intstr.FromString("http")}[g.Intn(2)]
	case *runtime.RawExtension:
		p.Raw = []byte([]string{`{"a":1}`, `{"b":[1,2]}`}[g.Intn(2)])
	case *metav1.FieldsV1:
		p.Raw = []byte(`{}`)
	default:
		return false
	}
	return true
}

func (g *generator) fill(v reflect.Value, depth int) {
	if v.CanAddr() && g.known(v) {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(g.word())
	case reflect.Bool:
		v.SetBool(g.Intn(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(1 + g.Intn(3)))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(1 + g.Intn(3)))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Ptr:
		v.Set(reflect.New(v.Type().Elem()))
		g.fill(v.Elem(), depth)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range g.Intn(3) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			g.fill(key, depth+1)
			g.fill(value, depth+1)
			v.SetMapIndex(key, value)
		}
	case reflect.Slice:
		g.list(v, depth)
	case reflect.Struct:
		g.members(v, depth)
	}
}

func (g *generator) list(v reflect.Value, depth int) {
	n := g.Intn(4)
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	order := g.Perm(5)
	for i := range n {
		item := v.Index(i)
		g.fill(item, depth+1)
		if item.Kind() == reflect.String {
			item.SetString(string(rune('a' + order[i])))
		}
		for item.Kind() == reflect.Struct && item.NumField() > 0 && item.Type().Field(0).Anonymous {
			item = item.Field(0)
		}
		for j := 0; item.Kind() == reflect.Struct && j < item.NumField(); j++ {
			f := item.Field(j)
			if !itemKeys[item.Type().Field(j).Name] {
				continue
			}
			switch f.Kind() {
			case reflect.String:
				f.SetString(string(rune('a' + order[i])))
			case reflect.Int32:
				f.SetInt(int64(80 + order[i]))
			}
		}
	}
}

func (g *generator) members(v reflect.Value, depth int) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if !f.IsExported() || tag == "-" || f.Name == "TypeMeta" || f.Name == "ManagedFields" {
			continue
		}
		if m, ok := v.Addr().Interface().(interface{ OpenAPIModelName() string }); ok && g.gated[m.OpenAPIModelName()+"."+strings.Split(tag, ",")[0]] {
			continue
		}
		optional := strings.Contains(tag, "omitempty") || strings.Contains(tag, "omitzero") || f.Type.Kind() == reflect.Ptr
		likely := g.density
		if depth > 2 {
			likely /= 2 // what is far below is broad
		}
		if depth > 10 || (optional && depth > 0 && g.Float64() > likely) {
			continue
		}
		g.fill(v.Field(i), depth+1)
	}
}

// tree is v as JSON has it, without what is null.
func tree(v any) map[string]any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return withoutNulls(out).(map[string]any)
}

func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			if c == nil {
				delete(v, k)
			} else {
				v[k] = withoutNulls(c)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return v
}

// thin drops some members at random, never what tells items apart.
func (g *generator) thin(v any, likely float64) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for _, k := range sortedKeys(v) {
			first := strings.ToUpper(k[:1]) + k[1:]
			if !itemKeys[first] && k != "protocol" && k != "ip" && k != "uid" && k != "metadata" && g.Float64() < likely {
				continue
			}
			out[k] = g.thin(v[k], likely)
		}
		return out
	case []any:
		out := []any{}
		for _, c := range v {
			out = append(out, g.thin(c, likely))
		}
		return out
	}
	return v
}

// mix takes each member from one of two values.
func (g *generator) mix(x, y any) any {
	xm, ok1 := x.(map[string]any)
	ym, ok2 := y.(map[string]any)
	if ok1 && ok2 {
		out := map[string]any{}
		both := map[string]any{}
		for k := range xm {
			both[k] = nil
		}
		for k := range ym {
			both[k] = nil
		}
		for _, k := range sortedKeys(both) {
			vx, inX := xm[k]
			vy, inY := ym[k]
			switch {
			case inX && inY:
				out[k] = g.mix(vx, vy)
			case inX && g.Intn(5) != 0:
				out[k] = vx
			case inY && g.Intn(3) == 0:
				out[k] = vy
			}
		}
		return out
	}
	xl, ok1 := x.([]any)
	yl, ok2 := y.([]any)
	if ok1 && ok2 && len(xl) == len(yl) && g.Intn(2) == 0 {
		out := []any{}
		for i := range xl {
			out = append(out, g.mix(xl[i], yl[i]))
		}
		return out
	}
	if g.Intn(3) == 0 {
		return y
	}
	return x
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sortStrings(keys)
	return keys
}
