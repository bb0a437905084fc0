/*
 * pgroup.c: producer groups in memory, PGROUP SET and PGROUP DELETE (pgroup.h). INFO and LIST are in
 * query_pgroup.c.
 *
 * Settings count for what comes after them: CHECKIN and TIMEOUT for later HALFs, CHECKEVERY and CHECKMAX
 * from the next ask on. URL and secret are the broker's business: it reads them when the effects of a
 * group say that settings have changed (query_pgroup_hooks).
 *
 * To add a setting: an option in protocol/command/option.def, its bit and field in rows.h, a line in `take`, one in
 * `keep` where apply needs it, one in query_pgroup.c.
 */
#include "storage/model/pgroup.h"

#include <stdlib.h>

#include "storage/apply/handlers.h"

#define PGROUPS_KEPT_MAX 10000

struct slice pgroup_name_of(const void *pgroup)
{
    return ((const struct pgroup *)pgroup)->name;
}

static void pgroup_free(struct pgroup *pg)
{
    if (!pg)
        return;
    free((void *)(uintptr_t)pg->name.data);
    free(pg);
}

void pgroups_free(struct state *st)
{
    uint32_t at = 0;
    for (struct pgroup *pg = table_next(&st->pgroups, &at); pg; pg = table_next(&st->pgroups, &at))
        pgroup_free(pg);
    table_fini(&st->pgroups);
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
        overlay_put(&st->overlay, &key, state_row(st));
    }
}

/* The numbers of its settings; row NULL: it has none. */
static void keep(struct pgroup *pg, const struct pgroup_row *row)
{
    static const struct pgroup_row none;
    row = row ? row : &none;
    pg->set = row->set;
    pg->checkin_ms = row->checkin_ms;
    pg->check_every_ms = row->check_every_ms;
    pg->check_max = row->check_max;
    pg->timeout_ms = row->timeout_ms;
}

/* Its settings, whose bytes are in hold. ST_GONE: it has none. */
static enum status pgroup_settings(struct state *st, struct slice name, struct buf *hold,
                                   struct pgroup_row *ret_row)
{
    struct key key = key_pgroup(name);
    buf_reset(hold, KIB(64));
    enum status s = overlay_get(&st->overlay, &key, hold);
    if (s != ST_OK)
        return s;
    return pgroup_decode(buf_slice(hold), ret_row) == ST_OK ? ST_OK : ST_IO;
}

static enum status pgroup_read(struct state *st, struct pgroup *pg)
{
    struct pgroup_row row;
    enum status s = pgroup_settings(st, pg->name, &st->scratch2, &row);
    if (s == ST_OK)
        keep(pg, &row);
    else if (s != ST_GONE)
        return s;
    struct key key = key_pgroup_open(pg->name);
    buf_reset(&st->scratch2, KIB(64));
    s = overlay_get(&st->overlay, &key, &st->scratch2);
    if (s == ST_OK && pgroup_open_decode(buf_slice(&st->scratch2), &pg->open) != ST_OK)
        s = ST_IO;
    return s == ST_GONE ? ST_OK : s;
}

static struct pgroup *pgroup_new(struct slice name, uint64_t hash)
{
    struct pgroup *pg = calloc(1, sizeof(*pg));
    uint8_t *copy = malloc(name.len);
    if (!pg || !copy) {
        free(copy);
        free(pg);
        return NULL;
    }
    memcpy(copy, name.data, name.len);
    *pg = (struct pgroup){.name = slice_of(copy, name.len), .hash = hash, .armed_ms = INT64_MAX};
    pg->news.key = news_key(NEWS_PGROUP, pg->name, slice_of(NULL, 0));
    return pg;
}

/* Forgetting them all is harmless: they are read again, and takers are only woken once more than needed. */
static void pgroups_forget(struct state *st)
{
    pgroups_save(st);
    pgroups_free(st);
}

/* NULL: it is not in memory. */
static struct pgroup *pgroup_find(struct state *st, struct slice name)
{
    struct pgroup *pg = st->last_pgroup;
    if (pg && slice_equal(pg->name, name))
        return pg;
    pg = table_find(&st->pgroups, text_hash(name), name);
    if (pg)
        st->last_pgroup = pg;
    return pg;
}

