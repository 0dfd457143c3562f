/* SPDX-License-Identifier: Apache-2.0 */
/* What a write that passed the ResourceQuota plugin will take from each quota: put into the store together with it. */
#ifndef PROA_SERVER_QUOTA_CHARGE_H
#define PROA_SERVER_QUOTA_CHARGE_H

#include "api/amounts.h"

#define QUOTAS_PER_NAMESPACE_MAX                                                                                       \
	32 /* more would only be read for every create; those that come first by name count                            \
	    */

struct quota_charge {
	const char *key; /* of the quota */
	struct amounts delta;
};

struct quota_charges {
	struct quota_charge at[QUOTAS_PER_NAMESPACE_MAX];
	size_t n;
};

#endif
