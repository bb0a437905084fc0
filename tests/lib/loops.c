/* loops.c: a server without listening sockets (loops.h). */
#include "tests/lib/loops.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "broker/auth/acl_log.h"
#include "broker/auth/auth.h"
#include "broker/info.h"
#include "broker/unserved.h"
#include "tests/lib/tmpdir.h"

static void on_fatal(const char *text)
{
    fprintf(stderr, "the store failed: %s\n", text);
    abort();
}

static void on_stop(void *broker)
{
    struct server *s = broker;
    atomic_store(&s->stopping, true);
}

static void on_info(void *broker, struct view *view, const struct slice *sections, size_t n, struct buf *out)
{
    struct loops *f = broker;
    if (atomic_load(&f->drains_at_info))
        net_drain(f->server.net, 10000);
    auth_stop(f->server.auth);
    void (*at_info)(void) = f->at_info;
    if (at_info)
        at_info();
    info_write(broker, view, sections, n, out);
}

static void start_store(struct loops *f, const char *flag)
{
    char err[256], path[512];
    char *argv[] = {(char *)(uintptr_t) "halfmqd", (char *)(uintptr_t) "--log_level=error", (char *)(uintptr_t)flag,
                    NULL};
    assert_int_equal(settings_load(flag ? 3 : 2, argv, NULL, &f->server.settings, err, sizeof err), ST_OK);
    snprintf(path, sizeof path, "%s/store", f->folder);
    const struct store_options so = {.path = path, .memory_bytes = 32 << 20};
    if (store_open(&so, &f->server.store, err, sizeof err) != ST_OK ||
        state_load(f->server.store, &f->server.state, err, sizeof err) != ST_OK)
        fail_msg("%s", err);
    const struct journal_options jo = {.store = f->server.store,
                                       .state = f->server.state,
                                       .fsync = FSYNC_NEVER,
                                       .pending_bytes_max = 64 << 20,
                                       .pending_max = 100000,
                                       .data_path = f->folder,
                                       .fatal = on_fatal};
    assert_int_equal(journal_new(&jo, &f->server.journal), ST_OK);
    const struct policy policy = {.dedup_window_ms = 1000,
                                  .txn_outcome_retention_ms = 100000,
                                  .txn_timeout_ms = 100000,
                                  .checkin_ms = 1,
                                  .check_every_ms = 100000,
                                  .check_max = 3, .txn_bytes = TXN_BYTES_MAX,
                                  .auto_create_topics = true,
                                  .auto_create_groups = true};
    journal_set_policy(f->server.journal, &policy);
    f->server.unserved = unserved_new(&f->server, NULL);
    assert_non_null(f->server.unserved);
}

struct loops *loops_start(uint32_t n, const char *flag)
{
    struct loops *f = NULL;
    assert_int_equal(posix_memalign((void **)&f, 64, sizeof *f), 0);
    memset(f, 0, sizeof *f);
    f->folder = tmpdir_new();
    start_store(f, flag);
    f->server.roster = roster_new(f->server.journal);
    assert_non_null(f->server.roster);
    f->server.auth = auth_new();
    f->server.acl_log = acl_log_new();
    assert_true(f->server.auth && f->server.acl_log);
    struct serve_env serve = {.roster = f->server.roster, .auth = f->server.auth, .acl_log = f->server.acl_log, .broker = f, .stop = on_stop, .write_info = on_info};
    const struct net_env env = {.settings = f->server.settings,
                                .journal = f->server.journal,
                                .sessions = &serve_sessions,
                                .loops = &serve_loops,
                                .arg = &serve};
    f->server.net = serve.net = net_new(&env);
    assert_non_null(f->server.net);
    assert_true(net_start(f->server.net, n));
    return f;
}

void loops_drain(struct loops *f)
{
    net_drain(f->server.net, 10000);
    net_join(f->server.net);
    f->drained = true;
}

void loops_stop(struct loops *f)
{
    if (!f->drained)
        loops_drain(f);
    assert_int_equal(net_connections(f->server.net), 0);
    unserved_free(f->server.unserved);
    journal_free(f->server.journal);
    net_free(f->server.net);
    roster_free(f->server.roster);
    auth_free(f->server.auth);
    acl_log_free(f->server.acl_log);
    state_drop(f->server.state);
    store_close(f->server.store);
    settings_free(f->server.settings);
    tmpdir_remove(f->folder);
    free(f);
}

struct wire loops_client(struct loops *f, uint32_t loop)
{
    int pair[2];
    struct wire w = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    struct letter_socket socket = {.fd = pair[1], .from = {.kind = ADDRESS_UNIX}};
    assert_true(net_adopt(f->server.net, loop, &socket));
    w.fd = pair[0];
    buf_init(&w.in, 0);
    return w;
}
