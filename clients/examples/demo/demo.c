/*
 * demo.c: starts a broker, an order service and two consumer groups. It kills the broker and the service
 * again and again while 20,000 orders go through, and compares the database with the groups at the end.
 *
 *            half, commit              POP
 *   orders ───────────────► halfmqd ────────► billing, shipping (here, in this process)
 *     │  ▲ ◄─────────────────  │ ▲
 *   SQLite   "what became of    └─┴── SIGKILL, from here, at moments drawn from the seed
 *             transaction 17?"
 *
 * Then comes the second act, on the same broker: a burst, and a slow database (burst.h).
 *
 *   demo --bin <folder of halfmqd> --data <folder of the CSV files> [--orders n] [--seed n] [--keep]
 *
 * Exit status 0: the audit found no fault. All files are in a temporary folder, which is kept with --keep
 * or after a fault. A run is stopped after two minutes at most.
 */
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "burst.h"
#include "children.h"
#include "shop.h"

#define SERVICE_KILLS 6
#define BROKER_KILLS 5
#define KILLS (SERVICE_KILLS + BROKER_KILLS)
#define LIMIT_MS 110000
#define STALL_MS 40000

struct kill {
    uint32_t at; /* orders decided */
    struct child *child;
};

struct demo {
    const char *bin, *data;
    uint32_t n_orders;
    uint64_t seed;
    bool keep;
    char folder[PATH_SIZE], db[PATH_SIZE + 32], uri[64];
    struct child broker, service;
    struct kill kills[KILLS];
    size_t n_killed;
    struct ledger billing, shipping;
    struct watch watch;
    int64_t started_ms, orders_ms, ended_ms; /* orders_ms: the last order was decided */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static uint64_t draw(struct demo *d)
{
    d->seed = d->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return d->seed >> 33;
}

static bool read_arguments(struct demo *d, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--keep") == 0) {
            d->keep = true;
            continue;
        }
        if (!value)
            return false;
        if (strcmp(argv[i], "--bin") == 0)
            d->bin = value;
        else if (strcmp(argv[i], "--data") == 0)
            d->data = value;
        else if (strcmp(argv[i], "--orders") == 0)
            d->n_orders = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            d->seed = strtoull(value, NULL, 10);
        else
            return false;
        i++;
    }
    return d->bin && d->data && d->n_orders >= 100 && d->n_orders <= 10000000;
}

/* Formats a text that is never freed. */
static char *text(const char *format, const char *value)
{
    char *made = NULL;
    if (asprintf(&made, format, value) < 0)
        abort();
    return made;
}

static bool prepare_folder(struct demo *d)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(d->folder, sizeof d->folder, "%s/halfmq-demo-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(d->folder)) {
        perror("demo: cannot make a temporary folder");
        return false;
    }
    snprintf(d->db, sizeof d->db, "%s/orders.db", d->folder);
    return true;
}

static bool prepare(struct demo *d)
{
    char port[16], orders[16];
    int ports[2];
    if (!prepare_folder(d) || !free_ports(ports))
        return false;
    snprintf(d->uri, sizeof d->uri, "hmq://127.0.0.1:%d", ports[0]);
    setenv("HALFMQ_URL", d->uri, 1);
    snprintf(port, sizeof port, "%d", ports[0]);
    snprintf(orders, sizeof orders, "%" PRIu32, d->n_orders);
    char *http_flag = NULL;
    if (asprintf(&http_flag, "--http_port=%d", ports[1]) < 0)
        return false;
    char *broker[] = {text("%s/halfmqd", d->bin),
                      text("--port=%s", port),
                      http_flag,
                      text("--data=%s/broker", d->folder),
                      text("%s", "--checkin=500ms"),
                      text("%s", "--check_every=1s"),
                      NULL};
    char *service[] = {text("%s/examples/demo/orders", d->bin),
                       text("%s", d->data),
                       d->db,
                       text("%s", orders),
                       text("%s", "2"),
                       NULL};
    d->broker = (struct child){.name = "broker", .log = text("%s/broker.log", d->folder)};
    d->service = (struct child){.name = "order service", .log = text("%s/orders.log", d->folder)};
    memcpy(d->broker.arguments, broker, sizeof broker);
    memcpy(d->service.arguments, service, sizeof service);
    return true;
}

