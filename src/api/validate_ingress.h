/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROA_API_VALIDATE_INGRESS_H
#define PROA_API_VALIDATE_INGRESS_H

struct check;

void check_ingress(struct check *c);
void check_ingress_status(struct check *c, const char *subresource);

#endif
