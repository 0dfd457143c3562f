/* SPDX-License-Identifier: Apache-2.0 */
/* /exec and /attach of the kubelet API: what is asked for, and by which upgrade. */
#include "base/list.h"
#include "base/str.h"
#include "http/server.h"
#include "node/exec_session.h"
#include "node/exec_transports.h"
#include "node/kubelet_internal.h"
#include "node/kubelet_sessions.h"
#include "node/pod.h"

void kubelet_sessions_end(struct kubelet_api *k)
{
	while (!list_empty(&k->sessions)) {
		struct kubelet_session *s = LIST_ENTRY(k->sessions.next, struct kubelet_session, link);

		list_remove(&s->link);
		s->abort(s);
	}
}

void kubelet_exec(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *path, bool attach)
{
	struct pod_container *pc = kubelet_find_container(k, r, path);
	const char *upgrade = http_upgrade(r), *why;
	struct exec_options o;

	if (!pc)
		return;
	if (exec_options_parse(http_query(r), attach, &o, &why) < 0) {
		kubelet_failf(r, 400, "%s", why);
		return;
	}
	if (pc->c.stage != STAGE_RUNNING && pc->c.stage != STAGE_STOPPING) {
		exec_options_release(&o);
		kubelet_failf(r, 500, "container not found (\"%s\")", pc->c.name);
	} else if (str_eq(upgrade, "websocket")) {
		exec_websocket_start(k, r, pc, &o);
	} else if (str_eq(upgrade, "spdy/3.1")) {
		exec_spdy_start(k, r, pc, &o);
	} else {
		exec_options_release(&o);
		kubelet_failf(r, 400, "unable to upgrade: an Upgrade to websocket or SPDY/3.1 is needed");
	}
}
