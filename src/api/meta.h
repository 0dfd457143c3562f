/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers on the JSON tree of an API object: metadata, owners, finalizers, conditions, and the rules for names, label
 * keys and values. Getters accept NULL and incomplete objects and give "" or NULL; setters take the arena the tree
 * lives in. The name rules return NULL when the value is fine, else upstream's explanation (a static string).
 */
#ifndef PROA_API_META_H
#define PROA_API_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct json;
struct object;
struct resource;
struct status;

/* ---- reading metadata; "" when absent ---- */
const char *meta_name(const struct json *obj);
const char *meta_ns(const struct json *obj);
const char *meta_uid(const struct json *obj);
uint64_t meta_rev(const struct json *obj);	 /* resourceVersion; 0 when absent or not a number */
int64_t meta_generation(const struct json *obj); /* 0 when absent */
int64_t meta_created_ns(const struct json *obj); /* creationTimestamp; 0 when absent */
bool meta_deleting(const struct json *obj);	 /* has a deletionTimestamp */
/* NULL when absent */
const char *meta_label(const struct json *obj, const char *key);
const char *meta_annotation(const struct json *obj, const char *key);
/* "apps/v1" -> group "apps", version "v1"; "v1" -> "", "v1". group_out has room for 254 bytes. false: malformed. */
bool meta_split_api_version(const char *api_version, char *group_out, const char **ret_version);

/* ---- writing ---- */
/* metadata, created when absent */
struct json *meta_of(struct arena *a, struct json *obj);
void meta_set_label(struct arena *a, struct json *obj, const char *key, const char *value); /* NULL value removes */
void meta_set_annotation(struct arena *a, struct json *obj, const char *key,
			 const char *value); /* NULL value removes */
/* {"apiVersion":…,"kind":…,"metadata":{"name":…,"namespace":…}}; ns and name may be NULL or "" (left out). */
struct json *meta_object_new(struct arena *a, const char *api_version, const char *kind, const char *ns,
			     const char *name);
struct json *meta_object_for(struct arena *a, const struct resource *r, const char *ns, const char *name);

/* ---- finalizers ---- */
bool meta_has_finalizer(const struct json *obj, const char *name);
bool meta_add_finalizer(struct arena *a, struct json *obj, const char *name); /* false: was there */
bool meta_remove_finalizer(struct json *obj, const char *name);		      /* false: was not there */

/* ---- owners ---- */
/* The ownerReference with controller: true, or NULL. */
struct json *meta_controller(const struct json *obj);
/* Builds the controller ownerReference {apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true}. */
struct json *meta_controller_ref(struct arena *a, const char *api_version, const char *kind, const char *name,
				 const char *uid);
/* The same for an object with a resource row. */
struct json *meta_controller_ref_to(struct arena *a, const struct object *owner);
/* Appends ref to metadata.ownerReferences, or replaces the one with the same uid. */
void meta_set_owner(struct arena *a, struct json *obj, struct json *ref);

/* ---- status.conditions ---- */
struct json *meta_condition(const struct json *obj, const char *type);
const char *meta_condition_status(const struct json *obj,
				  const char *type); /* "True", "False", "Unknown"; "" when absent */
/*
 * Sets a condition of status.conditions; lastTransitionTime becomes now when the status changes, and stays otherwise.
 * reason and message may be NULL (left out). Returns whether anything but times changed.
 */
bool meta_set_condition(struct arena *a, struct json *obj, const char *type, const char *status, const char *reason,
			const char *message, int64_t now_ns);
bool meta_remove_condition(struct json *obj, const char *type);

/* ---- names ---- */
#define NAME_MAX_DNS_LABEL 63	   /* RFC 1123 section 2.1 */
#define NAME_MAX_DNS_SUBDOMAIN 253 /* RFC 1035: 255 octets on the wire */
#define NAME_MAX_PORT 15	   /* RFC 6335 section 5.1 */
const char *name_check_dns1123_label(const char *s);
const char *name_check_dns1123_subdomain(const char *s);
const char *name_check_dns1035_label(const char *s);
/* The same rules as the two of DNS 1123, where upstream generates its checks from the fields' declared formats: it
 * words their lengths otherwise. */
const char *name_check_short_name(const char *s);
const char *name_check_long_name(const char *s);
const char *name_check_any_case_name(const char *s); /* a long name, with capitals */
const char *name_check_path_segment(const char *s);  /* for RBAC and other kinds whose names are free */
const char *name_check_qualified(const char *s); /* [prefix/]name: label keys, annotation keys, finalizers, resources */
const char *name_check_label_value(const char *s);
const char *name_check_env_var(const char *s);	  /* relaxed rule: printable ASCII without '=' */
const char *name_check_config_key(const char *s); /* keys of ConfigMap and Secret */
const char *name_check_port_name(const char *s);  /* IANA_SVC_NAME */
const char *name_check_http_header(const char *s);
const char *name_check_search_domain(const char *s); /* DNS search lists: a subdomain with underscores */
const char *name_check_sysctl(const char *s);	     /* parts joined by dots or slashes */
/* The same with a cut for names that will get a generated suffix ("web-"): what precedes must be valid as a prefix. */
const char *name_check_prefix(const char *(*check)(const char *), const char *generate_name);

/* generateName to name: at most 58 bytes of base and five random characters. From arena. */
char *name_generate(struct arena *a, const char *base);

#endif
