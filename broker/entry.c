/* entry.c: see entry.h. One block: the struct, then what its command points to. */
#include "broker/entry.h"

#include <assert.h>
#include <stdlib.h>

struct entry *entry_new(const struct command *cmd)
{
    size_t head = (sizeof(struct entry) + 7) & ~(size_t)7;
    size_t bytes = head + command_clone_size(cmd);
    struct entry *e = malloc(bytes);
    if (!e)
        return NULL;
    *e = (struct entry){.bytes = bytes};
    outcome_init(&e->out);
    command_clone(cmd, (uint8_t *)e + head, &e->cmd);
    return e;
}

void entry_free(struct entry *e)
{
    if (!e)
        return;
    outcome_free(&e->out);
    free(e);
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