enum status pgroup_get(struct state *st, struct slice name, struct pgroup **ret_pg)
{
    struct pgroup *pg = pgroup_find(st, name);
    if (pg) {
        *ret_pg = pg;
        return ST_OK;
    }
    if (st->pgroups.n >= PGROUPS_KEPT_MAX)
        pgroups_forget(st);
    uint64_t hash = text_hash(name);
    pg = pgroup_new(name, hash);
    enum status s = pg ? pgroup_read(st, pg) : ST_NOMEM;
    if (s == ST_OK && !table_add(&st->pgroups, hash, pg))
        s = ST_NOMEM;
    if (s == ST_OK)
        *ret_pg = pg;
    else
        pgroup_free(pg);
    return s;
}

struct pgroup *pgroup_of(struct state *st, struct slice name)
{
    struct pgroup *pg = pgroup_find(st, name);
    assert(pg);
    return pg;
}

/* The settings that the command gives; an empty text takes one away. */
static void take(struct pgroup_row *row, const struct command *cmd)
{
    for (uint32_t i = 0; i < cmd->n_opt; i++) {
        const struct option *o = &cmd->opt[i];
        uint32_t bit = 0;
        switch (o->id) {
        case OPT_ID_CHECKURL: bit = PGROUP_CHECKURL, row->checkurl = o->v; break;
        case OPT_ID_SECRET: bit = PGROUP_SECRET, row->secret = o->v; break;
        case OPT_ID_CHECKIN: bit = PGROUP_CHECKIN, row->checkin_ms = o->n; break;
        case OPT_ID_CHECKEVERY: bit = PGROUP_CHECKEVERY, row->check_every_ms = o->n; break;
        case OPT_ID_CHECKMAX: bit = PGROUP_CHECKMAX, row->check_max = (uint32_t)o->n; break;
        case OPT_ID_TIMEOUT: bit = PGROUP_TIMEOUT, row->timeout_ms = o->n; break;
        default: break;
        }
        bool text = bit == PGROUP_CHECKURL || bit == PGROUP_SECRET;
        row->set = text && o->v.len == 0 ? row->set & ~bit : row->set | bit;
    }
}

static void pgroup_put(struct state *st, struct pgroup *pg, const struct pgroup_row *row)
{
    struct key key = key_pgroup(pg->name);
    buf_reset(&st->scratch2, KIB(64));
    pgroup_encode(&st->scratch2, row);
    overlay_put(&st->overlay, &key, state_row(st));
    keep(pg, row);
    st->fx.pgroups_changed = true;
}

static void pgroup_drop(struct state *st, struct pgroup *pg)
{
    struct key key = key_pgroup(pg->name);
    overlay_del(&st->overlay, &key);
    keep(pg, NULL);
    assert(st->meta.pgroups > 0);
    st->meta.pgroups--;
    st->meta_dirty = true;
    st->fx.pgroups_changed = true;
}

void apply_pgroup_set(struct state *st, const struct stamp *stamp, const struct command *cmd,
                      struct outcome *out)
{
    (void)stamp;
    struct pgroup *pg = NULL;
    struct pgroup_row row = {0};
    enum status s = pgroup_get(st, cmd->pos[0], &pg);
    if (s == ST_OK)
        s = pgroup_settings(st, cmd->pos[0], &st->scratch, &row);
    bool is_new = s == ST_GONE;
    if (is_new && st->meta.pgroups >= PGROUPS_MAX) {
        reply_error(&out->reply, ST_LIMIT, "%d producer groups have settings, which is the most", PGROUPS_MAX);
        return;
    }
    if (s != ST_OK && s != ST_GONE) {
        state_fail(out, s, "PGROUP SET");
        return;
    }
    take(&row, cmd);
    if (is_new) {
        st->meta.pgroups++;
        st->meta_dirty = true;
    }
    if (row.set)
        pgroup_put(st, pg, &row);
    else
        pgroup_drop(st, pg);
    reply_ok(&out->reply);
}

void apply_pgroup_delete(struct state *st, const struct stamp *stamp, const struct command *cmd,
                         struct outcome *out)
{
    (void)stamp;
    struct pgroup *pg = NULL;
    struct pgroup_row row;
    enum status s = pgroup_get(st, cmd->pos[0], &pg);
    if (s == ST_OK)
        s = pgroup_settings(st, cmd->pos[0], &st->scratch, &row);
    if (s == ST_OK)
        pgroup_drop(st, pg);
    if (s == ST_OK || s == ST_GONE)
        reply_ok(&out->reply);
    else
        state_fail(out, s, "PGROUP DELETE");
}
