/* SPDX-License-Identifier: Apache-2.0 */
#include "api/validate_volume_sources.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate_pod_internal.h"
#include "base/str.h"

#define ISCSI_PORTAL_MAX 64 /* "volume:portal" names a directory with an initiator */
#define QUOBYTE_TENANT_MAX 64

typedef void source_fn(const struct volume_context *v, const char *at, const struct json *s);

/* ---- paths ---- */

bool path_steps_up(const char *s)
{
	for (; s; s = strchr(s, '/') ? strchr(s, '/') + 1 : NULL)
		if (strncmp(s, "..", 2) == 0 && (!s[2] || s[2] == '/'))
			return true;
	return false;
}

void check_relative_path(struct check *c, const char *path, const char *s)
{
	if (*s == '/')
		bad_invalid_str(c, path, s, "must be a relative path");
	if (path_steps_up(s))
		bad_invalid_str(c, path, s, "must not contain '..'");
}

static void check_no_steps_up(struct check *c, const char *at, const struct json *s, const char *key)
{
	const char *path = str_or(json_path_str(s, key), "");

	if (path_steps_up(path))
		bad_invalid_str(c, PATH(c, "%s.%s", at, key), path, "must not contain '..'");
}

/* ---- sources with rules of their own ---- */

static void empty_dir(const struct volume_context *v, const char *at, const struct json *s)
{
	struct quantity q;

	if (quantity_from_json(json_get(s, "sizeLimit"), &q) == 0 && q.nano < 0)
		bad_forbidden(v->c, PATH(v->c, "%s.sizeLimit", at),
			      "SizeLimit field must be a valid resource quantity");
}

static void host_path(const struct volume_context *v, const char *at, const struct json *s)
{
	static const char *const types[] = {"",	    "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
					    "File", "FileOrCreate", "Socket",	  NULL};

	if (str_empty(json_path_str(s, "path")))
		return;
	check_no_steps_up(v->c, at, s, "path");
	choice_in(v->c, at, s, "type", types);
}

static void git_repo(const struct volume_context *v, const char *at, const struct json *s)
{
	check_relative_path(v->c, PATH(v->c, "%s.directory", at), str_or(json_path_str(s, "directory"), ""));
}

static void partition(const struct volume_context *v, const char *at, const struct json *s)
{
	int64_t n = json_path_int(s, "partition", 0);

	if (n < 0 || n > 255)
		bad_invalid(v->c, PATH(v->c, "%s.partition", at), json_get(s, "partition"),
			    "must be between 1 and 255, inclusive");
}

static void nfs(const struct volume_context *v, const char *at, const struct json *s)
{
	const char *path = str_or(json_path_str(s, "path"), "");

	if (*path != '/')
		bad_invalid_str(v->c, PATH(v->c, "%s.path", at), path, "must be an absolute path");
}

/* iqn.2001-04.com.example:storage, eui. and 16, naa. and 32 letters or digits */
static bool is_iscsi_name(const char *s)
{
	size_t n = 4;

	if (str_has_prefix(s, "eui") || str_has_prefix(s, "naa")) {
		size_t want = s[0] == 'e' ? 16 : 32;
		if (strlen(s) != want + 4)
			return false;
		while (isalnum((unsigned char)s[n]))
			n++;
		return !s[n];
	}
	static const char form[] = "dddd-dd.";
	if (strlen(s) < sizeof("iqn.yyyy-mm.a:b") - 1 || s[3] != '.')
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)s[4 + i]) : s[4 + i] != form[i])
			return false;
	const char *domain = s + 4 + sizeof(form) - 1, *colon = strchr(domain, ':');
	for (const char *d = domain; d < (colon ? colon : domain); d++)
		if (!isalnum((unsigned char)*d) && *d != '-' && *d != '.')
			return false;
	return colon && colon > domain && colon[1] && !strpbrk(colon + 1, ",;*&$| \t\r\n");
}

static void iscsi_name(struct check *c, const char *path, const char *s)
{
	if (!str_has_prefix(s, "iqn") && !str_has_prefix(s, "eui") && !str_has_prefix(s, "naa"))
		bad_invalid_str(c, path, s, "must be valid format starting with iqn, eui, or naa");
	else if (!is_iscsi_name(s))
		bad_invalid_str(c, path, s, "must be valid format");
}

