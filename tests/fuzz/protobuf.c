/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies in protobuf: whatever is accepted must be written and read again as the same tree. */
/* sources: api/protobuf.c api/protobuf_decode.c api/protobuf_encode.c api/protobuf_time.c */
/* sources: api/protobuf_wire.c api/resource.c api/type.c api/gen/resources.c api/gen/types.c */
/* sources: api/gen/types_admission_v1.c api/gen/types_admissionregistration_v1.c api/gen/types_apidiscovery_v2.c */
/* sources: api/gen/types_apiextensions_v1.c api/gen/types_apiregistration_v1.c api/gen/types_apps_v1.c */
/* sources: api/gen/types_authentication_v1.c api/gen/types_authorization_v1.c api/gen/types_autoscaling_v1.c */
/* sources: api/gen/types_autoscaling_v2.c api/gen/types_batch_v1.c api/gen/types_certificates_v1.c */
/* sources: api/gen/types_coordination_v1.c api/gen/types_core_v1.c api/gen/types_discovery_v1.c */
/* sources: api/gen/types_events_v1.c api/gen/types_flowcontrol_v1.c api/gen/types_meta_v1.c */
/* sources: api/gen/types_networking_v1.c api/gen/types_node_v1.c api/gen/types_policy_v1.c */
/* sources: api/gen/types_rbac_v1.c api/gen/types_resource_v1.c api/gen/types_scheduling_v1.c */
/* sources: api/gen/types_scheduling_v1alpha3.c api/gen/types_storage_v1.c api/gen/types_storagemigration_v1.c */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "api/protobuf.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json *v, *again;
	int r;

	if (protobuf_decode(&a, data, size, NULL, &v, &err) < 0)
		return 0;
	r = protobuf_encode(v, NULL, &b);
	if (r < 0) /* only kinds whose body said it was JSON */
		return 0;
	if (protobuf_decode(&a, b.data, b.len, NULL, &again, &err) < 0)
		abort();
	if (!json_equal(v, again))
		abort();
	return 0;
}
