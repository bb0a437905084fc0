/*
 * pgroup_set.c: PGROUP SET and PGROUP DELETE: settings of producer groups (model/pgroup.h).
 *
 * Settings are used from now on: CHECKIN and TIMEOUT for later HALFs, CHECKEVERY and CHECKMAX from the next ask on.
 * URL and secret are used by the broker only, which reads them when the effects of a group say that settings have
 * changed (query_pgroup_hooks).
 *
 * To add a setting: an option in protocol/command/option.def, its bit and field in rows.h, a line in
 * `pgroup_set_take`, one in query_pgroup.c.
 */
#include "storage/apply/handlers.h"
#include "storage/model/pgroup.h"

/* Puts the settings that the command gives into row. An empty text removes a setting. */
static void pgroup_set_take(struct pgroup_row *row, const struct command *cmd)
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

static void pgroup_set_put(struct state *st, struct pgroup *pg, const struct pgroup_row *row)
{
    struct key key = key_pgroup(pg->name);
    buf_reset(&st->scratch2, KIB(64));
    pgroup_encode(&st->scratch2, row);
    overlay_put(&st->overlay, &key, core_row(st));
    pgroup_keep(pg, row);
    st->fx.pgroups_changed = true;
}

static void pgroup_set_drop(struct state *st, struct pgroup *pg)
{
    struct key key = key_pgroup(pg->name);
    overlay_del(&st->overlay, &key);
    pgroup_keep(pg, NULL);
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
        reply_error(&out->reply, ST_LIMIT, "too many producer groups have settings: at most %d", PGROUPS_MAX);
        return;
    }
    if (s != ST_OK && s != ST_GONE) {
        core_fail(out, s, "PGROUP SET");
        return;
    }
    pgroup_set_take(&row, cmd);
    if (is_new) {
        st->meta.pgroups++;
        st->meta_dirty = true;
    }
    if (row.set)
        pgroup_set_put(st, pg, &row);
    else
        pgroup_set_drop(st, pg);
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
        pgroup_set_drop(st, pg);
    if (s == ST_OK || s == ST_GONE)
        reply_ok(&out->reply);
    else
        core_fail(out, s, "PGROUP DELETE");
}