static void iscsi(const struct volume_context *v, const char *at, const struct json *s)
{
	struct check *c = v->c;
	const char *iqn = json_path_str(s, "iqn"), *initiator = json_path_str(s, "initiatorName");
	const char *portal = str_or(json_path_str(s, "targetPortal"), "");
	bool chap = json_path_bool(s, "chapAuthDiscovery", false) || json_path_bool(s, "chapAuthSession", false);

	if (!str_empty(iqn))
		iscsi_name(c, PATH(c, "%s.iqn", at), iqn);
	range_in(c, at, s, "lun", 0, 255);
	if (chap && !json_get(s, "secretRef"))
		bad_required(c, PATH(c, "%s.secretRef", at), NULL);
	if (v->persistent && json_get(s, "secretRef"))
		need_in(c, PATH(c, "%s.secretRef", at), json_get(s, "secretRef"), "name");
	if (!initiator)
		return;
	iscsi_name(c, PATH(c, "%s.initiatorname", at), initiator);
	if (strlen(v->name) + 1 + strlen(portal) > ISCSI_PORTAL_MAX)
		bad_invalid_str(c, v->persistent ? PATH(c, "%s.targetportal", at) : PATH(c, "%s.name", at),
				v->persistent ? portal : v->name,
				"Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if "
				"iscsi.initiatorName is specified.");
}

static void glusterfs(const struct volume_context *v, const char *at, const struct json *s)
{
	const char *ns = v->persistent ? json_path_str(s, "endpointsNamespace") : NULL;

	if (ns && !*ns)
		bad_invalid_str(v->c, PATH(v->c, "%s.endpointsNamespace", at), ns,
				"if the endpointnamespace is set, it must be a valid namespace name");
	else if (ns)
		name_in(v->c, at, s, "endpointsNamespace", name_check_dns1123_label);
}

static void flocker(const struct volume_context *v, const char *at, const struct json *s)
{
	const char *name = str_or(json_path_str(s, "datasetName"), "");
	bool uuid = !str_empty(json_path_str(s, "datasetUUID"));

	if (!*name && !uuid)
		bad_required(v->c, at, "one of datasetName and datasetUUID is required");
	if (*name && uuid)
		bad_invalid_str(v->c, at, "resource",
				"datasetName and datasetUUID can not be specified simultaneously");
	if (strchr(name, '/'))
		bad_invalid_str(v->c, PATH(v->c, "%s.datasetName", at), name, "must not contain '/'");
}

static void monitors(const struct volume_context *v, const char *at, const struct json *s)
{
	if (!json_len(json_get(s, "monitors")))
		bad_required(v->c, PATH(v->c, "%s.monitors", at), NULL);
}

/* A Secret named beside the source; a PersistentVolume names its namespace too. */
static void secret_ref(const struct volume_context *v, const char *at, const struct json *s)
{
	const struct json *ref = json_get(s, "secretRef");
	const char *ref_at = PATH(v->c, "%s.secretRef", at);

	if (!ref)
		return;
	need_in(v->c, ref_at, ref, "name");
	if (v->persistent)
		need_in(v->c, ref_at, ref, "namespace");
}

static void quobyte(const struct volume_context *v, const char *at, const struct json *s)
{
	static const char form[] = "must be a host:port pair or multiple pairs separated by commas";
	struct check *c = v->c;
	const char *registry = str_or(json_path_str(s, "registry"), "");

	if (!*registry)
		bad_required(c, PATH(c, "%s.registry", at), form);
	else if (strlen(str_or(json_path_str(s, "tenant"), "")) > QUOBYTE_TENANT_MAX)
		bad_required(c, PATH(c, "%s.tenant", at),
			     "must be a UUID and may not exceed a length of 64 characters");
	for (const char *pair = registry; *registry && pair; pair = strchr(pair, ',') ? strchr(pair, ',') + 1 : NULL) {
		const char *colon = memchr(pair, ':', strcspn(pair, ","));
		if (!colon)
			bad_invalid_str(c, PATH(c, "%s.registry", at), registry, form);
	}
}

static void fc(const struct volume_context *v, const char *at, const struct json *s)
{
	struct check *c = v->c;
	bool wwns = json_len(json_get(s, "targetWWNs")) > 0, wwids = json_len(json_get(s, "wwids")) > 0;

	if (!wwns && !wwids)
		bad_required(c, PATH(c, "%s.targetWWNs", at), "must specify either targetWWNs or wwids, but not both");
	if (wwns && wwids)
		bad_invalid(c, PATH(c, "%s.targetWWNs", at), json_get(s, "targetWWNs"),
			    "targetWWNs and wwids can not be specified simultaneously");
	if (wwns && !json_get(s, "lun"))
		bad_required(c, PATH(c, "%s.lun", at), "lun is required if targetWWNs is specified");
	else if (wwns)
		range_in(c, at, s, "lun", 0, 255);
}

