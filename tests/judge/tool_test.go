// SPDX-License-Identifier: Apache-2.0

// Package judge compares what proa does to objects with what upstream's own modules do: applying, patching, ownership.
package judge

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tool is tests/judge/judge_tool: proa's side, one question a line.
type tool struct {
	in    io.WriteCloser
	out   *bufio.Reader
	gated map[string]bool // fields that proa leaves out, as upstream's server does behind the decoders that judge here
}

type question struct {
	Op          string          `json:"op"`
	APIVersion  string          `json:"apiVersion"`
	Kind        string          `json:"kind"`
	Live        json.RawMessage `json:"live"`
	Body        json.RawMessage `json:"body"`
	Manager     string          `json:"manager,omitempty"`
	Subresource string          `json:"subresource,omitempty"`
	Force       bool            `json:"force,omitempty"`
	Time        int64           `json:"time,omitempty"`
}

type answer struct {
	Object json.RawMessage `json:"object"`
	Status *metav1.Status  `json:"status"`
}

func startTool(t *testing.T) *tool {
	t.Helper()
	path := os.Getenv("PROA_JUDGE_TOOL")
	if path == "" {
		t.Skip("PROA_JUDGE_TOOL names no program: ninja -C BUILD tests/judge/judge_tool")
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
	c := &tool{in: in, out: bufio.NewReaderSize(out, 1<<20)}
	a, err := c.ask(&question{Op: "gated", APIVersion: "v1", Kind: "Pod", Body: json.RawMessage("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(a.Object, &c.gated); err != nil || len(c.gated) == 0 {
		t.Fatalf("no fields behind gates: %v in %s", err, a.Object)
	}
	return c
}

func (c *tool) ask(q *question) (*answer, error) {
	if q.Live == nil {
		q.Live = json.RawMessage("null")
	}
	line, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	reply, err := c.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("%w after %s", err, line)
	}
	var a answer
	if err := json.Unmarshal(reply, &a); err != nil {
		return nil, fmt.Errorf("%w: %s", err, reply)
	}
	return &a, nil
}
