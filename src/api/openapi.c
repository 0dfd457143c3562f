/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi.h"

#include <errno.h>
#include <inttypes.h>

#include "api/openapi_internal.h"
#include "api/resource.h"
#include "api/served_internal.h"
#include "base/buf.h"
#include "base/str.h"

static void write_info(struct openapi *o)
{
	json_out_raw(&o->w, "info", "{\"title\":\"Kubernetes\",\"version\":\"v1.37.0\"}");
}

static void write_custom_rows(struct openapi *o, const struct group_version *gv)
{
	for (size_t i = 0; o->set && i < o->set->n_extra; i++) {
		const struct resource *r = o->set->extra[i];

		if (!gv || (str_eq(r->group, gv->group) && str_eq(r->version, gv->version)))
			openapi_write_custom(o, r);
	}
}

int openapi_v3_document(const struct resource_set *set, const char *group, const char *version, struct buf *out)
{
	struct openapi o = {.w = {.buf = out}, .set = set};
	struct served_iter it = {.set = set, .group = group, .version = version};
	struct group_version gv = {group, version};

	if (!served_next(&it))
		return -ENOENT;
	json_out_object(&o.w, NULL);
	json_out_str(&o.w, "openapi", "3.0.0");
	write_info(&o);
	json_out_object(&o.w, "paths");
	openapi_write_paths(&o, group, version);
	json_out_end_object(&o.w);
	json_out_object(&o.w, "components");
	json_out_object(&o.w, "schemas");
	write_custom_rows(&o, &gv);
	openapi_write_types(&o);
	json_out_end_object(&o.w);
	json_out_raw(&o.w, "securitySchemes",
		     "{\"BearerToken\":{\"type\":\"apiKey\",\"name\":\"authorization\",\"in\":\"header\"}}");
	json_out_end_object(&o.w);
	json_out_end_object(&o.w);
	openapi_release(&o);
	return 0;
}

void openapi_v3_index(const struct resource_set *set, struct buf *out)
{
	struct json_out w = {.buf = out};
	struct group_versions gvs = {0};
	_cleanup_buf_ struct buf document = BUF_INIT, path = BUF_INIT;

	served_collect(set, &gvs);
	json_out_object(&w, NULL);
	json_out_object(&w, "paths");
	for (size_t i = 0; i < gvs.n; i++) {
		const struct group_version *gv = &gvs.at[i];
		char text[API_VERSION_MAX];

		buf_clear(&document);
		buf_clear(&path);
		openapi_v3_document(set, gv->group, gv->version, &document);
		buf_addf(&path, "%s/%s", *gv->group ? "apis" : "api", served_api_version(gv->group, gv->version, text));
		json_out_object(&w, path.data);
		json_out_key(&w, "serverRelativeURL");
		buf_addf(out, "\"/openapi/v3/%s?hash=%016" PRIX64 "\"", path.data, fnv64a(document.data, document.len));
		json_out_end_object(&w);
	}
	json_out_end_object(&w);
	json_out_end_object(&w);
	VEC_RELEASE(&gvs);
}

void openapi_v2(const struct resource_set *set, struct buf *out)
{
	struct openapi o = {.w = {.buf = out}, .set = set, .v2 = true};
	struct group_versions gvs = {0};

	served_collect(set, &gvs);
	json_out_object(&o.w, NULL);
	json_out_str(&o.w, "swagger", "2.0");
	write_info(&o);
	json_out_object(&o.w, "paths");
	for (size_t i = 0; i < gvs.n; i++)
		openapi_write_paths(&o, gvs.at[i].group, gvs.at[i].version);
	json_out_end_object(&o.w);
	json_out_object(&o.w, "definitions");
	write_custom_rows(&o, NULL);
	openapi_write_types(&o);
	json_out_end_object(&o.w);
	json_out_raw(&o.w, "securityDefinitions",
		     "{\"BearerToken\":{\"type\":\"apiKey\",\"name\":\"authorization\",\"in\":\"header\"}}");
	json_out_raw(&o.w, "security", "[{\"BearerToken\":[]}]");
	json_out_end_object(&o.w);
	openapi_release(&o);
	VEC_RELEASE(&gvs);
}