static int earlier(const void *a, const void *b)
{
    const struct kill *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Draws the moments of the kills: at random while 3 % to 97 % of the orders are decided. */
static void plan_kills(struct demo *d)
{
    for (size_t i = 0; i < KILLS; i++) {
        uint64_t share = 30 + draw(d) % 940;
        d->kills[i].at = (uint32_t)(share * d->n_orders / 1000);
        d->kills[i].child = i < SERVICE_KILLS ? &d->service : &d->broker;
    }
    qsort(d->kills, KILLS, sizeof *d->kills, earlier);
}

static bool start(struct demo *d)
{
    hmq_error err;
    d->watch.db_path = d->db;
    if (!child_start(&d->broker))
        return false;
    if (hmq_client_open(d->uri, &d->watch.client, &err) != HMQ_OK ||
        hmq_client_wait(d->watch.client, 20000, &err) != HMQ_OK) {
        fprintf(stderr, "demo: the broker does not answer: %s; see %s\n", err.text, d->broker.log);
        return false;
    }
    /* If the broker dies before its reply to POP arrives, the messages stay leased: so the lease is short. */
    char uri[96];
    snprintf(uri, sizeof uri, "%s?lease_ms=2000", d->uri);
    return ledger_start(&d->billing, "billing", d->n_orders, uri) &&
           ledger_start(&d->shipping, "shipping", d->n_orders, uri) && child_start(&d->service);
}

static bool kill_due(struct demo *d)
{
    struct kill *k = &d->kills[d->n_killed];
    if (d->n_killed == KILLS || d->watch.now.taken + d->watch.now.refused < k->at)
        return true;
    d->n_killed++;
    if (k->child == &d->broker)
        watch_keep(&d->watch);
    pause_ms((int)(draw(d) % 40));
    child_kill(k->child);
    k->child->kills++;
    pause_ms((int)(draw(d) % 200));
    return child_start(k->child);
}

static void progress(struct demo *d)
{
    const struct figures *f = &d->watch.now;
    printf("%3.0f s  orders %6" PRIu32 " of %" PRIu32 " (%" PRIu32 " refused)  billing %6" PRIu32
           "  shipping %6" PRIu32 "  open %4" PRIu64 "  asked back %4" PRIu64
           "  kills: service %u, broker %u\n",
           (double)(now_ms() - d->started_ms) / 1000, f->taken + f->refused, d->n_orders,
           f->refused, ledger_orders(&d->billing), ledger_orders(&d->shipping), f->pending,
           f->asked, d->service.kills, d->broker.kills);
    fflush(stdout);
}

static bool complete(const struct demo *d, uint32_t billing, uint32_t shipping)
{
    const struct figures *f = &d->watch.now;
    return f->taken + f->refused == d->n_orders && d->n_killed == KILLS && f->pending == 0 &&
           billing >= f->taken && shipping >= f->taken;
}

/* Runs until all orders are received. False: something died, made no progress, or took too long. */
static bool run(struct demo *d)
{
    uint64_t last_sum = 0;
    int64_t moved_ms = now_ms(), next_line_ms = now_ms() + 1000;
    for (;;) {
        bool seen = watch_database(&d->watch);
        uint32_t billing = ledger_orders(&d->billing), shipping = ledger_orders(&d->shipping);
        uint64_t sum =
            d->watch.now.taken + d->watch.now.refused + billing + shipping + d->watch.now.asked;
        if (sum != last_sum)
            moved_ms = now_ms();
        last_sum = sum;
        if (seen && d->orders_ms == 0 && d->watch.now.taken + d->watch.now.refused == d->n_orders)
            d->orders_ms = now_ms();
        if (now_ms() >= next_line_ms || d->orders_ms)
            watch_broker(&d->watch, 500);
        if (now_ms() >= next_line_ms) {
            progress(d);
            next_line_ms += 1000;
        }
        if (complete(d, billing, shipping))
            return true;
        bool late = now_ms() - d->started_ms > LIMIT_MS || now_ms() - moved_ms > STALL_MS;
        if (interrupted || late || !child_alive(&d->broker) || !child_alive(&d->service) ||
            !kill_due(d)) {
            printf("demo: %s\n", interrupted ? "interrupted"
                                 : late      ? "nothing moves any more"
                                             : "ended early");
            return false;
        }
        pause_ms(20);
    }
}

/* Runs after all orders were received, so that messages that were published twice have arrived as well. */
static unsigned audit(struct demo *d, bool through)
{
    const struct figures *f = &d->watch.now;
    unsigned faults = !through;
    watch_database(&d->watch);
    watch_broker(&d->watch, 2000);
    progress(d);
    printf("audit\n");
    faults += audit_group(&d->billing, d->watch.db);
    faults += audit_group(&d->shipping, d->watch.db);
    faults += audit_rest(f, d->n_orders);
    printf("  kills     %u of the service, %u of the broker, all SIGKILL\n", d->service.kills,
           d->broker.kills);
    printf("  asked     the broker asked back %" PRIu64 " times; the service noted %" PRIu32
           " commit, %" PRIu32 " rollback (%" PRIu32 " of transactions that never happened)\n",
           f->asked, f->asked_commit, f->asked_rollback, f->never);
    double orders_s = (double)(d->orders_ms - d->started_ms) / 1000;
    double all_s = (double)(d->ended_ms - d->started_ms) / 1000;
    if (through)
        printf("  rates     %.0f orders/s decided, restarts included (%.1f s); all received after "
               "%.1f s\n",
               d->n_orders / orders_s, orders_s, all_s);
    printf("%s\n",
           faults
               ? "FAILED"
               : "PASSED: consumers hold exactly the orders of the database, each published once");
    return faults;
}

static bool stop(struct demo *d)
{
    int64_t deadline_ms = now_ms() + 15000;
    bool service = child_stop(&d->service, deadline_ms);
    bool billing = !d->billing.client || ledger_stop(&d->billing);
    bool shipping = !d->shipping.client || ledger_stop(&d->shipping);
    watch_close(&d->watch);
    bool broker = child_stop(&d->broker, deadline_ms);
    ledger_free(&d->billing);
    ledger_free(&d->shipping);
    return service && billing && shipping && broker;
}

static bool second_act(struct demo *d)
{
    char *path = text("%s/burst.db", d->folder);
    bool good = burst_play(d->uri, path, d->n_orders);
    free(path);
    return good;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static uint64_t seed_of_today(void)
{
    return (uint64_t)now_ms() * UINT64_C(2654435761) ^ (uint64_t)getpid();
}

int main(int argc, char **argv)
{
    static struct demo demo;
    struct demo *d = &demo;
    d->n_orders = 20000;
    d->seed = seed_of_today();
    if (!read_arguments(d, argc, argv)) {
        fprintf(stderr,
                "usage: demo --bin <folder> --data <folder> [--orders n] [--seed n] [--keep]\n");
        return 2;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("seed %" PRIu64 " (--seed repeats the kills)\n", d->seed);
    d->started_ms = now_ms();
    plan_kills(d);
    bool through = prepare(d) && start(d) && run(d);
    d->ended_ms = now_ms();
    unsigned faults = d->watch.db ? audit(d, through) : 1;
    if (faults == 0 && !interrupted)
        faults += !second_act(d);
    if (!stop(d)) {
        printf("FAILED: not everything stopped as it should\n");
        faults++;
    }
    if (faults || d->keep)
        printf("all files are in %s\n", d->folder);
    else
        nftw(d->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return faults ? EXIT_FAILURE : EXIT_SUCCESS;
}
