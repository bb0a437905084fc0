/*
 * test_storage_salvage.c: tests that a store which goes on without lost groups (storage/salvage.h) gives no offset and
 * no id twice, and that nobody is given what fills the gap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/salvage.h"
#include "tests/lib/shell.h"

#define LOST_BYTES 4000
#define JUMP 1001 /* LOST_BYTES / SALVAGE_MESSAGE_BYTES_MIN + 1 */

static void salvaged(struct shell *s, const struct salvage *lost)
{
    uint64_t jump = 0;
    assert_true(shell_reload(s));
    assert_int_equal(state_salvage(s->st, lost, s->now_ms, &jump, s->err, sizeof s->err), ST_OK);
    assert_int_equal(jump, lost->bytes / SALVAGE_MESSAGE_BYTES_MIN + 1);
    shell_reopen(s);
}

static void offsets_jump_over_what_is_lost(void **state)
{
    struct shell *s = *state;
    const struct salvage lost = {.bytes = LOST_BYTES};
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 2");
    shell_expect(s, "OK", "TOPIC CREATE lz COMPRESS lz4 QUEUES 1");
    shell_expect(s, "t:0:0", "SEND t a QUEUE 0");
    shell_expect(s, "t:0:1", "SEND t b QUEUE 0");
    shell_expect(s, "lz:0:0", "SEND lz c");
    shell_expect(s, "[t:0:0#1=a]", "POP g t");
    salvaged(s, &lost);
    shell_expect(s, "t:0:1004", "SEND t d QUEUE 0");   /* 2 + JUMP, and one for what fills the gap */
    shell_expect(s, "t:1:1002", "SEND t e QUEUE 1");
    shell_expect(s, "lz:0:1003", "SEND lz f");
    shell_expect(s, "new:0:1001", "SEND new g QUEUE 0"); /* a lost group may have made it */
    shell_expect(s, "t:0:0=a", "GET t:0:0");
    shell_expect(s, "t:0:1=b", "GET t:0:1");
    shell_refused(s, "-DAMAGED", "GET t:0:2");
    shell_expect(s, "t:0:1003=" SALVAGE_BODY, "GET t:0:1003");
    shell_expect(s, "[t:0:1#1=b]", "POP g t");
    shell_expect(s, "[t:0:1004#1=d t:1:1002#1=e]", "POP g t COUNT 10");
    shell_expect(s, "[]", "POP g t COUNT 10");
    shell_expect(s, "[lz:0:0#1=c lz:0:1003#1=f]", "POP g lz COUNT 10");
    shell_expect(s, "[new:0:1001#1=g]", "POP g new COUNT 10");
}

static void a_second_salvage_jumps_again(void **state)
{
    struct shell *s = *state;
    const struct salvage lost = {.bytes = LOST_BYTES};
    shell_expect(s, "t:0:0", "SEND t a QUEUE 0");
    salvaged(s, &lost);
    salvaged(s, &lost);
    shell_expect(s, "t:0:2005", "SEND t b QUEUE 0");
    shell_expect(s, "new:0:2002", "SEND new c QUEUE 0");
    shell_expect(s, "[t:0:0#1=a t:0:2005#1=b]", "POP g t COUNT 10");
}

/* A log that keeps the last batch. */
static struct buf kept;

static enum status keep(void *self, uint64_t number, struct slice batch, bool sync, char *err, size_t err_size)
{
    (void)self, (void)number, (void)sync, (void)err, (void)err_size;
    buf_reset(&kept, 0);
    buf_put_slice(&kept, batch);
    return ST_OK;
}

static enum status keep_sync(void *self, char *err, size_t err_size)
{
    (void)self, (void)err, (void)err_size;
    return ST_OK;
}

static enum status keep_replay(void *self, uint64_t after, redo_take_fn *take, void *arg, bool *ret_long, char *err,
                               size_t err_size)
{
    (void)self, (void)after, (void)take, (void)arg, (void)ret_long, (void)err, (void)err_size;
    return ST_OK;
}

/* What the last lost group that can be read says is taken from its row. */
static void ids_jump_over_what_is_lost(void **state)
{
    struct shell *s = *state;
    const struct redo log = {.append = keep, .sync = keep_sync, .replay = keep_replay};
    struct salvage lost = {.bytes = LOST_BYTES};
    buf_init(&kept, 0);
    s->redo = &log;
    shell_reopen(s);
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 1");
    char *early = strdup(shell_do(s, "HALF g t a"));
    shell_close(s);
    assert_true(shell_open(s)); /* closing has flushed */
    s->now_ms += 3600000;
    char *lost_id = strdup(shell_do(s, "HALF g t b"));
    struct slice batch = buf_slice(&kept);
    salvage_look(&lost, batch);
    assert_int_equal(lost.groups, 1);
    assert_int_equal(lost.index, s->index);
    assert_int_equal(lost.now_ms, s->now_ms);
    for (size_t n = 0; n < batch.len; n++) { /* cut anywhere */
        struct salvage cut = {0};
        salvage_look(&cut, slice_of(batch.data, n));
        salvage_look(&cut, slice_of(batch.data + n, batch.len - n));
    }
    lost.index += 5000;
    lost.last_id += 1000;
    lost.next_ref = 70;
    s->now_ms -= 1800000; /* a clock that was set back */
    salvaged(s, &lost);
    assert_true(s->index > lost.index && s->now_ms >= lost.now_ms);
    assert_true(s->st->meta.last_id > lost.last_id && s->st->meta.next_ref > 70);
    char *next = strdup(shell_do(s, "HALF g t c"));
    assert_true(strcmp(next, lost_id) > 0 && strcmp(lost_id, early) > 0);
    free(early);
    free(lost_id);
    free(next);
    shell_close(s);
    s->redo = NULL;
    shell_open(s);
    buf_free(&kept);
}

static void a_queue_that_cannot_be_read_is_told(void **state)
{
    struct shell *s = *state;
    const struct salvage lost = {.bytes = LOST_BYTES};
    uint64_t jump = 0;
    shell_expect(s, "t:0:0", "SEND t a QUEUE 0");
    assert_true(shell_reload(s));
    kv_fault(s->st->kv, KV_OP_ITER, 1);
    assert_int_equal(state_salvage(s->st, &lost, s->now_ms, &jump, s->err, sizeof s->err), ST_IO);
    assert_non_null(strstr(s->err, "cannot be read"));
    shell_reopen(s);
    shell_expect(s, "t:0:1", "SEND t b QUEUE 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(offsets_jump_over_what_is_lost), SHELL_TEST(a_second_salvage_jumps_again),
        SHELL_TEST(ids_jump_over_what_is_lost), SHELL_TEST(a_queue_that_cannot_be_read_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
