/* use.c: counts what users use (use.h). */
#include "broker/access/use.h"

#include <stdlib.h>

#include "protocol/base/text.h"
#include "protocol/limits.h"

#define SECOND_NS INT64_C(1000000000)
#define USES_KEPT_MAX (2 * USERS_MAX) /* with more than that, those that nobody has are freed */

int uses_init(struct uses *us)
{
    us->by_name = (struct hash){0};
    return pthread_mutex_init(&us->lock, NULL);
}

static void uses_forget(struct uses *us, bool all)
{
    for (struct hash_node *node = hash_walk(&us->by_name, NULL), *next; node; node = next) {
        next = hash_walk(&us->by_name, node);
        if (!all && ((struct use *)node)->refs)
            continue;
        hash_remove(&us->by_name, node);
        free(node);
    }
}

void uses_fini(struct uses *us)
{
    uses_forget(us, true);
    hash_free(&us->by_name);
    pthread_mutex_destroy(&us->lock);
}

static struct use *use_find(struct uses *us, struct slice name, uint64_t hash)
{
    struct hash_node *node = hash_first(&us->by_name, hash);
    for (; node; node = hash_more(node)) {
        struct use *u = (struct use *)node;
        if (slice_equal(slice_of(u->name, u->name_len), name))
            return u;
    }
    return NULL;
}

static struct use *use_new(struct uses *us, struct slice name, uint64_t hash)
{
    struct use *u = calloc(1, sizeof *u + name.len);
    if (!u)
        return NULL;
    if (us->by_name.n >= USES_KEPT_MAX)
        uses_forget(us, false);
    u->name_len = name.len;
    memcpy(u->name, name.data, name.len);
    hash_add(&us->by_name, &u->node, hash);
    return u;
}

struct use *use_of(struct uses *us, struct slice name)
{
    uint64_t hash = text_hash(name);
    pthread_mutex_lock(&us->lock);
    struct use *u = use_find(us, name, hash);
    if (!u)
        u = use_new(us, name, hash);
    if (u)
        u->refs++;
    pthread_mutex_unlock(&us->lock);
    return u;
}

void use_release(struct uses *us, struct use *u)
{
    if (!u)
        return;
    pthread_mutex_lock(&us->lock);
    u->refs--;
    pthread_mutex_unlock(&us->lock);
}

bool use_connects(struct use *u, uint64_t most)
{
    uint_fast64_t n = atomic_load(&u->conns);
    do {
        if (most && n >= most)
            return false;
    } while (!atomic_compare_exchange_weak(&u->conns, &n, n + 1));
    return true;
}

void use_leaves(struct use *u)
{
    atomic_fetch_sub(&u->conns, 1);
}

/* How long so much takes at a pace, at most a year. */
static int64_t use_cost_ns(uint64_t amount, uint64_t rate)
{
    double ns = (double)amount * (double)SECOND_NS / (double)rate;
    double most = 365.0 * 86400 * (double)SECOND_NS;
    return ns < most ? (int64_t)ns : (int64_t)most;
}

/* ahead_ns: how much of the cost must fit within the second, too. Returns for how many ns it has to wait. */
static int64_t use_take(_Atomic int64_t *at, int64_t cost_ns, int64_t ahead_ns, int64_t now_ns)
{
    int64_t was = atomic_load(at), from;
    do {
        from = was > now_ns ? was : now_ns;
        int64_t over_ns = from + ahead_ns - now_ns - SECOND_NS;
        if (over_ns > 0)
            return over_ns;
    } while (!atomic_compare_exchange_weak(at, &was, from + cost_ns));
    return 0;
}

static int64_t use_ms(int64_t ns)
{
    return (ns + 999999) / 1000000;
}

int64_t use_spend(struct use *u, uint64_t rate, uint64_t bytes_rate, size_t bytes, int64_t now_ns)
{
    int64_t command_ns = rate ? use_cost_ns(1, rate) : 0, bytes_ns = bytes_rate ? use_cost_ns(bytes, bytes_rate) : 0;
    int64_t wait_ns = bytes_rate ? use_take(&u->bytes_at_ns, bytes_ns, 0, now_ns) : 0;
    if (wait_ns)
        return use_ms(wait_ns);
    wait_ns = rate ? use_take(&u->rate_at_ns, command_ns, command_ns < SECOND_NS ? command_ns : SECOND_NS, now_ns) : 0;
    if (wait_ns && bytes_rate)
        atomic_fetch_sub(&u->bytes_at_ns, bytes_ns); /* it is not done */
    return use_ms(wait_ns);
}
