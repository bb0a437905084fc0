/* label.c: makes the tag, number and priority of a message (label.h). */
#include "bench/roles/label.h"

#include <stdio.h>

void label_make(struct label *l, const struct options *o, uint64_t seq, struct chance *c)
{
    l->tag_len = l->number_len = 0;
    l->priority = o->given[BENCH_priority] ? (int)dist_draw(&o->priority, c) : -1;
    if (o->tags == 0)
        return;
    unsigned long long n = seq % o->tags;
    l->tag_len = snprintf(l->tag, sizeof l->tag, "t%llu", n);
    l->number_len = snprintf(l->number, sizeof l->number, "%llu", n);
}

void label_ask(const struct label *l, struct wire_ask *a)
{
    a->tag_word = slice_of(l->tag, (size_t)l->tag_len);
    a->number = slice_of(l->number, (size_t)l->number_len);
    a->has_priority = l->priority >= 0;
    a->priority = l->priority;
}

void label_message(struct label *l, struct message *m)
{
    if (l->tag_len == 0)
        return;
    uint8_t *end = write_sized(l->props, SLICE_LIT("n"));
    end = write_sized(end, slice_of(l->number, (size_t)l->number_len));
    m->fields |= MSG_TAG | MSG_PROPS;
    m->tag = slice_of(l->tag, (size_t)l->tag_len);
    m->n_props = 1;
    m->props = slice_of(l->props, (size_t)(end - l->props));
}
