/* SPDX-License-Identifier: Apache-2.0 */
/* Ingress: hosts, paths and backends. */
#include "api/validate_ingress.h"

#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/str.h"

#define CLASS_ANNOTATION "kubernetes.io/ingress.class"

/* backend: what the port is complained of at */
static void check_backend_service(struct check *c, const char *backend, const struct json *service)
{
	const char *at = PATH(c, "%s.service", backend);
	const char *port_name = json_path_str(service, "port.name");
	int64_t number = json_path_int(service, "port.number", 0);

	if (need_str(c, PATH(c, "%s.name", at), json_get(service, "name")))
		check_name(c, PATH(c, "%s.name", at), json_get(service, "name"), name_check_dns1123_label);
	if (str_empty(port_name) && !number) {
		bad_required(c, backend, "port name or number is required");
		return;
	}
	if (!str_empty(port_name) && number) {
		bad_invalid_str(c, backend, "", "cannot set both port name & port number");
	} else if (!str_empty(port_name)) {
		check_name(c, PATH(c, "%s.port.name", at), json_path(service, "port.name"), name_check_port_name);
	} else {
		check_port(c, PATH(c, "%s.port.number", at), json_path(service, "port.number"));
	}
}

static void check_backend(struct check *c, const char *at, const struct json *b)
{
	static const struct rule typed[] = {
	    REQUIRED("", "kind"),
	    REQUIRED("", "name"),
	    NAME("", "kind", name_check_path_segment),
	    NAME("", "name", name_check_path_segment),
	    NAME("", "apiGroup", name_check_dns1123_subdomain),
	};
	const struct json *service = json_get(b, "service"), *resource = json_get(b, "resource");

	if (service && resource) {
		bad_invalid_str(c, at, "", "cannot set both resource and service backends");
	} else if (resource) {
		check_fields(c, PATH(c, "%s.resource", at), resource, typed, ARRAY_SIZE(typed));
	} else if (service) {
		check_backend_service(c, at, service);
	} else {
		bad_invalid_str(c, at, "", "resource or service backend is required");
	}
}

static void check_path_text(struct check *c, const char *at, const struct json *path)
{
	static const char *const within[] = {"//", "/./", "/../", "%2f", "%2F"};
	static const char *const at_end[] = {"/..", "/."};
	const char *s = str_or(json_str(path), "");
	const struct json *shown = path ? path : json_new_str(&c->arena, "");

	if (*s != '/')
		bad_invalid(c, at, shown, "must be an absolute path");
	for (size_t i = 0; *s && i < ARRAY_SIZE(within); i++)
		if (strstr(s, within[i]))
			bad_invalid(c, at, path, PATH(c, "must not contain '%s'", within[i]));
	for (size_t i = 0; *s && i < ARRAY_SIZE(at_end); i++)
		if (str_has_suffix(s, at_end[i]))
			bad_invalid(c, at, path, PATH(c, "cannot end with '%s'", at_end[i]));
}

static void check_http_path(struct check *c, const char *at, const struct json *p)
{
	static const char *const types[] = {"Exact", "ImplementationSpecific", "Prefix", NULL};
	const char *type = json_path_str(p, "pathType"), *path = str_or(json_path_str(p, "path"), "");
	const char *path_at = PATH(c, "%s.path", at);

	if (!type) {
		bad_required(c, PATH(c, "%s.pathType", at), "pathType must be specified");
		return;
	}
	if (!str_in(type, types))
		bad_unsupported(c, PATH(c, "%s.pathType", at), type, types);
	else if (!str_eq(type, "ImplementationSpecific"))
		check_path_text(c, path_at, json_get(p, "path"));
	else if (*path && *path != '/')
		bad_invalid_str(c, path_at, path, "must be an absolute path");
	check_backend(c, PATH(c, "%s.backend", at), json_get(p, "backend"));
}

static void check_tls(struct check *c, const struct json *spec)
{
	size_t i = 0, k;

	EACH_ITEM(t, json_get(spec, "tls")) {
		const char *at = PATH(c, "spec.tls[%zu]", i++), *secret = json_path_str(t, "secretName");
		k = 0;
		EACH_ITEM(h, json_get(t, "hosts"))
			check_name(c, PATH(c, "%s.hosts[%zu]", at, k++), h,
				   strchr(str_or(json_str(h), ""), '*') ? rule_host : name_check_dns1123_subdomain);
		if (!str_empty(secret))
			check_name(c, PATH(c, "%s.secretName", at), json_get(t, "secretName"),
				   name_check_dns1123_subdomain);
	}
}

static void check_class(struct check *c, const struct json *spec)
{
	const struct json *name = json_get(spec, "ingressClassName");
	const char *annotation = meta_annotation(c->tree, CLASS_ANNOTATION);

	if (!name)
		return;
	check_name(c, "spec.ingressClassName", name, name_check_dns1123_subdomain);
	if (!c->old && annotation)
		bad_invalid_str(c, "metadata.annotations[" CLASS_ANNOTATION "]", annotation,
				"can not be set when the class field is also set");
}

void check_ingress(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *backend = json_get(spec, "defaultBackend");
	size_t i = 0, k;

	check_class(c, spec);
	check_tls(c, spec);
	if (!backend && !json_len(json_get(spec, "rules")))
		bad_invalid(c, "spec", json_len(spec) ? spec : json_new(&c->arena, JSON_NULL),
			    "either `defaultBackend` or `rules` must be specified");
	if (backend)
		check_backend(c, "spec.defaultBackend", backend);
	EACH_ITEM(r, json_get(spec, "rules")) {
		const char *at = PATH(c, "spec.rules[%zu]", i++);
		if (!str_empty(json_path_str(r, "host")))
			check_name(c, PATH(c, "%s.host", at), json_get(r, "host"), rule_host);
		if (json_get(r, "http") && !json_len(json_path(r, "http.paths")))
			bad_required(c, PATH(c, "%s.http.paths", at), NULL);
		k = 0;
		EACH_ITEM(p, json_path(r, "http.paths"))
			check_http_path(c, PATH(c, "%s.http.paths[%zu]", at, k++), p);
	}
}

void check_ingress_status(struct check *c, const char *subresource)
{
	size_t i = 0;
	(void)subresource;

	EACH_ITEM(in, json_path(c->tree, "status.loadBalancer.ingress")) {
		const char *at = PATH(c, "status.loadBalancer.ingress[%zu]", i++),
			   *host = json_path_str(in, "hostname");
		if (!str_empty(json_path_str(in, "ip")))
			check_name(c, PATH(c, "%s.ip", at), json_get(in, "ip"), rule_ip);
		if (!str_empty(host))
			check_name(c, PATH(c, "%s.hostname", at), json_get(in, "hostname"), rule_host);
	}
}
