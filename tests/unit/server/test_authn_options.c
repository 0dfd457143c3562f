/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/status.h"
#include "server/authn_options.h"
#include "server/jwt.h"

#define OWN "https://kubernetes.default.svc.cluster.local"

static void flags_say_what_upstream_makes_of_them(void **state)
{
	(void)state;
	static const struct {
		struct oidc_flags flags;
		const char *username, *username_prefix, *groups, *groups_prefix, *discovery;
	} cases[] = {
	    {{.issuer_url = "https://a", .client_id = "c"},
	     "sub",
	     "https://a#",
	     NULL,
	     "",
	     "https://a/.well-known/openid-configuration"},
	    {{.issuer_url = "https://a/", .client_id = "c", .username_prefix = "-"},
	     "sub",
	     "",
	     NULL,
	     "",
	     "https://a/.well-known/openid-configuration"},
	    {{.issuer_url = "https://a/b", .client_id = "c", .username_claim = "email"},
	     "email",
	     "",
	     NULL,
	     "",
	     "https://a/b/.well-known/openid-configuration"},
	    {{.issuer_url = "https://a",
	      .client_id = "c",
	      .username_prefix = "x:",
	      .groups_claim = "g",
	      .groups_prefix = "y:"},
	     "sub",
	     "x:",
	     "g",
	     "y:",
	     "https://a/.well-known/openid-configuration"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_status_ struct status err = STATUS_INIT;
		struct authn_options o;
		assert_int_equal(authn_options_from_flags(&cases[i].flags, OWN, &o, &err), 0);
		assert_int_equal(o.n_issuers, 1);
		assert_string_equal(o.issuers[0].username.claim, cases[i].username);
		assert_string_equal(o.issuers[0].username.prefix, cases[i].username_prefix);
		assert_string_equal(o.issuers[0].discovery_url, cases[i].discovery);
		assert_string_equal(o.issuers[0].groups.prefix, cases[i].groups_prefix);
		if (cases[i].groups)
			assert_string_equal(o.issuers[0].groups.claim, cases[i].groups);
		else
			assert_null(o.issuers[0].groups.claim);
		assert_string_equal(o.issuers[0].algs[0], "RS256");
		assert_null(o.issuers[0].algs[1]);
		authn_options_release(&o);
	}
}

static void algorithms_are_asymmetric(void **state)
{
	(void)state;
	static const struct {
		const char *list;
		int result;
	} cases[] = {{"RS256", 0},	 {"RS256,ES256,PS512", 0}, {"", -1}, {"HS256", -1}, {"none", -1},
		     {"RS256,none", -1}, {"RS256,,ES256", -1}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_status_ struct status err = STATUS_INIT;
		struct authn_options o = {.n_issuers = 0};
		struct oidc_flags f = {.issuer_url = "https://a", .client_id = "c", .signing_algs = cases[i].list};
		assert_int_equal(authn_options_from_flags(&f, OWN, &o, &err), cases[i].result);
		authn_options_release(&o);
	}
}

static void nothing_given_is_the_default(void **state)
{
	(void)state;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct authn_options o;

	assert_int_equal(authn_options_from_flags(&(struct oidc_flags){.issuer_url = NULL}, OWN, &o, &err), 0);
	assert_true(o.n_issuers == 0 && o.anonymous && json_len(o.anonymous_paths) == 0);
	authn_options_release(&o);
}

static void every_mistake_is_named(void **state)
{
	(void)state;
	static const char text[] =
	    "apiVersion: apiserver.config.k8s.io/v1beta1\n"
	    "kind: AuthenticationConfiguration\n"
	    "jwt:\n"
	    "- issuer: {url: 'https://u@a', discoveryURL: 'https://a?b', audiences: ['']}\n"
	    "  claimValidationRules: [{expression: 'x'}, {}]\n"
	    "  userValidationRules: [{expression: 'x'}]\n"
	    "  claimMappings: {username: {claim: sub}, groups: {prefix: x}, extra: [{key: a, valueExpression: b}]}\n"
	    "anonymous: {enabled: true, conditions: [{}]}\n";
	static const char *const names[] = {"jwt[0].issuer.url",
					    "jwt[0].issuer.discoveryURL",
					    "jwt[0].issuer.audiences[0]",
					    "jwt[0].claimValidationRules[0].expression",
					    "jwt[0].claimValidationRules[1]",
					    "jwt[0].userValidationRules[0].expression",
					    "jwt[0].claimMappings.username.prefix",
					    "jwt[0].claimMappings.groups.prefix",
					    "jwt[0].claimMappings.extra[0].valueExpression",
					    "anonymous.conditions[0].path"};
	_cleanup_status_ struct status err = STATUS_INIT;
	struct authn_options o;

	assert_int_equal(authn_options_parse(text, sizeof(text) - 1, OWN, &o, &err), -1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strstr(err.message, names[i]))
			fail_msg("\"%s\" does not name %s", err.message, names[i]);
	/* Each way of being no URL, and nothing is left of those that begin well. */
	static const char *const urls[] = {"https://a/b#c", "https://u@a", "http://a", "a", "https://", "https://a:0"};
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		_cleanup_status_ struct status why = STATUS_INIT;
		char one[400];
		snprintf(
		    one, sizeof(one),
		    "{apiVersion: apiserver.config.k8s.io/v1beta1, kind: AuthenticationConfiguration, jwt: [{issuer: "
		    "{url: '%s', audiences: [a]}, claimMappings: {username: {claim: sub, prefix: ''}}}]}",
		    urls[i]);
		assert_int_equal(authn_options_parse(one, strlen(one), OWN, &o, &why), -1);
		if (!strstr(why.message, "jwt[0].issuer.url"))
			fail_msg("%s: %s", urls[i], why.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(flags_say_what_upstream_makes_of_them),
	    cmocka_unit_test(algorithms_are_asymmetric),
	    cmocka_unit_test(nothing_given_is_the_default),
	    cmocka_unit_test(every_mistake_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
