/*
 * webhook_list.c: keeps the groups with a CHECKURL, by the key of their news, and reads from the store which there
 * are. It reads all of them each time: the news does not say whose settings have changed.
 */
#include "broker/webhook/webhook_list.h"

#include <inttypes.h>
#include <stdio.h>

#include "broker/base/log.h"
#include "storage/query.h"

bool webhook_list_concerns(struct webhook_list *l, const struct effects *fx)
{
    bool ours = fx->overflow;
    for (uint32_t i = 0; i < fx->n_keys && !ours; i++) {
        uint64_t bit = fx->keys[i] % LIST_WATCH_BITS;
        ours = atomic_load(&l->watched[bit / 64]) >> (bit % 64) & 1;
    }
    return ours;
}

static void list_watch(struct webhook_list *l, uint64_t key)
{
    uint64_t bit = key % LIST_WATCH_BITS;
    atomic_fetch_or(&l->watched[bit / 64], UINT64_C(1) << (bit % 64));
}

static struct webhook_group *list_find(struct webhook_list *l, struct slice name)
{
    struct hash_node *node = hash_first(&l->by_key, news_key(NEWS_PGROUP, name, slice_of(NULL, 0)));
    while (node && !slice_equal(((struct webhook_group *)node)->name, name))
        node = hash_more(node);
    return (struct webhook_group *)node;
}

static void list_link_in(struct webhook_group **list, struct webhook_group *g)
{
    g->prev = NULL;
    g->next = *list;
    if (g->next)
        g->next->prev = g;
    *list = g;
}

static void list_link_out(struct webhook_group **list, struct webhook_group *g)
{
    *(g->prev ? &g->prev->next : list) = g->next;
    if (g->next)
        g->next->prev = g->prev;
}

static void list_add(struct webhook_list *l, const struct pgroup_hook *hook)
{
    size_t bytes_max = (size_t)settings_num(l->shared->settings, SET_memory) / 16;
    if (l->bytes + webhook_group_size(hook) > bytes_max) {
        if (l->left_out++ == 0)
            snprintf(l->left_out_name, sizeof l->left_out_name, "%.*s", (int)hook->pgroup.len,
                     (const char *)hook->pgroup.data);
        return;
    }
    struct webhook_group *g = NULL;
    enum status s = webhook_group_new(l->shared, hook, &g);
    l->incomplete = l->incomplete || s == ST_NOMEM;
    if (s != ST_OK)
        return;
    hash_add(&l->by_key, &g->node, g->node.hash);
    list_link_in(&l->groups, g);
    g->listed = true;
    l->bytes += g->size;
    list_watch(l, g->node.hash);
    webhook_group_pull(g);
}

static void list_retire(struct webhook_list *l, struct webhook_group *g)
{
    hash_remove(&l->by_key, &g->node);
    list_link_out(&l->groups, g);
    list_link_in(&l->gone, g);
    l->bytes -= g->size;
    webhook_group_retire(g);
}

static void list_on_hook(void *arg, const struct pgroup_hook *hook)
{
    struct webhook_list *l = arg;
    struct webhook_group *g = list_find(l, hook->pgroup);
    if (g && slice_equal(g->url, hook->url) && slice_equal(g->secret, hook->secret)) {
        g->listed = true;
        return;
    }
    if (g)
        list_retire(l, g);
    list_add(l, hook);
}

/* ST_DAMAGED: for good, a part of the list cannot be read. Unless all of it was, no group is retired. */
static enum status list_read_hooks(struct webhook_list *l)
{
    struct view *v = journal_view(l->shared->journal, &l->shared->client);
    for (struct webhook_group *g = l->groups; g; g = g->next)
        g->listed = false;
    enum status s = v ? query_pgroup_hooks(v, list_on_hook, l) : ST_NOMEM;
    if (v)
        view_close(v);
    if (s != ST_OK)
        return s;
    for (struct webhook_group *g = l->groups, *next; g; g = next) {
        next = g->next;
        if (!g->listed)
            list_retire(l, g);
    }
    return ST_OK;
}

bool webhook_list_read(struct webhook_list *l)
{
    l->left_out = 0;
    l->incomplete = false;
    enum status s = list_read_hooks(l);
    bool again = l->incomplete || (s != ST_OK && s != ST_DAMAGED), failed = again || s != ST_OK;
    if (failed && !l->told)
        log_event(LOG_ERROR, "cannot read the settings of all producer groups; other CHECKURLs stay as they were",
                  " again=%s", again ? "soon" : "never");
    l->told = failed;
    if (l->left_out > 0)
        log_event(LOG_WARN,
                  "too many CHECKURLs for the setting memory, so some are not called: raise it, or SUBSCRIBE instead",
                  " pgroups=%" PRIu32 " first=%s", l->left_out, l->left_out_name);
    return !again;
}

static void list_has_news(struct webhook_group *g, const struct news *news)
{
    g->seen = news->index;
    webhook_group_pull(g);
}

void webhook_list_news(struct webhook_list *l, const struct news *news)
{
    if (!news->index)
        return;
    for (struct webhook_group *g = news->overflow ? l->groups : NULL; g; g = g->next)
        list_has_news(g, news);
    for (uint32_t i = 0; i < news->n && !news->overflow; i++) {
        for (struct hash_node *node = hash_first(&l->by_key, news->keys[i]); node; node = hash_more(node))
            list_has_news((struct webhook_group *)node, news);
    }
}

void webhook_list_free_gone(struct webhook_list *l)
{
    for (struct webhook_group *g = l->gone, *next; g; g = next) {
        next = g->next;
        if (!webhook_group_idle(g))
            continue;
        list_link_out(&l->gone, g);
        webhook_group_free(g);
    }
}

void webhook_list_take_back(struct webhook_list *l)
{
    for (struct webhook_group *g = l->groups; g; g = g->next)
        webhook_group_take_back(g);
    for (struct webhook_group *g = l->gone; g; g = g->next)
        webhook_group_take_back(g);
}

static void list_free_all(struct webhook_group *g)
{
    for (struct webhook_group *next; g; g = next) {
        next = g->next;
        webhook_group_free(g);
    }
}

void webhook_list_fini(struct webhook_list *l)
{
    list_free_all(l->groups);
    list_free_all(l->gone);
    hash_free(&l->by_key);
}
