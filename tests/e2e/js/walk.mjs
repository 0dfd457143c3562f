// SPDX-License-Identifier: Apache-2.0
// usage: KUBECONFIG=FILE node walk.mjs [WORD] : every kind of discovery with the official JavaScript client, over TLS.
//
// Create from the minimal object of ../kinds.json, get, list, watch, patch, delete. Prints a line a kind and at the end
// `N passed, N failed`. Controllers may run in the cluster: what they would do anyway is not an error here.
import { readFileSync } from 'node:fs';
import * as k8s from '@kubernetes/client-node';

const WATCH_MS = 10000;
const NS = 'kinds-test';
const OBJECTS = JSON.parse(readFileSync(new URL('../kinds.json', import.meta.url)));
const MERGE = k8s.PatchStrategy.MergePatch;

const config = new k8s.KubeConfig();
config.loadFromDefault();
const api = k8s.KubernetesObjectApi.makeApiClient(config);
const watcher = new k8s.Watch(config);

function check(condition, message) {
	if (!condition) throw new Error(message);
}

async function absent(promise) {
	try {
		return await promise;
	} catch (error) {
		if (error.code === 404) return null;
		throw error;
	}
}

// Watches one object; seen(type) resolves when the event has come. The watch tells, nothing polls.
async function watch(path, name) {
	const types = new Set();
	const waiting = new Map();
	let ended = null;
	const tell = (type) => {
		types.add(type);
		waiting.get(type)?.();
	};
	const controller = await watcher.watch(path, { fieldSelector: 'metadata.name=' + name }, tell, (error) => {
		ended = error;
	});
	return {
		seen: (type) =>
			new Promise((resolve, reject) => {
				if (types.has(type)) return resolve();
				const timer = setTimeout(
					() => reject(new Error(`the watch did not tell ${type}: ${[...types]} ${ended ?? ''}`)),
					WATCH_MS,
				);
				waiting.set(type, () => {
					clearTimeout(timer);
					resolve();
				});
			}),
		stop: () => controller.abort(),
	};
}

// What no controller does for an object that is held by its finalizers.
async function release(object) {
	const left = await absent(api.read(object));
	if (!left) return;
	check(left.metadata.deletionTimestamp, 'deleted, but it has no deletionTimestamp');
	if (left.metadata.finalizers?.length)
		await absent(api.patch({ ...object, metadata: { ...object.metadata, finalizers: null } },
			undefined, undefined, undefined, undefined, MERGE));
}

async function walk(version, resource) {
	const group = version.includes('/') ? version.split('/')[0] : '';
	const key = group ? `${resource.name}.${group}` : resource.name;
	check(key in OBJECTS, 'not in the table of minimal objects');
	if (OBJECTS[key] === null) return 'skipped: cannot be made by a client alone';
	const { metadata: given, ...rest } = OBJECTS[key];
	const metadata = { name: 'kinds-js-' + resource.name, ...given };
	if (resource.namespaced) metadata.namespace = NS;
	const head = { apiVersion: version, kind: resource.kind, metadata };
	const root = group ? `/apis/${version}` : `/api/${version}`;
	const path = root + (resource.namespaced ? `/namespaces/${NS}` : '') + '/' + resource.name;
	const events = await watch(path, metadata.name);
	try {
		const made = await api.create({ ...head, ...rest });
		check(made.metadata.uid && made.metadata.name === metadata.name, 'the created object is not complete');
		await events.seen('ADDED');
		const got = await api.read(head);
		check(got.metadata.uid === made.metadata.uid && got.kind === resource.kind, 'got another object');
		const listed = await api.list(version, resource.kind, metadata.namespace);
		check(listed.items.some((o) => o.metadata.name === metadata.name), 'not in the list');
		const patched = await api.patch({ ...head, metadata: { ...metadata, labels: { patched: 'yes' } } },
			undefined, undefined, undefined, undefined, MERGE);
		check(patched.metadata.labels?.patched === 'yes', 'the patch had no effect');
		check(patched.metadata.resourceVersion !== made.metadata.resourceVersion, 'the revision did not change');
		await events.seen('MODIFIED');
		const found = await api.list(version, resource.kind, metadata.namespace, undefined, undefined, undefined,
			undefined, 'patched=yes');
		check(found.items.some((o) => o.metadata.name === metadata.name), 'not found by its label');
		await api.delete(head);
		await release(head);
		await events.seen('DELETED');
		check((await absent(api.read(head))) === null, 'still there after it was deleted');
	} finally {
		events.stop();
	}
	return null;
}

async function resources() {
	const core = config.makeApiClient(k8s.CoreApi);
	const versions = (await core.getAPIVersions()).versions;
	const groups = (await config.makeApiClient(k8s.ApisApi).getAPIVersions()).groups;
	for (const group of groups) versions.push(...group.versions.map((v) => v.groupVersion));
	const custom = config.makeApiClient(k8s.CustomObjectsApi);
	const typed = config.makeApiClient(k8s.CoreV1Api);
	const found = [];
	for (const version of versions) {
		const [group, name] = version.split('/');
		const list = name ? await custom.getAPIResources({ group, version: name }) : await typed.getAPIResources();
		for (const r of list.resources)
			if (!r.name.includes('/') && ['create', 'list', 'get'].every((v) => r.verbs.includes(v)))
				found.push([version, r]);
	}
	return found;
}

const wanted = process.argv[2] ?? '';
const space = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NS } };
const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: NS } };
for (const object of [space, account])
	await api.create(object).catch((error) => check(error.code === 409, String(error)));
let passed = 0;
let failed = 0;
for (const [version, resource] of await resources()) {
	if (!`${version} ${resource.name}`.includes(wanted)) continue;
	try {
		const note = await walk(version, resource);
		passed++;
		console.log(`ok    ${version} ${resource.name}${note ? ` (${note})` : ''}`);
	} catch (error) {
		failed++;
		console.log(`FAIL  ${version} ${resource.name}: ${String(error.message ?? error).replaceAll('\n', ' ').slice(0, 600)}`);
	}
}
await api.delete(space).catch(() => {});
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
