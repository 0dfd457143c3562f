// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"sigs.k8s.io/randfill"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tool is tests/unit/api/protobuf_tool: proa's codec as a filter.
type tool struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startTool(t *testing.T) *tool {
	t.Helper()
	path := os.Getenv("PROA_PROTOBUF_TOOL")
	if path == "" {
		t.Skip("PROA_PROTOBUF_TOOL names no program: ninja -C BUILD tests/unit/api/protobuf_tool")
	}
	cmd := exec.Command(path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &tool{in, bufio.NewReader(out)}
}

func (c *tool) ask(mode byte, body []byte) ([]byte, error) {
	head := append([]byte{mode}, binary.BigEndian.AppendUint32(nil, uint32(len(body)))...)
	if _, err := c.in.Write(append(head, body...)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c.out, head); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(c.out, reply); err != nil {
		return nil, err
	}
	if head[0] != '+' {
		return nil, fmt.Errorf("refused: %s", reply)
	}
	return reply, nil
}

// filler makes random but valid objects. What JSON or protobuf cannot tell apart is made the same.
func filler(s *runtime.Scheme) *randfill.Filler {
	custom := func(serializer.CodecFactory) []interface{} {
		return []interface{}{
			func(j *apiextensionsv1.JSON, c randfill.Continue) { j.Raw = []byte(`{"a":[1,"b",null]}`) },
			func(j *apiextensionsv1.JSONSchemaPropsOrBool, c randfill.Continue) {
				j.Allows = true
				if c.Bool() {
					j.Schema = &apiextensionsv1.JSONSchemaProps{Type: "string"}
				}
			},
			func(j *apiextensionsv1.JSONSchemaPropsOrArray, c randfill.Continue) {
				if c.Bool() {
					j.Schema = &apiextensionsv1.JSONSchemaProps{Format: "a"}
				} else {
					j.JSONSchemas = []apiextensionsv1.JSONSchemaProps{{Type: "b"}, {}}
				}
			},
			func(j *apiextensionsv1.JSONSchemaPropsOrStringArray, c randfill.Continue) {
				if c.Bool() {
					j.Schema = &apiextensionsv1.JSONSchemaProps{Format: "a"}
				} else {
					j.Property = []string{"x", "y"}
				}
			},
			func(j *apiextensionsv1.JSONSchemaProps, c randfill.Continue) {
				j.Type = "object"
				j.Properties = map[string]apiextensionsv1.JSONSchemaProps{"p": {Type: "integer"}}
				j.Default = &apiextensionsv1.JSON{Raw: []byte(`7`)}
				f := c.Float64()
				j.Maximum = &f
			},
			func(j *runtime.RawExtension, c randfill.Continue) {
				j.Raw = []byte(`{"kind":"X","apiVersion":"y/v1","n":1.5}`)
			},
			func(j *metav1.FieldsV1, c randfill.Continue) { j.Raw = []byte(`{"f:spec":{"f:a":{}}}`) },
			func(j *metav1.ManagedFieldsEntry, c randfill.Continue) {
				c.FillNoCustom(j)
				j.FieldsV1 = &metav1.FieldsV1{Raw: []byte(`{"f:metadata":{}}`)}
			},
		}
	}
	return fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, custom), rand.NewSource(37), serializer.NewCodecFactory(s)).NumElements(1, 3)
}

// TestRoundTrip transcodes random objects of every kind: protobuf from Go to our JSON, and JSON from Go to our
// protobuf; Go must read back what it wrote.
func TestRoundTrip(t *testing.T) {
	_, _, kinds := mustBuild(t)
	s, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	c := startTool(t)
	fill := filler(s)
	codec := protobuf.NewSerializer(s, s)
	tried := 0
	for _, k := range kinds {
		gvk := schema.GroupVersionKind{Group: k.Group, Version: k.Version, Kind: k.Kind}
		if k.Group == "meta.k8s.io" || !s.Recognizes(gvk) || isUnversionedOnly(k.Kind) {
			continue
		}
		for i := 0; i < 20; i++ {
			want := reflect.New(k.Type).Interface().(runtime.Object)
			fill.Fill(want)
			want.GetObjectKind().SetGroupVersionKind(gvk)
			tried++
			if err := roundTrip(c, codec, want, gvk); err != nil {
				t.Errorf("%v: %v", gvk, err)
				break
			}
		}
	}
	if tried < 2000 {
		t.Errorf("only %d objects", tried)
	}
}

// Kinds without a protobuf form.
func isUnversionedOnly(kind string) bool {
	return kind == "AdmissionReview" || kind == "ConversionReview"
}

func roundTrip(c *tool, codec *protobuf.Serializer, filled runtime.Object, gvk schema.GroupVersionKind) error {
	// Once through JSON, so that nil and empty, and the fractions of times, are those that JSON knows.
	text, err := json.Marshal(filled)
	if err != nil {
		return err
	}
	fresh := func() runtime.Object { return reflect.New(reflect.TypeOf(filled).Elem()).Interface().(runtime.Object) }
	want := fresh()
	if err := json.Unmarshal(text, want); err != nil {
		return err
	}
	var wire strings.Builder
	if err := codec.Encode(want, &wire); err != nil {
		return err
	}
	decoded, err := c.ask('d', []byte(wire.String()))
	if err != nil {
		return err
	}
	got := fresh()
	if err := json.Unmarshal(decoded, got); err != nil {
		return fmt.Errorf("our JSON: %w: %s", err, decoded)
	}
	if !apiequality.Semantic.DeepEqual(want, got) {
		return fmt.Errorf("protobuf to JSON:\n%s", cmp.Diff(want, got))
	}
	encoded, err := c.ask('e', text)
	if err != nil {
		return err
	}
	back := fresh()
	if _, _, err := codec.Decode(encoded, &gvk, back); err != nil {
		return fmt.Errorf("our protobuf: %w", err)
	}
	back.GetObjectKind().SetGroupVersionKind(gvk)
	if !apiequality.Semantic.DeepEqual(want, back) {
		return fmt.Errorf("JSON to protobuf:\n%s", cmp.Diff(want, back))
	}
	return nil
}
