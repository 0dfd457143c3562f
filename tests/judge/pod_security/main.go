// SPDX-License-Identifier: Apache-2.0

// Judges src/api/pod_security.c by upstream's own policies: random pods, every level and version, the same words.
//
//	go run . PROGRAM PODS SEED
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"strconv"

	v1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// A pod is drawn as JSON, so that absent, empty and set are told apart as clients tell them apart.
type object = map[string]any

type drawer struct{ *rand.Rand }

func (r drawer) maybe(o object, chance float64, key string, values ...any) {
	if r.Float64() < chance {
		o[key] = values[r.Intn(len(values))]
	}
}

// How strange a pod is differs from pod to pod: else hardly one would be allowed.
func (r drawer) security(strange float64, pod bool) object {
	o := object{}
	r.maybe(o, 0.6, "runAsNonRoot", true)
	r.maybe(o, strange, "runAsNonRoot", true, false)
	r.maybe(o, strange, "runAsUser", 0, 1000)
	r.maybe(o, 0.6, "seccompProfile", object{"type": "RuntimeDefault"})
	r.maybe(o, strange, "seccompProfile", object{"type": "Unconfined"}, object{"type": "Localhost", "localhostProfile": "x"})
	r.maybe(o, strange, "appArmorProfile", object{"type": "Unconfined"}, object{"type": "RuntimeDefault"}, object{"type": "Localhost"})
	r.maybe(o, strange, "seLinuxOptions", object{"type": "spc_t"}, object{"type": "container_engine_t"}, object{"user": "u"},
		object{"role": "r", "type": "x"}, object{"level": "l", "type": "container_t"})
	r.maybe(o, strange/2, "windowsOptions", object{"hostProcess": true}, object{"hostProcess": false})
	if pod {
		names := []string{"kernel.shm_rmid_forced", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
			"net.ipv4.tcp_rmem", "net.ipv4.tcp_notsent_lowat", "kernel.msgmax"}
		var sysctls []any
		for _, name := range names {
			if r.Float64() < strange/2 {
				sysctls = append(sysctls, object{"name": name, "value": "1"})
			}
		}
		if sysctls != nil {
			o["sysctls"] = sysctls
		}
		return o
	}
	r.maybe(o, 0.6, "allowPrivilegeEscalation", false)
	r.maybe(o, strange, "allowPrivilegeEscalation", true)
	r.maybe(o, strange, "privileged", true, false)
	r.maybe(o, strange, "procMount", "Default", "Unmasked")
	r.maybe(o, 0.6, "capabilities", object{"drop": []any{"ALL"}})
	r.maybe(o, strange, "capabilities", object{"add": []any{"SYS_ADMIN", "CHOWN", "NET_RAW"}}, object{"add": []any{"NET_BIND_SERVICE"}},
		object{"drop": []any{"CHOWN"}, "add": []any{"KILL"}}, object{})
	return o
}

func (r drawer) container(name string, strange float64) object {
	o := object{"name": name, "image": "i"}
	if r.Float64() < 0.9 {
		o["securityContext"] = r.security(strange, false)
	}
	r.maybe(o, strange, "ports", []any{object{"containerPort": 80, "hostPort": 80}, object{"containerPort": 9, "hostPort": 443}},
		[]any{object{"containerPort": 80}})
	r.maybe(o, strange, "livenessProbe", object{"httpGet": object{"host": "h", "port": 80}}, object{"tcpSocket": object{"port": 80}})
	r.maybe(o, strange, "startupProbe", object{"tcpSocket": object{"host": "a", "port": 80}})
	r.maybe(o, strange, "lifecycle", object{"preStop": object{"httpGet": object{"host": "z", "port": 80}}},
		object{"postStart": object{"exec": object{"command": []any{"x"}}}})
	return o
}

func (r drawer) containers(prefix string, least int, strange float64) []any {
	var list []any
	for i := 0; i < least+r.Intn(3); i++ {
		list = append(list, r.container(prefix+strconv.Itoa(i), strange))
	}
	return list
}

