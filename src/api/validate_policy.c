/* SPDX-License-Identifier: Apache-2.0 */
/* PodDisruptionBudget. */
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/str.h"

#define PDB "PodDisruptionBudget"

static const struct rule rules[] = {
    SELECTOR(PDB, "spec.selector"),	  MIN(PDB, "status.disruptionsAllowed", 0),
    MIN(PDB, "status.currentHealthy", 0), MIN(PDB, "status.desiredHealthy", 0),
    MIN(PDB, "status.expectedPods", 0),	  CALL(PDB, "status.conditions", check_meta_conditions),
};

static void check_disruption_budget(struct check *c)
{
	static const char *const amounts[] = {"minAvailable", "maxUnavailable"};
	const struct json *spec = json_get(c->tree, "spec");

	if (json_get(spec, "minAvailable") && json_get(spec, "maxUnavailable"))
		bad_invalid(c, "spec", spec, "minAvailable and maxUnavailable cannot be both set");
	for (size_t i = 0; i < ARRAY_SIZE(amounts); i++) {
		const char *at = PATH(c, "spec.%s", amounts[i]);
		if (check_count_or_percent(c, at, json_get(spec, amounts[i])))
			check_percent_max(c, at, json_get(spec, amounts[i]));
	}
}

static const struct kind_check kinds[] = {{PDB, check_disruption_budget, NULL}};

const struct group_check validate_policy = {"policy", rules, ARRAY_SIZE(rules), kinds, ARRAY_SIZE(kinds)};
