/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes made of the API's objects: secret, configMap, downwardAPI, projected (validate_volume_sources.h). */
#include <string.h>

#include "api/meta.h"
#include "api/validate_pod_internal.h"
#include "api/validate_volume_sources.h"
#include "base/str.h"

#define MODE_MAX 0777
#define TOKEN_SECONDS_MIN 600
#define TOKEN_SECONDS_MAX (1LL << 32)
#define CERTIFICATE_SECONDS_MIN 3600
#define CERTIFICATE_SECONDS_MAX (91 * 24 * 3600)
#define CERTIFICATE_SECONDS_MAX_OWN (24 * 3600) /* of the signers that Kubernetes itself defines */

void check_mode(struct check *c, const char *at, const struct json *o, const char *key)
{
	const struct json *v = json_get(o, key);

	if (v && (json_int(v, 0) < 0 || json_int(v, 0) > MODE_MAX))
		bad_invalid(c, PATH(c, "%s.%s", at, key), v,
			    "must be a number between 0 and 0777 (octal), both inclusive");
}

/* A file below the volume: relative, nowhere "..", and not one of the volume's own names, which begin with "..". */
static void check_file(struct check *c, const char *path, const char *file)
{
	check_relative_path(c, path, file);
	if (str_has_prefix(file, "..") && !str_has_prefix(file, "../"))
		bad_invalid_str(c, path, file, "must not start with '..'");
}

static void check_key_path(struct check *c, const char *at, const struct json *item)
{
	need_in(c, at, item, "key");
	need_in(c, at, item, "path");
	check_file(c, PATH(c, "%s.path", at), str_or(json_path_str(item, "path"), ""));
	check_mode(c, at, item, "mode");
}

void check_key_paths(const struct volume_context *v, const char *at, const struct json *source)
{
	size_t i = 0;

	check_mode(v->c, at, source, "defaultMode");
	EACH_ITEM(item, json_get(source, "items"))
		check_key_path(v->c, PATH(v->c, "%s.items[%zu]", at, i++), item);
}

/* ---- downward API ---- */

