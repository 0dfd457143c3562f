/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Impersonate-User and its companions (Kubernetes documentation, "User impersonation"; KEP-5284 for the constrained
 * form): the request goes on as somebody else, if its user may do that. Every part that is asked for, user, groups,
 * uid, each extra value, is authorized by itself.
 */
#ifndef PROA_SERVER_IMPERSONATE_H
#define PROA_SERVER_IMPERSONATE_H

struct request;
struct status;

/* After authentication, before authorization. 0: r->user is who the request acts as, r->impersonator who sent it (NULL:
 * the same); -1 with 403 or 400 in err. */
int impersonate(struct request *r, struct status *err);

#endif
