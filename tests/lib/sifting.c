/* sifting.c: runs sifters for POPs in a shell (sifting.h). */
#include "tests/lib/sifting.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/resp/resp.h"

#define SIFTING_ROUNDS_MAX 1000

static void sifting_must(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "sifting: %s\n", what);
    abort();
}

/* The line as a POP; its words point into the reader, which the caller frees. False: it will be refused. */
static bool sifting_parse(const char *line, struct buf *bytes, struct resp_reader *reader, struct command_space *space,
                          struct command *ret_cmd)
{
    struct slice *words = NULL, pop[80];
    size_t n = 0, used = 0;
    char err[300];
    resp_reader_init(reader, MIB(1));
    buf_put_str(bytes, line);
    buf_put_str(bytes, "\r\n");
    sifting_must(resp_reader_next(reader, buf_slice(bytes), &words, &n, &used, err, sizeof(err)) == ST_OK && n < 80, line);
    memcpy(pop, words, n * sizeof(*pop));
    pop[0] = SLICE_LIT("POP");
    return command_from_words(space, pop, n, ret_cmd, err, sizeof(err)) == ST_OK;
}

bool sifting_look(struct shell *s, const char *line, struct slice asked, struct buf *found, uint32_t *steps)
{
    struct resp_reader reader;
    struct command_space space;
    struct command cmd;
    struct buf bytes;
    enum status st = ST_BUSY;
    uint32_t n = 0;
    command_space_init(&space);
    buf_init(&bytes, 0);
    bool is_pop = sifting_parse(line, &bytes, &reader, &space, &cmd);
    if (s->inside)
        s->inside(true);
    struct sifter *sifter = is_pop ? sifter_new(&cmd, asked) : NULL;
    for (; sifter && st == ST_BUSY && n < SIFTING_ROUNDS_MAX; n++) {
        struct view *v = view_open(s->store);
        st = v ? sifter_step(sifter, v) : ST_NOMEM;
        view_close(v);
    }
    if (s->inside)
        s->inside(false);
    sifting_must(st != ST_BUSY || !sifter, "there is no end to it");
    bool all = sifter && sifter_saw_all(sifter);
    buf_reset(found, 0);
    if (sifter)
        buf_put_slice(found, sifter_found(sifter));
    if (steps)
        *steps = n;
    sifter_free(sifter);
    resp_reader_free(&reader);
    command_space_free(&space);
    buf_free(&bytes);
    return all;
}

uint32_t sifting_add(struct shell *s, const char *line, bool before)
{
    struct buf found;
    buf_init(&found, 0);
    if (before)
        (void)sifting_look(s, line, slice_of(NULL, 0), &found, NULL);
    s->sifted = buf_slice(&found);
    uint32_t n = shell_add(s, "%s", line);
    for (int i = 0; s->sift && !s->st->sick && i < SIFTING_ROUNDS_MAX; i++) {
        (void)sifting_look(s, line, buf_slice(&s->asked), &found, NULL);
        s->sifted = buf_slice(&found);
        if (found.len == 0)
            break;
        n = shell_add(s, "%s", line);
    }
    s->sifted = slice_of(NULL, 0);
    buf_free(&found);
    return n;
}

const char *sifting_do(struct shell *s, const char *line)
{
    struct buf found;
    const char *said = shell_do(s, "%s", line);
    buf_init(&found, 0);
    for (int i = 0; s->sift && s->status == ST_OK; i++) {
        sifting_must(i < SIFTING_ROUNDS_MAX, "there is no end to it");
        (void)sifting_look(s, line, buf_slice(&s->asked), &found, NULL);
        s->sifted = buf_slice(&found);
        said = shell_do(s, "%s", line);
        s->sifted = slice_of(NULL, 0);
    }
    buf_free(&found);
    return said;
}

static bool sifting_due(void *arg, struct slice group, struct slice topic)
{
    (void)arg, (void)group, (void)topic;
    return true;
}

enum status sifting_find(struct shell *s, struct advance *a, struct advance_found *found)
{
    if (s->inside)
        s->inside(true);
    struct view *v = view_open(s->store);
    enum status st = v && a ? advance_step(a, v, s->now_ms, sifting_due, NULL, found) : ST_NOMEM;
    view_close(v);
    if (s->inside)
        s->inside(false);
    return st;
}

/* One step. ST_OK: a group went on. */
static enum status sifting_advance_step(struct shell *s, struct advance *a)
{
    struct advance_found found;
    enum status st = sifting_find(s, a, &found);
    if (st != ST_OK)
        return st;
    s->sifted = found.sifted;
    (void)shell_do_words(s, (struct slice[]){SLICE_LIT("ADVANCE"), found.group, found.topic}, 3);
    s->sifted = slice_of(NULL, 0);
    return s->status;
}

uint32_t sifting_advance(struct shell *s, uint64_t least)
{
    struct advance *a = advance_new(least);
    enum status st = ST_BUSY;
    uint32_t n = 0, before = 1;
    for (uint32_t i = 0; st == ST_BUSY || st == ST_OK || (st == ST_GONE && n != before); i++) { /* rounds, until nothing goes on */
        before = st == ST_GONE ? n : before;
        st = sifting_advance_step(s, a);
        n += st == ST_OK;
        sifting_must(i < 100 * SIFTING_ROUNDS_MAX, "there is no end to it");
    }
    advance_free(a);
    return n;
}
