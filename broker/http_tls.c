/*
 * http_tls.c: OpenSSL under libevent's HTTP server, and the answer to those who do not speak TLS.
 *
 * libevent makes the connection's bufferevent before it has the socket, so the first byte cannot be looked at then.
 * OpenSSL shows the head of each record before it judges it: where the first one is none, the client gets its 400 in plain
 * text, and the sending side is closed, so that no alert of OpenSSL's follows.
 */
#include "broker/http_tls.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <sys/socket.h>

#include "broker/base/log.h"
#include "broker/server_inner.h"
#include "broker/tls/tls_first.h"

static const char refusal[] = "HTTP/1.1 400 Bad Request\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Content-Length: 41\r\n"
                              "Connection: close\r\n"
                              "\r\n"
                              "this port speaks TLS only: use https://\r\n";

static void http_tls_refuse(int fd)
{
    char rest[4096];
    if (send(fd, refusal, sizeof refusal - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 || shutdown(fd, SHUT_WR) != 0)
        log_text(LOG_DEBUG, "an HTTP client disconnected before its refusal was sent");
    /* What is unread would make the kernel send a reset, which may reach the client before the answer is read. */
    for (int i = 0; i < 16 && recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0; i++)
        continue;
}

bool http_tls_is_on(const struct server *s)
{
    return tls_server_is_on(&s->tls) && settings_num(s->settings, SET_http_tls) != 0;
}

struct bufferevent *http_tls_new(struct server *s, struct event_base *base)
{
    static const struct tls_first first = {.refuse = http_tls_refuse};
    struct ssl_st *ssl = tls_first_new(&s->tls, &first);
    if (!ssl)
        return NULL;
    struct bufferevent *bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!bev) {
        tls_first_free(ssl);
        return NULL;
    }
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

bool http_tls_is_missing(const struct server *s, struct bufferevent *bev)
{
    return http_tls_is_on(s) && !bufferevent_openssl_get_ssl(bev);
}
