/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP client. One http_client keeps one HTTP/2 connection (or a few HTTP/1.1 ones, when the peer has no h2) to one
 * server; calls share it. It connects when first needed and again after a loss; a call that was lost fails with
 * -ECONNRESET and its owner decides about another try.
 */
#ifndef PROA_HTTP_CLIENT_H
#define PROA_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

struct http_call;
struct http_client;
struct loop;
struct stream;
struct stream_events;
struct tls_context;

struct http_client_config {
	struct loop *loop;
	const char *address;	  /* "127.0.0.1:6443" or "unix:/path" */
	const char *server_name;  /* verified against the certificate, and the Host header */
	struct tls_context *tls;  /* NULL: plain */
	const char *bearer_token; /* NULL: none */
	const char *user_agent;
};

int http_client_new(const struct http_client_config *c, struct http_client **ret);
void http_client_free(struct http_client *c); /* ends its calls with -ECANCELED */
void http_client_set_token(struct http_client *c, const char *token);

struct http_header_pair {
	const char *name, *value; /* name in lower case */
};

struct http_call_events {
	void (*on_response)(void *arg, int code, const struct http_header_pair *headers, size_t n);
	void (*on_data)(void *arg, const char *data, size_t len);
	void (*on_done)(void *arg, int result); /* once, last: 0 when the response was complete, else negative errno */
};

struct http_call_config {
	const char *method, *path; /* path with query, already encoded */
	const struct http_header_pair *headers;
	size_t n_headers;
	const void *body;
	size_t body_len;
	int64_t timeout_ms; /* until the response is complete; 0: none (watches) */
};

/* Never calls back before it returns. */
struct http_call *http_call_start(struct http_client *c, const struct http_call_config *cfg,
				  const struct http_call_events *ev, void *arg);
void http_call_cancel(struct http_call *call); /* no callback follows */
void http_call_pause(struct http_call *call);  /* flow control: stop taking data */
void http_call_resume(struct http_call *call);

/*
 * Opens a connection of its own, sends an HTTP/1.1 request with an Upgrade header and gives the raw stream after 101.
 * On any other answer on_reply is called with code, content type and body. For exec, attach and port-forward proxies.
 */
struct http_tunnel_events {
	/* head: the peer's response head as received ("HTTP/1.1 101 …\r\n\r\n"); data that followed it comes by the
	 * stream. */
	void (*on_upgraded)(void *arg, struct stream *s, const char *head, size_t head_len);
	void (*on_refused)(void *arg, int code, const char *content_type, const char *body, size_t len);
	void (*on_error)(void *arg, int error);
};
int http_tunnel(struct http_client *c, const struct http_call_config *cfg, const struct http_tunnel_events *ev,
		void *arg);

#endif
