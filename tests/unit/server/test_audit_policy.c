/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/status.h"
#include "server/audit_policy.h"
#include "server/auth.h"

static struct audit_policy *policy(const char *rules)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct audit_policy *p = NULL;
	char text[2048];

	snprintf(text, sizeof(text), "apiVersion: audit.k8s.io/v1\nkind: Policy\n%s", rules);
	if (audit_policy_parse(text, strlen(text), &p, &err) < 0)
		fail_msg("%s", err.message);
	return p;
}

static const char *const groups[] = {"team", "system:authenticated"};
static const struct user ann = {.name = "ann", .groups = groups, .n_groups = 2};

static struct authz_attributes request(const char *verb, const char *group, const char *resource, const char *sub,
				       const char *ns, const char *name)
{
	return (struct authz_attributes){.user = &ann,
					 .verb = verb,
					 .group = group,
					 .version = "v1",
					 .resource = resource,
					 .subresource = sub,
					 .ns = ns,
					 .name = name,
					 .path = "",
					 .resource_request = true};
}

static void a_rule_matches_by_all_it_says(void **state)
{
	(void)state;
	const struct authz_attributes pod = request("get", "", "pods", "", "default", "web"),
				      log = request("get", "", "pods", "log", "default", "web"),
				      node = request("list", "", "nodes", "", "", ""),
				      deploy = request("create", "apps", "deployments", "", "kube-system", "");
	const struct authz_attributes path = {.user = &ann,
					      .verb = "get",
					      .path = "/healthz/ping",
					      .group = "",
					      .version = "",
					      .resource = "",
					      .subresource = "",
					      .ns = "",
					      .name = ""};
	const struct {
		const char *rule;
		const struct authz_attributes *at;
		bool is;
	} cases[] = {
	    {"{level: Metadata}", &pod, true},
	    {"{level: Metadata}", &path, true},
	    {"{level: Metadata, users: [ann]}", &pod, true},
	    {"{level: Metadata, users: [bob]}", &pod, false},
	    {"{level: Metadata, userGroups: [bobs, team]}", &pod, true},
	    {"{level: Metadata, userGroups: [bobs]}", &pod, false},
	    {"{level: Metadata, verbs: [get]}", &pod, true},
	    {"{level: Metadata, verbs: [list]}", &pod, false},
	    {"{level: Metadata, namespaces: [default]}", &pod, true},
	    {"{level: Metadata, namespaces: [default]}", &node, false},
	    {"{level: Metadata, namespaces: ['']}", &node, true},
	    {"{level: Metadata, namespaces: [default]}", &path, false},
	    {"{level: Metadata, resources: [{group: ''}]}", &log, true},
	    {"{level: Metadata, resources: [{group: ''}]}", &deploy, false},
	    {"{level: Metadata, resources: [{group: apps, resources: [deployments]}]}", &deploy, true},
	    {"{level: Metadata, resources: [{group: '', resources: [pods]}]}", &pod, true},
	    {"{level: Metadata, resources: [{group: '', resources: [pods]}]}", &log, false},
	    {"{level: Metadata, resources: [{group: '', resources: [pods/log]}]}", &log, true},
	    {"{level: Metadata, resources: [{group: '', resources: [pods/log]}]}", &pod, false},
	    {"{level: Metadata, resources: [{group: '', resources: ['pods/*']}]}", &log, true},
	    {"{level: Metadata, resources: [{group: '', resources: ['*/log']}]}", &log, true},
	    {"{level: Metadata, resources: [{group: '', resources: ['*/status']}]}", &log, false},
	    {"{level: Metadata, resources: [{group: '', resources: ['*']}]}", &log, true},
	    {"{level: Metadata, resources: [{group: '', resources: [pods], resourceNames: [web]}]}", &pod, true},
	    {"{level: Metadata, resources: [{group: '', resources: [pods], resourceNames: [db]}]}", &pod, false},
	    {"{level: Metadata, nonResourceURLs: ['/healthz*']}", &path, true},
	    {"{level: Metadata, nonResourceURLs: ['*']}", &path, true},
	    {"{level: Metadata, nonResourceURLs: [/healthz]}", &path, false},
	    {"{level: Metadata, nonResourceURLs: ['*']}", &pod, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[512];
		snprintf(text, sizeof(text), "rules: [%s]\n", cases[i].rule);
		struct audit_policy *p = policy(text);
		if ((audit_policy_decide(p, cases[i].at).level == AUDIT_METADATA) != cases[i].is)
			fail_msg("%s: %s", cases[i].rule, cases[i].is ? "does not match" : "matches");
		audit_policy_free(p);
	}
}

static void the_first_rule_decides(void **state)
{
	(void)state;
	struct audit_policy *p =
	    policy("omitStages: [RequestReceived]\nomitManagedFields: true\nrules:\n"
		   "- {level: None, users: [ann], verbs: [watch]}\n"
		   "- {level: Request, verbs: [create], omitStages: [Panic], omitManagedFields: false}\n"
		   "- {level: RequestResponse, verbs: [watch, update]}\n");
	struct authz_attributes at = request("watch", "", "pods", "", "", "");

	assert_int_equal(audit_policy_decide(p, &at).level, AUDIT_NONE);
	at.verb = "create";
	struct audit_decision d = audit_policy_decide(p, &at);
	assert_true(d.level == AUDIT_REQUEST && d.omit_stages == (AUDIT_RECEIVED | AUDIT_PANIC) &&
		    !d.omit_managed_fields);
	at.verb = "update";
	d = audit_policy_decide(p, &at);
	assert_true(d.level == AUDIT_REQUEST_RESPONSE && d.omit_stages == AUDIT_RECEIVED && d.omit_managed_fields);
	at.verb = "delete";
	assert_int_equal(audit_policy_decide(p, &at).level, AUDIT_NONE);
	at.user = NULL; /* one who was refused */
	assert_int_equal(audit_policy_decide(p, &at).level, AUDIT_NONE);
	audit_policy_free(p);
}

static void mistakes_are_named(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	    {"{}", "rules: Required value"},
	    {"rules: [{}]", "rules[0].level: Required value"},
	    {"rules: [{level: metadata}]", "rules[0].level: Unsupported value: \"metadata\""},
	    {"rules: [{level: None, omitStages: [Never]}]", "rules[0].omitStages: Unsupported value: \"Never\""},
	    {"rules: [{level: None, nonResourceURLs: [a]}]", "begins with a slash"},
	    {"rules: [{level: None, nonResourceURLs: [/a*b]}]", "only possible at the end"},
	    {"rules: [{level: None, nonResourceURLs: [/a], namespaces: [b]}]",
	     "both regular resources and non-resource URLs"},
	    {"rules: [{level: None, resources: [{group: '', resourceNames: [a]}]}]", "requires at least one resource"},
	    {"rules: [{level: None, resources: [{resource: [a]}]}]",
	     "rules[0].resources[0].resource: Invalid value: unknown field"},
	    {"rules: [{level: None, resources: [[group, pods]]}]",
	     "rules[0].resources[0]: Invalid value: must be an object"},
	    {"rules: [[level, None]]", "rules[0]: Invalid value: must be an object"},
	    {"rules: [", "audit policy: line"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_status_ struct status err = STATUS_INIT;
		struct audit_policy *p = NULL;
		char text[512];
		snprintf(text, sizeof(text), "apiVersion: audit.k8s.io/v1\nkind: Policy\n%s\n",
			 strcmp(cases[i][0], "{}") == 0 ? "" : cases[i][0]);
		assert_int_equal(audit_policy_parse(text, strlen(text), &p, &err), -1);
		assert_null(p);
		if (!strstr(err.message, cases[i][1]))
			fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rule_matches_by_all_it_says),
	    cmocka_unit_test(the_first_rule_decides),
	    cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