static void check_downward_file(struct check *c, const char *at, const struct json *item)
{
	const struct json *field = json_get(item, "fieldRef"), *resource = json_get(item, "resourceFieldRef");

	need_in(c, at, item, "path");
	check_file(c, PATH(c, "%s.path", at), str_or(json_path_str(item, "path"), ""));
	if (field && resource)
		bad_invalid_str(c, at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
	if (field)
		check_field_ref(c, PATH(c, "%s.fieldRef", at), field, true);
	else if (resource)
		check_resource_field_ref(c, PATH(c, "%s.resourceFieldRef", at), resource, true);
	else
		bad_required(c, at, "one of fieldRef and resourceFieldRef is required");
	check_mode(c, at, item, "mode");
}

void check_downward_items(const struct volume_context *v, const char *at, const struct json *source)
{
	check_mode(v->c, at, source, "defaultMode");
	EACH_ITEM(item, json_get(source, "items"))
		check_downward_file(v->c, at, item);
}

/* ---- projected ---- */

struct projection {
	struct check *c;
	const char *at; /* of the volume's source */
	struct map paths;
};

static void claim_path(struct projection *p, const char *path, const char *shown)
{
	if (*path && map_set(&p->paths, path, p))
		bad_invalid_str(p->c, p->at, shown, "conflicting duplicate paths");
}

static void project_keys(struct projection *p, const char *at, const struct json *s)
{
	size_t i = 0;

	need_in(p->c, at, s, "name");
	EACH_ITEM(item, json_get(s, "items")) {
		check_key_path(p->c, PATH(p->c, "%s.items[%zu]", at, i++), item);
		claim_path(p, str_or(json_path_str(item, "path"), ""), str_or(json_path_str(s, "name"), ""));
	}
}

static void project_downward(struct projection *p, const char *at, const struct json *s)
{
	EACH_ITEM(item, json_get(s, "items")) {
		const char *path = str_or(json_path_str(item, "path"), "");
		check_downward_file(p->c, at, item);
		claim_path(p, path, path);
	}
}

static void project_token(struct projection *p, const char *at, const struct json *s)
{
	struct check *c = p->c;
	int64_t seconds = json_path_int(s, "expirationSeconds", TOKEN_SECONDS_MIN);
	const char *path = str_or(json_path_str(s, "path"), "");

	if (seconds < TOKEN_SECONDS_MIN)
		bad_invalid(c, PATH(c, "%s.expirationSeconds", at), json_get(s, "expirationSeconds"),
			    "may not specify a duration less than 10 minutes");
	if (seconds > TOKEN_SECONDS_MAX)
		bad_invalid(c, PATH(c, "%s.expirationSeconds", at), json_get(s, "expirationSeconds"),
			    "may not specify a duration larger than 2^32 seconds");
	if (!*path)
		bad_required(c, PATH(c, "%s.path", p->at), NULL);
	else
		check_file(c, PATH(c, "%s.path", p->at), path);
}

/* "example.com/name": a domain with a dot, and a path. */
static void check_signer(struct check *c, const char *path, const char *s)
{
	const char *slash = strchr(s, '/');

	if (!*s) {
		bad_required(c, path, NULL);
		return;
	}
	if (!slash || strchr(slash + 1, '/')) {
		bad_invalid_str(c, path, s,
				"must be a fully qualified domain and path of the form "
				"'example.com/signer-name'");
		return;
	}
	const char *domain = arena_strndup(&c->arena, s, (size_t)(slash - s));
	const char *why = name_check_dns1123_subdomain(domain);
	if (why)
		bad_invalid_str(c, path, domain, PATH(c, "validating label \"%s\": %s", domain, why));
	else if (!strchr(domain, '.'))
		bad_invalid_str(c, path, domain, "should be a domain with at least two segments separated by dots");
	why = name_check_dns1123_subdomain(slash + 1);
	if (why)
		bad_invalid_str(c, path, slash + 1, why);
}

static void project_trust_bundle(struct projection *p, const char *at, const struct json *s)
{
	struct check *c = p->c;
	const char *name = json_path_str(s, "name"), *signer = json_path_str(s, "signerName");
	const char *path = str_or(json_path_str(s, "path"), "");

	if (name && signer) {
		bad_invalid(c, at, s, "only one of name and signerName may be used");
	} else if (name) {
		/* "signer.example.com:foo:bar" belongs to a signer, other names to none. */
		const char *tail = strrchr(name, ':'), *why = name_check_dns1123_subdomain(tail ? tail + 1 : name);
		if (!*name)
			bad_required(c, PATH(c, "%s.name", at), "must be a valid object name");
		if (why)
			bad_invalid_str(c, PATH(c, "%s.name", at), name,
					PATH(c, "not a valid clustertrustbundlename: %s", why));
		if (json_get(s, "labelSelector"))
			bad_invalid(c, PATH(c, "%s.labelSelector", at), json_get(s, "labelSelector"),
				    "labelSelector must be unset if name is specified");
	} else if (signer) {
		check_signer(c, PATH(c, "%s.signerName", at), signer);
		check_selector(c, PATH(c, "%s.labelSelector", at), json_get(s, "labelSelector"));
	} else {
		bad_required(c, at, "either name or signerName must be specified");
	}
	need_in(c, at, s, "path");
	check_file(c, PATH(c, "%s.path", at), path);
	claim_path(p, path, path);
}

static void project_certificate(struct projection *p, const char *at, const struct json *s)
{
	static const char *const keys[] = {"RSA3072",	"RSA4096", "ECDSAP256", "ECDSAP384",
					   "ECDSAP521", "ED25519", NULL};
	static const char *const paths[] = {"credentialBundlePath", "keyPath", "certificateChainPath"};
	struct check *c = p->c;
	const struct json *seconds = json_get(s, "maxExpirationSeconds");
	const char *signer = str_or(json_path_str(s, "signerName"), ""), *key = str_or(json_path_str(s, "keyType"), "");
	int64_t max = str_has_prefix(signer, "kubernetes.io/") ? CERTIFICATE_SECONDS_MAX_OWN : CERTIFICATE_SECONDS_MAX;
	size_t n = 0;

	check_signer(c, PATH(c, "%s.signerName", at), signer);
	if (!str_in(key, keys))
		bad_unsupported(c, PATH(c, "%s.keyType", at), key, keys);
	if (seconds && json_int(seconds, 0) < CERTIFICATE_SECONDS_MIN)
		bad_invalid(c, PATH(c, "%s.maxExpirationSeconds", at), seconds,
			    PATH(c, "if provided, maxExpirationSeconds must be >= %d", CERTIFICATE_SECONDS_MIN));
	else if (seconds && json_int(seconds, 0) > max)
		bad_invalid(c, PATH(c, "%s.maxExpirationSeconds", at), seconds,
			    PATH(c, "if provided, maxExpirationSeconds must be <= %lld", (long long)max));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *path = str_or(json_path_str(s, paths[i]), "");
		if (!*path)
			continue;
		n++;
		check_file(c, PATH(c, "%s.%s", at, paths[i]), path);
		claim_path(p, path, path);
	}
	if (!n)
		bad_required(c, at, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath");
}

void check_projected(const struct volume_context *v, const char *at, const struct json *source)
{
	static const struct {
		const char *name;
		void (*fn)(struct projection *p, const char *at, const struct json *s);
	} kinds[] = {{"secret", project_keys},
		     {"configMap", project_keys},
		     {"downwardAPI", project_downward},
		     {"serviceAccountToken", project_token},
		     {"clusterTrustBundle", project_trust_bundle},
		     {"podCertificate", project_certificate}};
	struct projection p = {.c = v->c, .at = at};
	size_t i = 0;

	check_mode(v->c, at, source, "defaultMode");
	EACH_ITEM(s, json_get(source, "sources")) {
		const char *source_at = PATH(v->c, "%s.sources[%zu]", at, i++);
		size_t n = 0;
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			const struct json *one = json_get(s, kinds[k].name);
			if (!one)
				continue;
			n++;
			kinds[k].fn(&p, PATH(v->c, "%s.%s", source_at, kinds[k].name), one);
		}
		if (n > 1)
			bad_forbidden(v->c, source_at, "may not specify more than 1 volume type per source");
	}
	map_release(&p.paths, NULL);
}
