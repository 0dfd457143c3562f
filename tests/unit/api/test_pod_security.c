/* SPDX-License-Identifier: Apache-2.0 */
/* tests/judge/pod_security holds all rules against upstream's; here is what needs no Go: versions, overriding, words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/pod_security.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

static const char *judge(struct arena *a, enum pod_security_level level, int minor, const char *spec)
{
	struct json *v;
	struct json_error bad;
	const char *details = "", *reasons;
	assert_int_equal(json_parse(a, spec, strlen(spec), &v, &bad), 0);
	pod_security_check(a, (struct pod_security_policy){level, minor}, NULL, v, &details, &reasons);
	return details;
}

static void rules_have_versions(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *spec = "{\"securityContext\":{\"sysctls\":[{\"name\":\"net.ipv4.tcp_rmem\"}]}}";
	assert_string_equal(judge(&a, POD_SECURITY_BASELINE, 31, spec), "forbidden sysctls (net.ipv4.tcp_rmem)");
	assert_string_equal(judge(&a, POD_SECURITY_BASELINE, 32, spec), "");
	assert_string_equal(judge(&a, POD_SECURITY_PRIVILEGED, 31, spec), "");
}

static void stricter_rules_take_over(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *spec = "{\"volumes\":[{\"name\":\"h\",\"hostPath\":{\"path\":\"/\"}}]}";
	assert_string_equal(judge(&a, POD_SECURITY_BASELINE, POD_SECURITY_LATEST, spec),
			    "hostPath volumes (volume \"h\")");
	assert_string_equal(judge(&a, POD_SECURITY_RESTRICTED, POD_SECURITY_LATEST, spec),
			    "restricted volume types (volume \"h\" uses restricted volume type \"hostPath\")");
}

static void everything_is_told(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	assert_string_equal(
	    judge(&a, POD_SECURITY_RESTRICTED, POD_SECURITY_LATEST,
		  "{\"hostPID\":true,\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}"),
	    "host namespaces (hostPID=true), allowPrivilegeEscalation != false (containers \"a\", \"b\" must set "
	    "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers \"a\", \"b\" must "
	    "set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or containers \"a\", \"b\" "
	    "must "
	    "set securityContext.runAsNonRoot=true), seccompProfile (pod or containers \"a\", \"b\" must set "
	    "securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")");
}

static void labels_are_read(void **state)
{
	(void)state;
	enum pod_security_level level;
	int minor;
	assert_true(pod_security_parse_level("baseline", &level) && level == POD_SECURITY_BASELINE);
	assert_false(pod_security_parse_level("Baseline", &level));
	assert_int_equal(level, POD_SECURITY_RESTRICTED); /* whoever cannot spell is not let through */
	assert_true(pod_security_parse_version("v1.8", &minor) && minor == 8);
	static const char *const bad[] = {"1.8", "v1.08", "v1.-1", "v2.1", "v1.", "v1.8.0", ""};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_false(pod_security_parse_version(bad[i], &minor));
		assert_int_equal(minor, POD_SECURITY_LATEST);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules_have_versions),
	    cmocka_unit_test(stricter_rules_take_over),
	    cmocka_unit_test(everything_is_told),
	    cmocka_unit_test(labels_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
