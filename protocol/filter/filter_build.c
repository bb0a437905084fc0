/* filter_build.c: the block of a filter, and what is written into it (filter_build.h). */
#include "protocol/filter/filter_build.h"

#include <assert.h>
#include <stdlib.h>

/* A token makes three operations at most: an AND skips and joins, and the property before it may become a truth. */
bool filter_build_init(struct filter_build *b, uint32_t n, size_t bytes)
{
    *b = (struct filter_build){.max_ops = 4 * n + 4, .max_consts = 2 * n + 2};
    b->max_names = n < FILTER_NAMES_MAX ? n : FILTER_NAMES_MAX;
    size_t head = (sizeof(struct filter) + 15) & ~(size_t)15;
    size_t consts = b->max_consts * sizeof(struct filter_value), names = b->max_names * sizeof(struct slice);
    uint8_t *mem = malloc(head + consts + names + b->max_ops * sizeof(struct filter_op) + bytes);
    if (!mem)
        return false;
    b->f = (struct filter *)(void *)mem;
    *b->f = (struct filter){.consts = (struct filter_value *)(void *)(mem + head)};
    b->f->names = (struct slice *)(void *)(mem + head + consts);
    b->f->ops = (struct filter_op *)(void *)(mem + head + consts + names);
    b->f->bytes = (uint8_t *)(b->f->ops + b->max_ops);
    return true;
}

uint32_t filter_build_op(struct filter_build *b, enum filter_op_code code, enum filter_how how, uint32_t arg, int more)
{
    struct filter *f = b->f;
    assert(f->n_ops < b->max_ops && arg <= UINT16_MAX);
    f->ops[f->n_ops] = (struct filter_op){(uint8_t)code, (uint8_t)how, (uint16_t)arg};
    b->stack = (uint32_t)((int)b->stack + more);
    assert(b->stack <= FILTER_STACK_MAX);
    return f->n_ops++;
}

void filter_build_land(struct filter_build *b, uint32_t at) { b->f->ops[at].arg = (uint16_t)b->f->n_ops; }

uint32_t filter_build_const(struct filter_build *b, struct filter_value v)
{
    assert(b->f->n_consts < b->max_consts);
    b->f->consts[b->f->n_consts] = v;
    return b->f->n_consts++;
}

bool filter_build_name(struct filter_build *b, struct slice name, uint32_t *ret_i)
{
    struct filter *f = b->f;
    for (*ret_i = 0; *ret_i < f->n_names; ++*ret_i) {
        if (slice_equal(f->names[*ret_i], name))
            return true;
    }
    if (f->n_names == b->max_names)
        return false;
    f->names[f->n_names++] = name;
    return true;
}

struct slice filter_build_text(struct filter_build *b, struct slice token)
{
    uint8_t quote = token.data[0], *to = b->f->bytes + b->f->n_bytes;
    bool quoted = quote == '\'' || quote == '"';
    size_t n = 0, end = token.len - quoted;
    for (size_t i = quoted; i < end; i++) {
        to[n++] = token.data[i];
        i += quoted && token.data[i] == quote;
    }
    b->f->n_bytes += (uint32_t)n;
    return slice_of(to, n);
}
