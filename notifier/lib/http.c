/*
 * http.c: the little web server of a daemon (see http.h).
 */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "lib/http.h"

struct Http {
	struct MHD_Daemon *daemon;
	HttpOps ops;
};

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned status, const char *type, char *body, size_t size)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);

	MHD_add_response_header(response, "Content-Type", type);
	const enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
handle(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
	   const char *upload, size_t *upload_size, void **context)
{
	const Http *http = arg;
	const HttpOps *ops = &http->ops;
	char *body = NULL;
	size_t size = 0;
	unsigned status = MHD_HTTP_OK;
	const char *type = "text/plain; charset=utf-8";

	(void) version;
	(void) upload;
	(void) upload_size;
	(void) context;
	if (strcmp(method, "GET") != 0)
		return MHD_NO;
	FILE *out = open_memstream(&body, &size);
	if (strcmp(url, "/metrics") == 0)
	{
		ops->metrics(ops->arg, out);
		type = "text/plain; version=0.0.4; charset=utf-8";
	}
	else if (strcmp(url, "/healthz") == 0)
		status = ops->healthy(ops->arg, out) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
	else if (strcmp(url, "/readyz") == 0)
		status = ops->ready(ops->arg, out) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
	else
	{
		fputs("there are /metrics, /healthz and /readyz\n", out);
		status = MHD_HTTP_NOT_FOUND;
	}
	fclose(out);
	return answer(connection, status, type, body, size);
}

static bool
split(const char *listen, char *host, size_t host_size, const char **port)
{
	const char *colon = strrchr(listen, ':');

	if (colon == NULL || colon[1] == '\0' || (size_t) (colon - listen) >= host_size)
		return false;
	size_t len = (size_t) (colon - listen);
	if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']')
	{
		listen++;
		len -= 2;
	}
	memcpy(host, listen, len);
	host[len] = '\0';
	*port = colon + 1;
	return true;
}

Http *
http_start(const char *listen, const HttpOps *ops, Err *err)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *address;
	char host[128];
	const char *port;

	if (!split(listen, host, sizeof(host), &port) || getaddrinfo(*host ? host : NULL, port, &hints, &address) != 0)
	{
		(void) err_set(err, "\"%s\" is not an address and a port, such as 127.0.0.1:9187", listen);
		return NULL;
	}
	Http *http = calloc(1, sizeof(Http));
	http->ops = *ops;
	const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | (address->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0);
	http->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, http, MHD_OPTION_SOCK_ADDR, address->ai_addr,
									MHD_OPTION_CONNECTION_LIMIT, 16u, MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
	freeaddrinfo(address);
	if (http->daemon != NULL)
		return http;
	free(http);
	(void) err_set(err, "cannot listen on %s; another daemon may use it (http.listen)", listen);
	return NULL;
}

void
http_stop(Http *http)
{
	if (http == NULL)
		return;
	MHD_stop_daemon(http->daemon);
	free(http);
}
