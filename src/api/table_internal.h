/* SPDX-License-Identifier: Apache-2.0 */
/* Cell functions and their helpers, between table_columns.c and the table_cells_*.c that compute cells. */
#ifndef PROA_API_TABLE_INTERNAL_H
#define PROA_API_TABLE_INTERNAL_H

#include <stdint.h>

#include "api/table.h"

struct buf;

/* A duration in seconds as ages are printed. */
char *table_duration(int64_t seconds, char out[TABLE_AGE_MAX]);

/* ---- helpers ---- */
struct json *cell_str(const struct table_cell *c, const char *s);			  /* NULL becomes "" */
struct json *cell_or_none(const struct table_cell *c, const char *s);			  /* "<none>" for NULL and "" */
struct json *cell_buf(const struct table_cell *c, struct buf *b, const char *when_empty); /* releases b */
void cell_join(struct buf *b, const char *sep, const char *item);			  /* item NULL or "": nothing */
const struct json *cell_condition(const struct json *object, const char *type); /* of status.conditions, or NULL */
bool cell_condition_true(const struct json *object, const char *type);

#define CELL(name) struct json *name(const struct table_cell *c)

/* any object */
CELL(cell_age);
CELL(cell_selector);	    /* the labels or label selector at column->path */
CELL(cell_list);	    /* the strings of the list at column->path, "<none>" when empty */
CELL(cell_words);	    /* the same, "" when empty */
CELL(cell_since);	    /* how long ago the time at column->path is */
CELL(cell_truth);	    /* "True" or "False" for the boolean at column->path */
CELL(cell_count);	    /* how many members the list or map at column->path has */
CELL(cell_container_names); /* of the pod template (spec.template) */
CELL(cell_container_images);
CELL(cell_text);    /* the string at column->path or "" */
CELL(cell_none);    /* the string at column->path or "<none>" */
CELL(cell_unset);   /* the string at column->path or "<unset>" */
CELL(cell_unknown); /* the string at column->path or "<unknown>" */

/* table_cells_core.c */
CELL(cell_pod_ready);
CELL(cell_pod_status);
CELL(cell_pod_restarts);
CELL(cell_pod_ip);
CELL(cell_pod_gates);
CELL(cell_template_labels);
CELL(cell_node_status);
CELL(cell_node_roles);
CELL(cell_node_internal_ip);
CELL(cell_node_external_ip);
CELL(cell_service_external_ip);
CELL(cell_service_ports);
CELL(cell_endpoints);
CELL(cell_event_last_seen);
CELL(cell_event_first_seen);
CELL(cell_event_count);
CELL(cell_event_object);
CELL(cell_event_subobject);
CELL(cell_event_source);
CELL(cell_event_message);
CELL(cell_claim_status);
CELL(cell_access_modes);
CELL(cell_claim_ref);
CELL(cell_config_data);
CELL(cell_quota_request);
CELL(cell_quota_limit);
CELL(cell_component_status);

/* table_cells_groups.c */
CELL(cell_workload_ready);
CELL(cell_job_status);
CELL(cell_job_completions);
CELL(cell_job_duration);
CELL(cell_cronjob_last);
CELL(cell_revision_controller);
CELL(cell_ingress_hosts);
CELL(cell_ingress_address);
CELL(cell_ingress_ports);
CELL(cell_class_parameters);
CELL(cell_slice_ports);
CELL(cell_slice_endpoints);
CELL(cell_hpa_reference);
CELL(cell_hpa_targets);
CELL(cell_hpa_min);
CELL(cell_budget_value);
CELL(cell_role_ref);
CELL(cell_subjects);
CELL(cell_csr_duration);
CELL(cell_csr_condition);
CELL(cell_driver_token_requests);
CELL(cell_driver_modes);
CELL(cell_storage_class_name);
CELL(cell_policy_param_kind);
CELL(cell_policy_param_ref);
CELL(cell_flow_distinguisher);
CELL(cell_flow_missing_level);
CELL(cell_level_queuing);
CELL(cell_level_shares);
CELL(cell_definition_versions);
CELL(cell_established);
CELL(cell_migration_resource);
CELL(cell_migration_status);
CELL(cell_certificate_state);
CELL(cell_claim_state);
CELL(cell_parent_ref);
CELL(cell_apiservice_service);
CELL(cell_apiservice_available);

#endif