static void flex(const struct volume_context *v, const char *at, const struct json *s)
{
	JSON_EACH(o, json_get(s, "options")) {
		const char *key = o->key;
		char space[NAME_MAX_DNS_SUBDOMAIN + 2];
		snprintf(space, sizeof(space), ".%.*s", (int)strcspn(key, "/"), key);
		for (char *x = space; *x; x++)
			*x = (char)tolower((unsigned char)*x);
		if (str_has_suffix(space, ".kubernetes.io") || str_has_suffix(space, ".k8s.io"))
			bad_invalid_str(v->c, PATH(v->c, "%s.options[%s]", at, key), key,
					"kubernetes.io and k8s.io namespaces are reserved");
	}
}

static void azure_file(const struct volume_context *v, const char *at, const struct json *s)
{
	if (v->persistent && json_get(s, "secretNamespace"))
		need_in(v->c, at, s, "secretNamespace");
}

static void azure_disk(const struct volume_context *v, const char *at, const struct json *s)
{
	static const char *const caching[] = {"None", "ReadOnly", "ReadWrite", NULL};
	static const char *const kinds[] = {"Dedicated", "Managed", "Shared", NULL};
	static const char *const managed[] = {"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/"
					      "microsoft.compute/disks/{disk-id}",
					      NULL};
	static const char *const blob[] = {"https://{account-name}.blob.core.windows.net/{container-name}/"
					   "{disk-name}.vhd",
					   NULL};
	const char *kind = json_path_str(s, "kind"), *uri = str_or(json_path_str(s, "diskURI"), "");

	choice_in(v->c, at, s, "cachingMode", caching);
	choice_in(v->c, at, s, "kind", kinds);
	if (str_eq(kind, "Managed") && !str_has_prefix(uri, "/subscriptions/"))
		bad_unsupported(v->c, PATH(v->c, "%s.diskURI", at), uri, managed);
	if (kind && !str_eq(kind, "Managed") && !str_has_prefix(uri, "https://"))
		bad_unsupported(v->c, PATH(v->c, "%s.diskURI", at), uri, blob);
}

static void storageos(const struct volume_context *v, const char *at, const struct json *s)
{
	if (!str_empty(json_path_str(s, "volumeName")))
		name_in(v->c, at, s, "volumeName", name_check_dns1123_label);
	if (!str_empty(json_path_str(s, "volumeNamespace")))
		name_in(v->c, at, s, "volumeNamespace", name_check_dns1123_label);
	secret_ref(v, at, s);
}

static void local(const struct volume_context *v, const char *at, const struct json *s)
{
	check_no_steps_up(v->c, at, s, "path");
}

void check_csi_driver_name(struct check *c, const char *path, const char *name)
{
	if (!*name)
		bad_required(c, path, NULL);
	if (strlen(name) > DRIVER_NAME_BYTES_MAX)
		bad_too_long(c, path, DRIVER_NAME_BYTES_MAX);
	char *lower = arena_strdup(&c->arena, name);
	for (char *x = lower; *x; x++)
		*x = (char)tolower((unsigned char)*x);
	const char *why = name_check_dns1123_subdomain(lower);
	if (why)
		bad_invalid_str(c, path, name, why);
}

static void csi(const struct volume_context *v, const char *at, const struct json *s)
{
	static const char *const refs[] = {"controllerPublishSecretRef", "controllerExpandSecretRef",
					   "nodePublishSecretRef", "nodeExpandSecretRef"};
	struct check *c = v->c;

	check_csi_driver_name(c, PATH(c, "%s.driver", at), str_or(json_path_str(s, "driver"), ""));
	if (!v->persistent) {
		const struct json *ref = json_get(s, refs[2]);
		if (ref && need_in(c, PATH(c, "%s.%s", at, refs[2]), ref, "name"))
			name_in(c, at, ref, "name", name_check_dns1123_subdomain);
		return;
	}
	need_in(c, at, s, "volumeHandle");
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++) {
		const struct json *ref = json_get(s, refs[i]);
		const char *ref_at = PATH(c, "%s.%s", at, refs[i]);
		if (!ref)
			continue;
		if (need_in(c, ref_at, ref, "name"))
			name_in(c, ref_at, ref, "name", name_check_dns1123_subdomain);
		if (need_in(c, ref_at, ref, "namespace"))
			name_in(c, ref_at, ref, "namespace", name_check_dns1123_label);
	}
}

