#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs as init of the virtual machine, from its own tmpfs: a cluster on pure cgroup v2 with every controller.
export PATH=/bin:/sbin HOME=/root KUBECONFIG=/var/lib/proa/admin.kubeconfig
verdict() { if [ "$2" = "$3" ]; then echo "ok    $1"; else echo "FAIL  $1: $2 is not $3"; fi; }
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts; mount -t devpts devpts /dev/pts
for dir in /run /tmp /var/lib; do mount -t tmpfs tmpfs $dir; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for module in llc stp garp overlay veth bridge; do insmod /modules/$module.ko; done
ip link set lo up
proa up --detach --listen=127.0.0.1:6443 --node-ip=127.0.0.1 --node-name=vm
verdict "the cluster starts" $? 0
proa image import /busybox.tar --name=busybox:demo
kubectl apply -f /pods.yaml
kubectl wait pod/limited --for=condition=Ready --timeout=60s
verdict "a pod runs" $? 0
dir=$(ls -d /sys/fs/cgroup/proa-*/pod*/*/)
verdict "memory limit" "$(cat $dir/memory.max)" 50331648
verdict "cpu limit" "$(cat $dir/cpu.max)" "50000 100000"
verdict "its own view" "$(kubectl exec limited -- cat /sys/fs/cgroup/memory.max)" 50331648
# Its kubectl knows no resize: the request by hand.
mkfifo /tmp/proxy /tmp/watch
kubectl proxy --port=8001 >/tmp/proxy &
exec 4</tmp/proxy
read -r _ <&4
kubectl get pod limited -w -o 'jsonpath={.status.containerStatuses[0].resources.limits.memory}{"\n"}' >/tmp/watch & watch=$!
exec 3</tmp/watch
wanted='[{"op":"replace","path":"/spec/containers/0/resources","value":{"requests":{"cpu":"250m","memory":"32Mi"},"limits":{"cpu":"250m","memory":"32Mi"}}}]'
printf 'PATCH /api/v1/namespaces/default/pods/limited/resize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json-patch+json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' ${#wanted} "$wanted" | nc 127.0.0.1 8001 >/tmp/answer
grep -m 1 '^32Mi$' <&3
kill $watch
verdict "resized in place" "$(cat $dir/memory.max) $(cat $dir/cpu.max)" "33554432 25000 100000"
kubectl logs -f oom
verdict "out of memory" "$(kubectl get pod oom -o 'jsonpath={.status.containerStatuses[0].state.terminated.reason}')" OOMKilled
proa down
verdict "nothing is left" "$(find /sys/fs/cgroup -name 'proa*')$(ls /run/proa)" ""
poweroff -f
