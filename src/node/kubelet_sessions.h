/* SPDX-License-Identifier: Apache-2.0 */
/* What the kubelet API's long-lived connections have in common: they can be ended when the agent goes. */
#ifndef PROA_NODE_KUBELET_SESSIONS_H
#define PROA_NODE_KUBELET_SESSIONS_H

#include "base/list.h"

struct kubelet_session {
	struct list link; /* in the api's sessions */
	void (*abort)(struct kubelet_session *s);
};

#endif
