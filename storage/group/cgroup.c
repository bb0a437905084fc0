/* cgroup.c: consumer groups by name: reads, writes and forgets them (cgroup.h). */
#include "storage/group/cgroup.h"

#include <stdlib.h>

static void cgroup_free(struct state *st, struct cgroup *cg)
{
    hash_remove(&st->cgroups, &cg->node);
    free((void *)(uintptr_t)cg->name.data);
    free(cg);
}

static void cgroup_touch(struct state *st, struct cgroup *cg)
{
    if (cg->touched)
        return;
    cg->touched = true;
    cg->next_touched = st->touched_cgroups;
    st->touched_cgroups = cg;
}

void cgroup_dirty(struct state *st, struct cgroup *cg)
{
    cg->dirty = true;
    cgroup_touch(st, cg);
}

static enum status cgroup_read(struct state *st, struct slice name, struct cgroup_row *ret_row)
{
    struct key key = key_cgroup(name);
    buf_reset(&st->scratch2, KIB(64));
    enum status s = overlay_get(&st->overlay, &key, &st->scratch2);
    *ret_row = (struct cgroup_row){0};
    if (s == ST_GONE)
        return ST_OK;
    if (s == ST_OK && cgroup_decode(buf_slice(&st->scratch2), ret_row) != ST_OK)
        s = core_bad_row(st, &key);
    return s;
}

static enum status cgroup_load(struct state *st, struct slice name, struct cgroup **ret_cg)
{
    struct cgroup *cg = calloc(1, sizeof(*cg));
    uint8_t *copy = malloc(name.len);
    enum status s = cg && copy ? cgroup_read(st, name, &cg->row) : ST_NOMEM;
    if (s != ST_OK) {
        free(cg);
        free(copy);
        return s;
    }
    memcpy(copy, name.data, name.len);
    cg->name = slice_of(copy, name.len);
    hash_add(&st->cgroups, &cg->node, text_hash(name));
    cgroup_touch(st, cg);
    *ret_cg = cg;
    return ST_OK;
}

enum status cgroup_get(struct state *st, struct slice name, struct cgroup **ret_cg)
{
    struct hash_node *node = hash_first(&st->cgroups, text_hash(name));
    while (node && !slice_equal(((struct cgroup *)node)->name, name))
        node = hash_more(node);
    if (!node)
        return cgroup_load(st, name, ret_cg);
    *ret_cg = (struct cgroup *)node;
    return ST_OK;
}

void cgroup_release(struct state *st, struct cgroup *cg)
{
    assert(cg->n_gts > 0);
    cg->n_gts--;
    if (cg->n_gts == 0 && !cg->touched)
        cgroup_free(st, cg);
}

static void cgroup_save(struct state *st, struct cgroup *cg)
{
    struct key key = key_cgroup(cg->name);
    cg->dirty = false;
    if (cg->row.topics == 0 && cg->row.below == 0) {
        overlay_del(&st->overlay, &key);
        return;
    }
    buf_reset(&st->scratch2, KIB(64));
    cgroup_encode(&st->scratch2, &cg->row);
    overlay_put(&st->overlay, &key, core_row(st));
}

void cgroups_save(struct state *st)
{
    while (st->touched_cgroups) {
        struct cgroup *cg = st->touched_cgroups;
        st->touched_cgroups = cg->next_touched;
        cg->touched = false;
        if (cg->dirty)
            cgroup_save(st, cg);
        if (cg->n_gts == 0)
            cgroup_free(st, cg);
    }
}

void cgroups_free(struct state *st)
{
    for (struct hash_node *node = hash_walk(&st->cgroups, NULL), *next; node; node = next) {
        next = hash_walk(&st->cgroups, node);
        cgroup_free(st, (struct cgroup *)node);
    }
    hash_free(&st->cgroups);
}
