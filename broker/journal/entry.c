/* entry.c: makes an entry as one block, the struct and then what its command points to; pools of blocks; lists. */
#include "broker/journal/entry.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "storage/access/users.h"
#include "storage/query.h"

#define ENTRIES_KEPT 8192

static void entry_init_outcome(struct entry *e)
{
    outcome_init(&e->out);
    buf_borrow(&e->out.reply, e->said, sizeof(e->said));
}

/* A block of at least `need` bytes, from the pool or from malloc; *ret_bytes is its size. NULL: no memory. */
static struct entry *entry_block(struct entry_pool *pool, size_t need, size_t *ret_bytes)
{
    *ret_bytes = need < ENTRY_SMALL_BYTES ? ENTRY_SMALL_BYTES : need;
    if (!pool || need > ENTRY_SMALL_BYTES || !pool->first) {
        bool large = *ret_bytes >= BUF_LARGE && buf_large;
        return large ? buf_large(NULL, *ret_bytes) : malloc(*ret_bytes);
    }
    struct entry *e = pool->first;
    pool->first = e->next;
    pool->n--;
    if (pool->n < pool->least)
        pool->least = pool->n;
    return e;
}

struct entry *entry_new_taking(struct entry_pool *pool, const struct command *cmd, struct slice block)
{
    static_assert(sizeof(struct entry) < ENTRY_SMALL_BYTES - 256, "small blocks are too small");
    size_t head = (sizeof(struct entry) + 7) & ~(size_t)7, bytes = 0;
    struct entry *e = entry_block(pool, head + command_clone_size_beside(cmd, block), &bytes);
    if (!e)
        return NULL;
    memset(e, 0, offsetof(struct entry, said));
    e->bytes = bytes + block.len;
    e->taken = block;
    e->pool = pool;
    entry_init_outcome(e);
    command_clone_beside(cmd, block, (uint8_t *)e + head, &e->cmd);
    if (e->cmd.user)
        users_hold(e->cmd.user->users);
    return e;
}

struct entry *entry_new(struct entry_pool *pool, const struct command *cmd)
{
    return entry_new_taking(pool, cmd, slice_of(NULL, 0));
}

void entry_let_go(struct entry *e)
{
    e->bytes -= e->taken.len;
    e->taken = slice_of(NULL, 0);
}

void entry_judged_by(struct entry *e, const struct access_user *user)
{
    if (user)
        users_hold(user->users);
    if (e->cmd.user)
        users_release(e->cmd.user->users);
    e->cmd.user = user;
}

static void entry_free_more(struct entry *e)
{
    struct entry_list l = entry_take_more(e);
    for (struct entry *one; (one = entry_pop(&l));)
        entry_free(one);
}

void entry_free(struct entry *e)
{
    if (!e)
        return;
    if (e->more)
        entry_free_more(e);
    entry_sift_over(e);
    if (e->cmd.user)
        users_release(e->cmd.user->users);
    outcome_free(&e->out);
    free((void *)(uintptr_t)e->taken.data);
    entry_let_go(e);
    struct entry_pool *p = e->pool;
    if (!p || e->bytes != ENTRY_SMALL_BYTES || p->n >= ENTRIES_KEPT) {
        free(e);
        return;
    }
    e->next = p->first;
    p->first = e;
    p->n++;
}

void entry_sift_over(struct entry *e)
{
    if (!e->sifter)
        return;
    sifter_free(e->sifter);
    e->sifter = NULL;
    e->cmd.sifted = slice_of(NULL, 0);
}

void entry_again(struct entry *e)
{
    outcome_free(&e->out);
    entry_init_outcome(e);
}

void entry_pool_trim(struct entry_pool *p, bool all)
{
    for (uint32_t n = all ? p->n : p->least; n > 0; n--) {
        struct entry *e = p->first;
        p->first = e->next;
        p->n--;
        free(e);
    }
    p->least = p->n;
}

void entry_push(struct entry_list *l, struct entry *e)
{
    e->next = NULL;
    if (l->last)
        l->last->next = e;
    else
        l->first = e;
    l->last = e;
    l->n++;
    l->bytes += e->bytes;
}

struct entry *entry_pop(struct entry_list *l)
{
    struct entry *e = l->first;
    if (!e)
        return NULL;
    l->first = e->next;
    if (!l->first)
        l->last = NULL;
    assert(l->n > 0 && l->bytes >= e->bytes);
    l->n--;
    l->bytes -= e->bytes;
    e->next = NULL;
    return e;
}

void entry_append(struct entry_list *l, struct entry_list *more)
{
    if (!more->first)
        return;
    if (l->last)
        l->last->next = more->first;
    else
        l->first = more->first;
    l->last = more->last;
    l->n += more->n;
    l->bytes += more->bytes;
    *more = (struct entry_list){0};
}

void entry_put_more(struct entry *e, struct entry_list *l)
{
    assert(!e->more);
    e->more = l->first;
    e->bytes += l->bytes;
    *l = (struct entry_list){0};
}

struct entry_list entry_take_more(struct entry *e)
{
    struct entry_list l = {0};
    for (struct entry *one = e->more, *next; one; one = next) {
        next = one->next;
        entry_push(&l, one);
    }
    e->more = NULL;
    e->bytes -= l.bytes;
    return l;
}
