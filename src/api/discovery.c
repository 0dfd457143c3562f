/* SPDX-License-Identifier: Apache-2.0 */
#include "api/discovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "api/json_out.h"
#include "api/resource.h"
#include "api/served_internal.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/str.h"

static const char *const verb_names[] = {"create", "delete", "deletecollection", "get",
					 "list",   "patch",  "update",		 "watch"}; /* by bit of enum verb */

static void write_verbs(struct json_out *w, uint32_t verbs)
{
	json_out_array(w, "verbs");
	for (size_t i = 0; i < ARRAY_SIZE(verb_names); i++)
		if (verbs & 1u << i)
			json_out_str(w, NULL, verb_names[i]);
	json_out_end_array(w);
}

void discovery_core_versions(const char *server_address, struct buf *out)
{
	struct json_out w = {.buf = out};

	json_out_object(&w, NULL);
	json_out_str(&w, "kind", "APIVersions");
	json_out_raw(&w, "versions", "[\"v1\"]");
	json_out_array(&w, "serverAddressByClientCIDRs");
	if (server_address) {
		json_out_object(&w, NULL);
		json_out_str(&w, "clientCIDR", "0.0.0.0/0");
		json_out_str(&w, "serverAddress", server_address);
		json_out_end_object(&w);
	}
	json_out_end_array(&w);
	json_out_end_object(&w);
}

static void write_group_version(struct json_out *w, const char *key, const struct group_version *gv)
{
	char text[API_VERSION_MAX];

	json_out_object(w, key);
	json_out_str(w, "groupVersion", served_api_version(gv->group, gv->version, text));
	json_out_str(w, "version", gv->version);
	json_out_end_object(w);
}

/* The members of an APIGroup whose first version is at i; returns the index after its last. */
static size_t write_group(struct json_out *w, const struct group_versions *gvs, size_t i)
{
	size_t first = i;

	json_out_str(w, "name", gvs->at[i].group);
	json_out_array(w, "versions");
	for (; i < gvs->n && str_eq(gvs->at[i].group, gvs->at[first].group); i++)
		write_group_version(w, NULL, &gvs->at[i]);
	json_out_end_array(w);
	write_group_version(w, "preferredVersion", &gvs->at[first]);
	return i;
}

void discovery_groups(const struct resource_set *set, struct buf *out)
{
	struct json_out w = {.buf = out};
	struct group_versions gvs = {0};

	served_collect(set, &gvs);
	json_out_object(&w, NULL);
	json_out_str(&w, "kind", "APIGroupList");
	json_out_str(&w, "apiVersion", "v1");
	json_out_array(&w, "groups");
	for (size_t i = 0; i < gvs.n;) {
		if (!*gvs.at[i].group) {
			i++;
			continue;
		}
		json_out_object(&w, NULL);
		i = write_group(&w, &gvs, i);
		json_out_end_object(&w);
	}
	json_out_end_array(&w);
	json_out_end_object(&w);
	VEC_RELEASE(&gvs);
}

int discovery_group(const struct resource_set *set, const char *group, struct buf *out)
{
	struct json_out w = {.buf = out};
	struct group_versions gvs = {0};
	int r = -ENOENT;

	served_collect(set, &gvs);
	for (size_t i = 0; i < gvs.n && *group; i++) {
		if (!str_eq(gvs.at[i].group, group))
			continue;
		json_out_object(&w, NULL);
		json_out_str(&w, "kind", "APIGroup");
		json_out_str(&w, "apiVersion", "v1");
		write_group(&w, &gvs, i);
		json_out_end_object(&w);
		r = 0;
		break;
	}
	VEC_RELEASE(&gvs);
	return r;
}

/* Tells a client whether the stored version changed; upstream hashes the same three names. */
static void write_storage_hash(struct json_out *w, const struct resource *r)
{
	_cleanup_buf_ struct buf names = BUF_INIT, text = BUF_INIT;
	uint64_t hash;

	if (!r->storage_prefix)
		return;
	buf_addf(&names, "%s/%s/%s", r->group, r->version, r->kind);
	hash = fnv64a(names.data, names.len);
	base64_encode(&text, &hash, sizeof(hash));
	json_out_str(w, "storageVersionHash", text.data);
}

static void write_resource(struct json_out *w, const struct resource *r)
{
	json_out_object(w, NULL);
	json_out_str(w, "name", r->plural);
	json_out_str(w, "singularName", r->singular);
	json_out_bool(w, "namespaced", r->namespaced);
	json_out_str(w, "kind", r->kind);
	write_verbs(w, r->verbs);
	json_out_strv(w, "shortNames", r->short_names);
	json_out_strv(w, "categories", r->categories);
	write_storage_hash(w, r);
	json_out_end_object(w);
}

