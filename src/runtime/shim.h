/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proa-shim: one per pod. Owns the pod's namespaces, starts and supervises its containers, writes their logs, and
 * answers agents on DIR/shim.sock. It outlives them; it ends when the pod is removed, or when the connection it was
 * started with closes before there is a pod.
 *
 *   proa-shim DIR     DIR: the pod's directory (0700); descriptor 3: the first connection
 *
 * One thread, one epoll set, nothing blocks but disk. DIR/pod.json says who the shim is (state.h), DIR/<id>/rootfs is
 * where a container's root file system is mounted in that container's own namespace.
 */
#ifndef PROA_RUNTIME_SHIM_H
#define PROA_RUNTIME_SHIM_H

int shim_main(int argc, char **argv);

#endif