static void ephemeral(const struct volume_context *v, const char *at, const struct json *s)
{
	struct check *c = v->c;
	const struct json *template = json_get(s, "volumeClaimTemplate");
	const char *template_at = PATH(c, "%s.volumeClaimTemplate", at);
	const char *pod = v->pod && v->pod->is_pod ? str_or(json_path_str(v->pod->meta, "name"), "") : "";

	if (!template) {
		bad_required(c, template_at, NULL);
	} else {
		check_template_metadata(c, PATH(c, "%s.metadata", template_at), json_get(template, "metadata"));
		check_claim_spec(c, PATH(c, "%s.spec", template_at), json_get(template, "spec"), NULL);
	}
	if (!*pod || !*v->name)
		return;
	const char *claim = PATH(c, "%s-%s", pod, v->name), *why = name_check_dns1123_subdomain(claim);
	if (why) /* the volume's name, beside the source */
		bad_invalid_str(c, PATH(c, "%.*s.name", (int)(strrchr(at, '.') - at), at), v->name,
				PATH(c, "PVC name \"%s\": %s", claim, why));
}

static void image(const struct volume_context *v, const char *at, const struct json *s)
{
	static const char *const policies[] = {"Always", "IfNotPresent", "Never", NULL};

	if (v->pod && v->pod->is_pod)
		need_in(v->c, at, s, "reference");
	choice_in(v->c, at, s, "pullPolicy", policies);
}

/* ---- the table ---- */

enum { POD = 1, PV = 2, BOTH = 3 };

static const struct source {
	const char *name;
	const char *shown; /* its path in messages, where upstream's is another */
	int of;
	const char *required[3];
	source_fn *fn;
} sources[] = {
    {"emptyDir", NULL, POD, {NULL}, empty_dir},
    {"hostPath", NULL, BOTH, {"path"}, host_path},
    {"gitRepo", NULL, POD, {"repository"}, git_repo},
    {"gcePersistentDisk", "persistentDisk", BOTH, {"pdName"}, partition},
    {"awsElasticBlockStore", NULL, BOTH, {"volumeID"}, partition},
    {"secret", NULL, POD, {"secretName"}, check_key_paths},
    {"nfs", NULL, BOTH, {"server", "path"}, nfs},
    {"iscsi", NULL, BOTH, {"targetPortal", "iqn"}, iscsi},
    {"glusterfs", NULL, BOTH, {"endpoints", "path"}, glusterfs},
    {"flocker", NULL, BOTH, {NULL}, flocker},
    {"persistentVolumeClaim", NULL, POD, {"claimName"}, NULL},
    {"rbd", NULL, BOTH, {"image"}, monitors},
    {"cinder", NULL, BOTH, {"volumeID"}, secret_ref},
    {"cephfs", NULL, BOTH, {NULL}, monitors},
    {"quobyte", NULL, BOTH, {"volume"}, quobyte},
    {"downwardAPI", NULL, POD, {NULL}, check_downward_items},
    {"fc", NULL, BOTH, {NULL}, fc},
    {"flexVolume", NULL, BOTH, {"driver"}, flex},
    {"configMap", NULL, POD, {"name"}, check_key_paths},
    {"azureFile", NULL, BOTH, {"secretName", "shareName"}, azure_file},
    {"vsphereVolume", NULL, BOTH, {"volumePath"}, NULL},
    {"photonPersistentDisk", NULL, BOTH, {"pdID"}, NULL},
    {"portworxVolume", NULL, BOTH, {"volumeID"}, NULL},
    {"azureDisk", NULL, BOTH, {"diskName", "diskURI"}, azure_disk},
    {"local", NULL, PV, {"path"}, local},
    {"storageos", NULL, BOTH, {"volumeName"}, storageos},
    {"projected", NULL, POD, {NULL}, check_projected},
    {"scaleIO", NULL, BOTH, {"gateway", "system", "volumeName"}, NULL},
    {"csi", NULL, BOTH, {NULL}, csi},
    {"ephemeral", NULL, POD, {NULL}, ephemeral},
    {"image", NULL, POD, {NULL}, image},
};

bool is_volume_source(const char *member)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (str_eq(sources[i].name, member))
			return sources[i].of & PV;
	return false;
}

void check_volume_sources(const struct volume_context *v, const char *at, const struct json *holder)
{
	struct check *c = v->c;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		const struct source *k = &sources[i];
		const struct json *s = k->of & (v->persistent ? PV : POD) ? json_get(holder, k->name) : NULL;
		if (!s)
			continue;
		if (n++) {
			bad_forbidden(c, PATH(c, "%s.%s", at, k->name), "may not specify more than 1 volume type");
			continue;
		}
		const char *source_at = PATH(c, "%s.%s", at, k->shown ? k->shown : k->name);
		for (size_t f = 0; f < ARRAY_SIZE(k->required) && k->required[f]; f++)
			need_in(c, source_at, s, k->required[f]);
		if (k->fn)
			k->fn(v, source_at, s);
	}
	if (!n)
		bad_required(c, at, "must specify a volume type");
}
