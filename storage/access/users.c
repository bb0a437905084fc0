/* users.c: makes and finds users (users.h). */
#include "storage/access/users.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "protocol/base/text.h"

#define DEFAULT_NAME SLICE_LIT("default")

struct users {
    atomic_uint held;
    struct hash by_name;
    const struct access_user *dflt;
    struct access_user **sorted;
    uint32_t n;
};

struct users *users_new(void)
{
    struct users *us = calloc(1, sizeof *us);
    if (us)
        atomic_init(&us->held, 1);
    return us;
}

void users_hold(struct users *us)
{
    atomic_fetch_add_explicit(&us->held, 1, memory_order_relaxed);
}

void users_release(struct users *us)
{
    if (!us || atomic_fetch_sub_explicit(&us->held, 1, memory_order_acq_rel) != 1)
        return;
    for (struct hash_node *node = hash_walk(&us->by_name, NULL), *next; node; node = next) {
        next = hash_walk(&us->by_name, node);
        free(node);
    }
    hash_free(&us->by_name);
    free(us->sorted);
    free(us);
}

static bool users_is_free(const struct user_row *r)
{
    for (unsigned i = 0; i < RIGHT_WORDS; i++) {
        if (r->minus[i])
            return false;
    }
    return r->on && r->all_commands && r->topics.all && r->groups.all && r->pgroups.all && !r->rate && !r->bytes;
}

/* Has the command no parts with rights of their own, and no names with a right of their own? */
static bool users_is_plain(const struct command_info *info)
{
    return info->id != CMD_CLIENT && command_touch(info, COMMAND_POS_MAX) != TOUCH_CHANNEL;
}

static bool users_asks_store(const struct command_info *info)
{
    enum touch first = command_touch(info, 0);
    return info->kind == KIND_QUERY || first == TOUCH_TXN || first == TOUCH_TOKEN;
}

/* What can be said of commands from the table alone. */
static void users_look_ahead(struct access_user *u)
{
    const struct user_row *r = &u->row;
    bool bound = r->rate || r->bytes, all_names = r->topics.all && r->groups.all && r->pgroups.all;
    for (unsigned right = 0; right < RIGHT_COUNT; right++) {
        if (user_row_allows(r, right))
            u->rights[right / 64] |= UINT64_C(1) << (right % 64);
    }
    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        const struct command_info *info = command_info((enum command_id)id);
        bool plain = !bound && user_row_allows(r, id) && users_is_plain(info);
        u->looks[id] = (uint8_t)((plain ? 0 : LOOK_AT_ALL) | (!all_names && users_asks_store(info) ? LOOK_IN_STORE : 0));
    }
}

static void users_insert(struct users *us, struct access_user *u)
{
    u->users = us;
    u->free = users_is_free(&u->row);
    users_look_ahead(u);
    hash_add(&us->by_name, &u->node, text_hash(u->name));
    us->n++;
}

enum status users_add(struct users *us, struct slice name, struct slice row)
{
    struct access_user *u = calloc(1, sizeof *u + name.len + row.len);
    if (!u)
        return ST_NOMEM;
    memcpy(u->bytes, name.data, name.len);
    if (row.len)
        memcpy(u->bytes + name.len, row.data, row.len);
    u->name = slice_of(u->bytes, name.len);
    u->damaged = user_row_decode(slice_of(u->bytes + name.len, row.len), &u->row) != ST_OK;
    if (u->damaged)
        user_row_new(&u->row);
    users_insert(us, u);
    return ST_OK;
}

static enum status users_add_default(struct users *us)
{
    struct slice name = DEFAULT_NAME;
    struct access_user *u = calloc(1, sizeof *u + name.len);
    if (!u)
        return ST_NOMEM;
    memcpy(u->bytes, name.data, name.len);
    u->name = slice_of(u->bytes, name.len);
    user_row_default(&u->row);
    users_insert(us, u);
    return ST_OK;
}

static int users_order(const void *a, const void *b)
{
    struct slice x = (*(struct access_user *const *)a)->name, y = (*(struct access_user *const *)b)->name;
    int d = memcmp(x.data, y.data, x.len < y.len ? x.len : y.len);
    return d ? d : (x.len > y.len) - (x.len < y.len);
}

enum status users_finish(struct users *us)
{
    if (!users_find(us, DEFAULT_NAME) && users_add_default(us) != ST_OK)
        return ST_NOMEM;
    us->sorted = malloc(us->n * sizeof *us->sorted);
    if (!us->sorted)
        return ST_NOMEM;
    uint32_t n = 0;
    for (struct hash_node *node = hash_walk(&us->by_name, NULL); node; node = hash_walk(&us->by_name, node))
        us->sorted[n++] = (struct access_user *)node;
    qsort(us->sorted, n, sizeof *us->sorted, users_order);
    us->dflt = users_find(us, DEFAULT_NAME);
    return ST_OK;
}

const struct access_user *users_find(const struct users *us, struct slice name)
{
    struct hash_node *node = hash_first(&us->by_name, text_hash(name));
    while (node && !slice_equal(((struct access_user *)node)->name, name))
        node = hash_more(node);
    return (const struct access_user *)node;
}

const struct access_user *users_default(const struct users *us)
{
    assert(us->dflt);
    return us->dflt;
}

uint32_t users_count(const struct users *us)
{
    return us->n;
}

const struct access_user *users_at(const struct users *us, uint32_t i)
{
    assert(i < us->n);
    return us->sorted[i];
}
