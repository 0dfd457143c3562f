/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One GET over HTTPS: the name is looked up in a worker thread, its addresses are tried one after another, the body is
 * held in memory up to a bound. No redirects: who configures an address means it.
 */
#ifndef PROA_SERVER_HTTPS_GET_H
#define PROA_SERVER_HTTPS_GET_H

#include <stddef.h>
#include <stdint.h>

struct https_get;
struct loop;
struct tls_context;

#define HTTPS_GET_BODY_MAX (1u << 20) /* key sets have some kB */
#define HTTPS_GET_MS 10000	      /* from an address until the answer is complete; upstream waits as long */

/* body: of an answer 200; NULL: none came, and why says what happened instead. */
typedef void (*https_get_fn)(void *arg, const char *body, size_t len, const char *why);

/* fn is called once, never before this returns. tls is borrowed. */
struct https_get *https_get_start(struct loop *loop, const char *url, struct tls_context *tls, https_get_fn fn,
				  void *arg);
void https_get_cancel(struct https_get *g); /* NULL-safe; fn is not called any more */

#endif
