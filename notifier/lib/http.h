/*
 * http.h: the little web server of a daemon: /metrics, /healthz, /readyz.
 *
 * It runs in a thread of its own; the callbacks must only read what may be read from there.
 */
#ifndef LIB_HTTP_H
#define LIB_HTTP_H

#include <stdio.h>

#include "lib/err.h"

typedef struct Http Http;

typedef struct HttpOps {
	/* Prometheus text format. */
	void (*metrics)(void *arg, FILE *out);
	/* True = 200. The reason is the body. */
	bool (*healthy)(void *arg, FILE *reason);
	bool (*ready)(void *arg, FILE *reason);
	void *arg;
} HttpOps;

/* Listens on "address:port" ("127.0.0.1:9187", "[::1]:9187"). NULL with the reason in err. */
Http *http_start(const char *listen, const HttpOps *ops, Err *err) MUST_CHECK;
void http_stop(Http *http);

#endif
