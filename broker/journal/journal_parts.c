/* journal_parts.c: writes the bytes of an entry, step by step (journal_parts.h). */
#include "broker/journal/journal_parts.h"

#include "storage/query.h"

#define PART_LEAST ((size_t)KIB(4)) /* what a smaller command of an EXEC brings goes with its group */

/* What stores bodies as they came. */
static bool parts_of(const struct command *cmd)
{
    enum command_id id = cmd->info->id;
    return id == CMD_SEND || id == CMD_MSEND || id == CMD_PRODUCE || id == CMD_HALF;
}

/* The bytes of one command that the log is given; empty: none. */
static struct slice parts_bytes(const struct entry *e)
{
    struct slice all = parts_of(&e->cmd) ? command_bytes(&e->cmd, e->taken) : slice_of(NULL, 0);
    return all.len >= PART_LEAST ? all : slice_of(NULL, 0);
}

static size_t parts_whole(const struct entry *e)
{
    size_t n = 0;
    for (const struct entry *one = e->more ? e->more : e; one; one = e->more ? one->next : NULL)
        n += parts_bytes(one).len;
    return n;
}

/* Writes what is behind the first `done` bytes, up to a step's. *ret_n: how much that was. */
static enum status parts_write(struct state *st, const struct entry *e, size_t whole, size_t done, size_t *ret_n, char *err,
                               size_t err_size)
{
    size_t skip = done, left = whole - done < PARTS_STEP_BYTES ? whole - done : PARTS_STEP_BYTES;
    enum status s = ST_OK;
    *ret_n = left;
    for (const struct entry *one = e->more ? e->more : e; one && left > 0 && s == ST_OK; one = e->more ? one->next : NULL) {
        struct slice all = parts_bytes(one);
        if (skip >= all.len) {
            skip -= all.len;
            continue;
        }
        size_t n = all.len - skip < left ? all.len - skip : left;
        left -= n;
        s = state_part(st, slice_of(all.data + skip, n), done ? 0 : whole, left == 0, err, err_size);
        done += n;
        skip = 0;
    }
    return s;
}

enum parts_step journal_parts_step(struct journal_parts *p, struct state *st, const struct entry *e, char *err, size_t err_size)
{
    size_t whole = journal_parts_wanted(e) ? parts_whole(e) : 0, n = 0;
    if (whole < PARTS_LEAST_BYTES)
        return PARTS_OVER;
    if (p->entry != e)
        *p = (struct journal_parts){.entry = e};
    if (p->given_up || p->done >= whole)
        return PARTS_OVER;
    enum status s = parts_write(st, e, whole, p->done, &n, err, err_size);
    p->done += n;
    p->given_up = s == ST_BUSY;
    if (s != ST_OK && s != ST_BUSY)
        return PARTS_FAILED;
    return p->given_up || p->done >= whole ? PARTS_OVER : PARTS_MORE;
}

void journal_parts_end(struct journal_parts *p, struct state *st)
{
    if (!p->entry)
        return;
    *p = (struct journal_parts){0};
    state_parts_end(st);
}