static void write_subresource(struct json_out *w, const struct resource *r, const struct subresource *s)
{
	_cleanup_buf_ struct buf name = BUF_INIT;

	buf_addf(&name, "%s/%s", r->plural, s->name);
	json_out_object(w, NULL);
	json_out_str(w, "name", name.data);
	json_out_str(w, "singularName", "");
	json_out_bool(w, "namespaced", r->namespaced);
	if (s->kind && (!str_eq(s->group, r->group) || !str_eq(s->version, r->version))) {
		json_out_opt(w, "group", s->group);
		json_out_str(w, "version", s->version);
	}
	json_out_str(w, "kind", s->kind ? s->kind : r->kind);
	write_verbs(w, s->verbs);
	json_out_end_object(w);
}

int discovery_resources(const struct resource_set *set, const char *group, const char *version, struct buf *out)
{
	struct served_iter it = {.set = set, .group = group, .version = version};
	const struct resource *r = served_next(&it);
	struct json_out w = {.buf = out};
	char text[API_VERSION_MAX];

	if (!r)
		return -ENOENT;
	json_out_object(&w, NULL);
	json_out_str(&w, "kind", "APIResourceList");
	if (*group)
		json_out_str(&w, "apiVersion", "v1");
	json_out_str(&w, "groupVersion", served_api_version(group, version, text));
	json_out_array(&w, "resources");
	for (; r; r = served_next(&it)) {
		write_resource(&w, r);
		for (size_t i = 0; i < r->n_subresources; i++)
			write_subresource(&w, r, &r->subresources[i]);
	}
	json_out_end_array(&w);
	json_out_end_object(&w);
	return 0;
}

/* Group and version are told where they are not those that the resource is served in. */
static void write_response_kind(struct json_out *w, const char *group, const char *version, const char *kind)
{
	json_out_object(w, "responseKind");
	json_out_str(w, "group", group);
	json_out_str(w, "version", version);
	json_out_str(w, "kind", kind);
	json_out_end_object(w);
}

static void write_aggregated_resource(struct json_out *w, const struct resource *r)
{
	json_out_object(w, NULL);
	json_out_str(w, "resource", r->plural);
	write_response_kind(w, "", "", r->kind);
	json_out_str(w, "scope", r->namespaced ? "Namespaced" : "Cluster");
	json_out_str(w, "singularResource", r->singular);
	write_verbs(w, r->verbs);
	json_out_strv(w, "shortNames", r->short_names);
	json_out_strv(w, "categories", r->categories);
	if (r->n_subresources)
		json_out_array(w, "subresources");
	for (size_t i = 0; i < r->n_subresources; i++) {
		const struct subresource *s = &r->subresources[i];

		json_out_object(w, NULL);
		json_out_str(w, "subresource", s->name);
		if (s->kind && (!str_eq(s->group, r->group) || !str_eq(s->version, r->version)))
			write_response_kind(w, s->group, s->version, s->kind);
		else
			write_response_kind(w, "", "", s->kind ? s->kind : r->kind);
		write_verbs(w, s->verbs);
		json_out_end_object(w);
	}
	if (r->n_subresources)
		json_out_end_array(w);
	json_out_end_object(w);
}

static void write_aggregated_version(struct json_out *w, const struct resource_set *set, const struct group_version *gv)
{
	struct served_iter it = {.set = set, .group = gv->group, .version = gv->version};
	const struct resource *r;

	json_out_object(w, NULL);
	json_out_str(w, "version", gv->version);
	json_out_array(w, "resources");
	while ((r = served_next(&it)))
		write_aggregated_resource(w, r);
	json_out_end_array(w);
	json_out_str(w, "freshness", "Current");
	json_out_end_object(w);
}

void discovery_aggregated(const struct resource_set *set, bool core, const char *version, struct buf *out)
{
	struct json_out w = {.buf = out};
	struct group_versions gvs = {0};
	char text[API_VERSION_MAX];

	served_collect(set, &gvs);
	json_out_object(&w, NULL);
	json_out_str(&w, "kind", "APIGroupDiscoveryList");
	json_out_str(&w, "apiVersion", served_api_version("apidiscovery.k8s.io", version, text));
	json_out_raw(&w, "metadata", "{}");
	json_out_array(&w, "items");
	for (size_t i = 0; i < gvs.n;) {
		const char *group = gvs.at[i].group;

		if (core != !*group) {
			i++;
			continue;
		}
		json_out_object(&w, NULL);
		json_out_object(&w, "metadata");
		json_out_opt(&w, "name", group);
		json_out_end_object(&w);
		json_out_array(&w, "versions");
		for (; i < gvs.n && str_eq(gvs.at[i].group, group); i++)
			write_aggregated_version(&w, set, &gvs.at[i]);
		json_out_end_array(&w);
		json_out_end_object(&w);
	}
	json_out_end_array(&w);
	json_out_end_object(&w);
	VEC_RELEASE(&gvs);
}

char *discovery_etag(const struct buf *document, char out[DISCOVERY_ETAG_MAX])
{
	snprintf(out, DISCOVERY_ETAG_MAX, "\"%016" PRIX64 "\"", fnv64a(document->data, document->len));
	return out;
}
