/* check_pgroup.c: counts the open transactions of each producer group, and compares (check_pgroup.h). */
#include "storage/check/check_pgroup.h"

#include <stdlib.h>

#include "protocol/base/text.h"

struct check_pgroup {
    struct hash_node node; /* first; by the name */
    struct pgroup_open_row open;
    bool has_row;
    size_t len;
    uint8_t name[];
};

static struct slice check_pgroup_name(const struct check_pgroup *pg)
{
    return slice_of(pg->name, pg->len);
}

static struct check_pgroup *check_pgroup_find(const struct check_pgroups *all, struct slice name)
{
    struct hash_node *node = hash_first(&all->by_name, text_hash(name));
    while (node && !slice_equal(check_pgroup_name((struct check_pgroup *)node), name))
        node = hash_more(node);
    return (struct check_pgroup *)node;
}

static struct check_pgroup *check_pgroup_add(struct checking *c, struct check_pgroups *all, struct slice name)
{
    struct check_pgroup *pg = calloc(1, sizeof *pg + name.len);
    if (!pg) {
        c->failed = ST_NOMEM;
        return NULL;
    }
    pg->len = name.len;
    if (name.len)
        memcpy(pg->name, name.data, name.len);
    hash_add(&all->by_name, &pg->node, text_hash(name));
    return pg;
}

void check_pgroups_count(struct checking *c, struct check_pgroups *all, struct slice name, bool parked)
{
    struct check_pgroup *pg = check_pgroup_find(all, name);
    if (!pg)
        pg = check_pgroup_add(c, all, name);
    if (!pg)
        return;
    pg->open.parked += parked;
    pg->open.pending += !parked;
}

static void check_pgroup_say(struct checking *c, struct slice name, const struct pgroup_open_row *said,
                             const struct pgroup_open_row *there)
{
    char quoted[CHECK_QUOTED];
    check_say(c, "producer group %s counts %llu pending and %llu parked transactions, and has %llu and %llu", check_quote(name, quoted),
              (unsigned long long)said->pending, (unsigned long long)said->parked, (unsigned long long)there->pending,
              (unsigned long long)there->parked);
}

void check_pgroups_compare(struct checking *c, struct check_pgroups *all)
{
    static const struct pgroup_open_row none;
    struct key prefix;
    struct slice key, value;
    struct pgroup_open_row row;
    key_begin(&prefix, 'Q');
    struct kv_iter *it = check_rows(c, &prefix);
    for (; check_row(c, it, &key, &value); kv_iter_next(it)) {
        struct slice name = slice_of(key.data + 1, key.len - 1);
        struct check_pgroup *pg = check_pgroup_find(all, name);
        const struct pgroup_open_row *there = pg ? &pg->open : &none;
        if (pg)
            pg->has_row = true;
        if (pgroup_open_decode(value, &row) == ST_OK && (row.pending != there->pending || row.parked != there->parked))
            check_pgroup_say(c, name, &row, there);
    }
    if (!check_rows_end(c, it))
        return;
    for (struct hash_node *node = hash_walk(&all->by_name, NULL); node; node = hash_walk(&all->by_name, node)) {
        const struct check_pgroup *pg = (const struct check_pgroup *)node;
        if (!pg->has_row)
            check_pgroup_say(c, check_pgroup_name(pg), &none, &pg->open);
    }
}

void check_pgroups_free(struct check_pgroups *all)
{
    for (struct hash_node *node = hash_walk(&all->by_name, NULL), *next; node; node = next) {
        next = hash_walk(&all->by_name, node);
        free(node);
    }
    hash_free(&all->by_name);
}