func (r drawer) pod() object {
	strange := r.Float64() * r.Float64() * 0.5
	spec := object{"containers": r.containers("c", 1, strange)}
	r.maybe(spec, 0.4, "initContainers", r.containers("i", 1, strange))
	r.maybe(spec, 0.2, "ephemeralContainers", r.containers("e", 1, strange))
	r.maybe(spec, 0.8, "securityContext", r.security(strange, true))
	for _, name := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		r.maybe(spec, strange, name, true, false)
	}
	r.maybe(spec, 0.2, "hostUsers", true, false)
	r.maybe(spec, 0.2, "os", object{"name": "windows"}, object{"name": "linux"})
	sources := []object{{"hostPath": object{"path": "/"}}, {"nfs": object{"server": "s", "path": "/"}}, {"emptyDir": object{}},
		{"secret": object{"secretName": "s"}}, {"image": object{"reference": "r"}}, {"gitRepo": object{"repository": "r"}},
		{"iscsi": object{"targetPortal": "t", "iqn": "i", "lun": 0}}}
	var volumes []any
	for i := 0; i < r.Intn(3); i++ {
		volume := object{"name": "v" + strconv.Itoa(i)}
		pick := sources[2]
		if r.Float64() < strange*2 {
			pick = sources[r.Intn(len(sources))]
		}
		for k, v := range pick {
			volume[k] = v
		}
		volumes = append(volumes, volume)
	}
	if volumes != nil {
		spec["volumes"] = volumes
	}
	annotations := object{}
	r.maybe(annotations, strange, "seccomp.security.alpha.kubernetes.io/pod", "unconfined", "runtime/default", "localhost/x")
	r.maybe(annotations, strange, "container.seccomp.security.alpha.kubernetes.io/c0", "unconfined", "docker/default")
	r.maybe(annotations, strange, "container.apparmor.security.beta.kubernetes.io/c0", "unconfined", "localhost/x", "")
	r.maybe(annotations, strange, "container.apparmor.security.beta.kubernetes.io/c1", "nothing")
	return object{"metadata": object{"name": "p", "annotations": annotations}, "spec": spec}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	pods, err := strconv.Atoi(os.Args[2])
	must(err)
	seed, err := strconv.ParseInt(os.Args[3], 10, 64)
	must(err)
	judge, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	must(err)
	program := exec.Command(os.Args[1])
	program.Stderr = os.Stderr
	in, err := program.StdinPipe()
	must(err)
	out, err := program.StdoutPipe()
	must(err)
	must(program.Start())
	answers := bufio.NewReaderSize(out, 1<<20)
	ask := func(question []byte) (details, reasons string) {
		_, err := in.Write(append(question, '\n'))
		must(err)
		for _, line := range []*string{&details, &reasons} {
			text, err := answers.ReadString('\n')
			must(err)
			*line = text[:len(text)-1]
		}
		return
	}
	r := drawer{rand.New(rand.NewSource(seed))}
	allowed, refused, wrong := 0, 0, 0
	for i := 0; i < pods; i++ {
		drawn := r.pod()
		text, err := json.Marshal(drawn)
		must(err)
		var pod v1.Pod
		must(json.Unmarshal(text, &pod))
		for _, level := range []api.Level{api.LevelBaseline, api.LevelRestricted} {
			for minor := 0; minor <= 38; minor++ {
				version := api.MajorMinorVersion(1, minor)
				if minor == 38 {
					version = api.LatestVersion()
				}
				want := policy.AggregateCheckResults(judge.EvaluatePod(api.LevelVersion{Level: level, Version: version},
					&pod.ObjectMeta, &pod.Spec))
				question, err := json.Marshal(object{"level": level, "version": version.String(), "pod": drawn})
				must(err)
				details, reasons := ask(question)
				if details != want.ForbiddenDetail() || reasons != want.ForbiddenReason() {
					wrong++
					if wrong <= 5 {
						fmt.Printf("%s:%s %s\n  upstream: %s\n  proa:     %s\n", level, version.String(), text, want.ForbiddenDetail(), details)
					}
				} else if want.Allowed {
					allowed++
				} else {
					refused++
				}
			}
		}
	}
	must(in.Close())
	_, _ = io.Copy(io.Discard, out)
	must(program.Wait())
	fmt.Printf("%d judged alike (%d allowed, %d refused), %d not\n", allowed+refused, allowed, refused, wrong)
	if wrong > 0 || allowed == 0 || refused == 0 {
		os.Exit(1)
	}
}
