/* rig.c: starts a broker and connects libhalfmq to it, and waits for conditions with a deadline. */
#include "tests/lib/rig.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/certs.h"

uint16_t rig_free_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &size), 0);
    close(fd);
    return ntohs(any.sin_port);
}

static bool rig_has_tls(void)
{
    return getenv("RIG_TLS") != NULL;
}

struct spawned *rig_spawn(const char *const *flags)
{
    const char *all[SPAWN_FLAGS_MAX] = {"--port"};
    char port[8];
    size_t n = 2;
    snprintf(port, sizeof port, "%u", (unsigned)rig_free_port());
    all[1] = port;
    for (; flags && *flags && n + 1 < SPAWN_FLAGS_MAX; flags++)
        all[n++] = *flags;
    const char *tls[] = {"--tls_cert", "ca/server.crt", "--tls_key", "ca/server.key", "--tls", "required"};
    for (size_t i = 0; rig_has_tls() && i < sizeof tls / sizeof *tls && n + 1 < SPAWN_FLAGS_MAX; i++)
        all[n++] = strncmp(tls[i], "ca/", 3) == 0 ? certs_path(tls[i]) : tls[i];
    return spawn_broker(all);
}

struct rig rig;

int rig_start(void **state)
{
    (void)state;
    rig.broker = rig_spawn(NULL);
    rig.client = rig.query ? rig_connect(rig.broker, rig.query) : NULL;
    return 0;
}

int rig_stop(void **state)
{
    (void)state;
    hmq_client_free(rig.client);
    int status = spawn_stop(rig.broker);
    spawn_free(rig.broker);
    return status;
}

hmq_options *rig_options_for(uint16_t port, const char *query)
{
    char uri[256];
    hmq_error err;
    hmq_options *options = hmq_options_new();
    assert_non_null(options);
    snprintf(uri, sizeof uri, "hmq://127.0.0.1:%u%s", (unsigned)port, query);
    RIG_CHECK(hmq_options_set_uri(options, uri, &err), &err);
    const char *tls[][2] = {{"tls", "yes"}, {"tls_ca", NULL}, {"tls_server_name", "localhost"}};
    for (size_t i = 0; rig_has_tls() && i < sizeof tls / sizeof *tls; i++)
        RIG_CHECK(hmq_options_set(options, tls[i][0], tls[i][1] ? tls[i][1] : certs_path("ca/ca.crt"), &err), &err);
    return options;
}

hmq_client *rig_connect(const struct spawned *broker, const char *query)
{
    hmq_client *client = NULL;
    hmq_error err;
    hmq_options *options = rig_options_for(broker->port, query);
    RIG_CHECK(hmq_client_new(options, &client, &err), &err);
    hmq_options_free(options);
    return client;
}

void rig_check(enum hmq_status status, const hmq_error *err, const char *what, const char *file,
               int line)
{
    if (status == HMQ_OK)
        return;
    print_error("%s: %s: %s\n", what, hmq_status_name(status), err ? err->text : "");
    _fail(file, line);
}

void rig_eventually(bool (*holds)(void *arg), void *arg, const char *what)
{
    int64_t deadline_ms = spawn_now_ms() + RIG_DEADLINE_MS;
    while (!holds(arg)) {
        if (spawn_now_ms() > deadline_ms)
            fail_msg("waited in vain: %s", what);
        spawn_pause();
    }
}

hmq_reply *rig_ask(hmq_client *client, const char *method, const char *const *words)
{
    hmq_reply *reply = NULL;
    hmq_error err;
    hmq_request *request = hmq_request_new(method);
    assert_non_null(request);
    for (; words && words[0]; words += 2)
        hmq_request_put_text(request, words[0], words[1]);
    RIG_CHECK(hmq_call(client, request, RIG_DEADLINE_MS, &reply, &err), &err);
    hmq_request_free(request);
    return reply;
}

void rig_put(hmq_client *client, const char *topic, const char *body)
{
    const char *words[] = {"topic", topic, "body", body, NULL};
    hmq_reply_free(rig_ask(client, "send", words));
}

unsigned *rig_count_bodies(hmq_client *client, const char *topic, unsigned queues, size_t n)
{
    unsigned *counts = calloc(n, sizeof *counts);
    assert_non_null(counts);
    for (unsigned queue = 0; queue < queues; queue++) {
        char q[16], offset[24];
        size_t got = 1;
        snprintf(q, sizeof q, "%u", queue);
        for (size_t from = 0; got > 0; from += got) {
            const char *words[] = {"topic", topic,   "queue", q,   "offset",
                                   offset,  "count", "1000",  NULL};
            snprintf(offset, sizeof offset, "%zu", from);
            hmq_reply *list = rig_ask(client, "read", words);
            got = hmq_reply_len(list);
            for (size_t i = 0; i < got; i++) {
                const char *body = hmq_reply_text(hmq_reply_get(hmq_reply_at(list, i), "body"));
                size_t which = strtoul(body, NULL, 10);
                assert_true(which < n);
                counts[which]++;
            }
            hmq_reply_free(list);
        }
    }
    return counts;
}
