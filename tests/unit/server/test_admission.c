/* SPDX-License-Identifier: Apache-2.0 */
/* The chain runs in the order that upstream documents for its recommended plugins: it decides whose error is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/str.h"
#include "server/admission.h"

static const char *const documented[] = {
    "NamespaceLifecycle",
    "LimitRanger",
    "ServiceAccount",
    "NodeRestriction",
    "TaintNodesByCondition",
    "PodSecurity",
    "Priority",
    "DefaultTolerationSeconds",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "ClusterTrustBundleAttest",
    "DefaultIngressClass",
    "PodTopologyLabels",
    "RBACEscalation", /* upstream's is in the storage of roles, behind all admission but quota's charging */
    "ResourceQuota",
};

static void the_chain_has_upstreams_order(void **state)
{
	size_t at = 0;
	(void)state;
	for (size_t i = 0; admission_plugins[i]; i++) {
		const char *name = admission_plugins[i]->name;
		while (at < ARRAY_SIZE(documented) && strcmp(documented[at], name) != 0)
			at++;
		if (at == ARRAY_SIZE(documented))
			fail_msg("%s is not where it belongs", name);
	}
	assert_string_equal(documented[at], "ResourceQuota");
}

static void every_plugin_acts(void **state)
{
	(void)state;
	for (size_t i = 0; admission_plugins[i]; i++) {
		const struct admission_plugin *p = admission_plugins[i];
		assert_true(p->operations && (p->mutate || p->validate));
		assert_true(!p->group == !p->resource);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_chain_has_upstreams_order),
					   cmocka_unit_test(every_plugin_acts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
