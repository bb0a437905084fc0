/* pgroup.c: producer groups in memory: reads, saves and forgets them (pgroup.h). */
#include "storage/model/pgroup.h"

#include <stdlib.h>

#define PGROUPS_KEPT_MAX 10000

static void pgroup_free(struct pgroup *pg)
{
    if (!pg)
        return;
    free((void *)(uintptr_t)pg->name.data);
    free(pg);
}

void pgroups_free(struct state *st)
{
    for (struct hash_node *node = hash_walk(&st->pgroups, NULL), *next; node; node = next) {
        next = hash_walk(&st->pgroups, node);
        pgroup_free((struct pgroup *)node);
    }
    hash_free(&st->pgroups);
    st->last_pgroup = NULL;
}

void pgroup_touch(struct state *st, struct pgroup *pg)
{
    if (pg->touched)
        return;
    pg->touched = true;
    pg->next_touched = st->touched_pgroups;
    st->touched_pgroups = pg;
}

void pgroups_save(struct state *st)
{
    while (st->touched_pgroups) {
        struct pgroup *pg = st->touched_pgroups;
        struct key key = key_pgroup_open(pg->name);
        st->touched_pgroups = pg->next_touched;
        pg->touched = false;
        if (pg->open.pending + pg->open.parked == 0) {
            overlay_del(&st->overlay, &key);
            continue;
        }
        buf_reset(&st->scratch2, KIB(64));
        pgroup_open_encode(&st->scratch2, &pg->open);
        overlay_put(&st->overlay, &key, core_row(st));
    }
}

void pgroup_keep(struct pgroup *pg, const struct pgroup_row *row)
{
    static const struct pgroup_row none;
    pg->own = row ? *row : none;
    pg->own.checkurl = pg->own.secret = slice_of(NULL, 0);
}

enum status pgroup_settings(struct state *st, struct slice name, struct buf *hold,
                            struct pgroup_row *ret_row)
{
    struct key key = key_pgroup(name);
    buf_reset(hold, KIB(64));
    enum status s = overlay_get(&st->overlay, &key, hold);
    if (s != ST_OK)
        return s;
    return pgroup_decode(buf_slice(hold), ret_row) == ST_OK ? ST_OK : core_bad_row(st, &key);
}

static enum status pgroup_read(struct state *st, struct pgroup *pg)
{
    struct pgroup_row row;
    enum status s = pgroup_settings(st, pg->name, &st->scratch2, &row);
    if (s == ST_OK)
        pgroup_keep(pg, &row);
    else if (s != ST_GONE)
        return s;
    struct key key = key_pgroup_open(pg->name);
    buf_reset(&st->scratch2, KIB(64));
    s = overlay_get(&st->overlay, &key, &st->scratch2);
    if (s == ST_OK && pgroup_open_decode(buf_slice(&st->scratch2), &pg->open) != ST_OK)
        s = core_bad_row(st, &key);
    return s == ST_GONE ? ST_OK : s;
}

static struct pgroup *pgroup_new(struct slice name)
{
    struct pgroup *pg = calloc(1, sizeof(*pg));
    uint8_t *copy = malloc(name.len);
    if (!pg || !copy) {
        free(copy);
        free(pg);
        return NULL;
    }
    memcpy(copy, name.data, name.len);
    *pg = (struct pgroup){.name = slice_of(copy, name.len), .armed_ms = INT64_MAX};
    pg->news.key = news_key(NEWS_PGROUP, pg->name, slice_of(NULL, 0));
    return pg;
}

/* Not within a group: the check rows that it has put are not in the store yet, and only the memory of a producer group
 * knows of them. Takers may be woken once more than needed. */
void pgroups_forget(struct state *st)
{
    if (st->pgroups.n < PGROUPS_KEPT_MAX)
        return;
    assert(!st->touched_pgroups);
    pgroups_free(st);
}

/* The producer group, or NULL where it is not in memory. */
static struct pgroup *pgroup_find(struct state *st, struct slice name)
{
    struct pgroup *pg = st->last_pgroup;
    if (pg && slice_equal(pg->name, name))
        return pg;
    struct hash_node *node = hash_first(&st->pgroups, text_hash(name));
    while (node && !slice_equal(((struct pgroup *)node)->name, name))
        node = hash_more(node);
    if (node)
        st->last_pgroup = (struct pgroup *)node;
    return (struct pgroup *)node;
}

enum status pgroup_get(struct state *st, struct slice name, struct pgroup **ret_pg)
{
    struct pgroup *pg = pgroup_find(st, name);
    if (pg) {
        *ret_pg = pg;
        return ST_OK;
    }
    pg = pgroup_new(name);
    enum status s = pg ? pgroup_read(st, pg) : ST_NOMEM;
    if (s != ST_OK) {
        pgroup_free(pg);
        return s;
    }
    hash_add(&st->pgroups, &pg->node, text_hash(name));
    *ret_pg = pg;
    return ST_OK;
}

struct pgroup *pgroup_of(struct state *st, struct slice name)
{
    struct pgroup *pg = pgroup_find(st, name);
    assert(pg);
    return pg;
}
