/*
 * test_protocol_faults.c: tests parsers and writers when the n-th allocation fails, for every n. A parser returns
 * ST_NOMEM, keeps its place, and accepts the same bytes when there is memory again; the buffer of a writer is marked as
 * failed; a heap and a hash table lose no node. Nothing crashes or leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/base/heap.h"
#include "protocol/command/command.h"
#include "protocol/resp/resp.h"
#include "protocol/rpc/rpc.h"
#include "tests/lib/fault_heap.h"

static bool out_of_memory(enum status s)
{
    return s == ST_NOMEM || s == ST_BUSY;
}

/* Writes a pipeline of requests that need every kind of memory: word lists, unescaped text, options. */
static void put_requests(struct buf *b)
{
    buf_put_str(b, "SEND t \"a\\x00b\" KEY 'k 1' PROP p \"\\r\\n\"\r\n");
    buf_put_str(b, "*60\r\n$5\r\nMSEND\r\n$1\r\nt\r\n");
    for (int i = 0; i < 58; i++)
        buf_put_str(b, "$3\r\nabc\r\n");
    buf_put_str(b, "POP g t");
    for (int i = 0; i < 40; i++)
        buf_put_str(b, " topic");
    buf_put_str(b, " COUNT 5\nHALF pg t body");
    for (int i = 0; i < 30; i++)
        buf_printf(b, " PROP name%d value", i);
    buf_put_str(b, "\n");
}

struct parsed {
    uint32_t n, pos, rest, opt;
};

static void count(struct parsed *p, const struct command *cmd)
{
    p->n++;
    p->pos += cmd->n_pos;
    p->rest += cmd->n_rest;
    p->opt += cmd->n_opt;
}

/* Reads one request. ST_NOMEM: nothing was consumed, and the caller tries again. */
static enum status one_request(struct resp_reader *r, struct command_space *space, struct buf *in,
                               struct parsed *ret_p)
{
    struct slice *words = NULL;
    struct command cmd;
    size_t n = 0, used = 0;
    char err[512] = "";
    fault_heap_inside(true);
    enum status s = resp_reader_next(r, buf_slice(in), &words, &n, &used, err, sizeof(err));
    if (s == ST_OK)
        s = command_from_words(space, words, n, &cmd, err, sizeof(err));
    fault_heap_inside(false);
    if (out_of_memory(s))
        assert_true(err[0] != 0);
    if (s != ST_OK)
        return s;
    void *block = malloc(command_clone_size(&cmd) + 8);
    struct command clone;
    assert_non_null(block);
    command_clone(&cmd, block, &clone);
    count(ret_p, &clone);
    free(block);
    buf_consume(in, used);
    return ST_OK;
}

static bool text_run(uint64_t n, bool forever, const struct parsed *want, struct parsed *ret_p)
{
    struct resp_reader r;
    struct command_space space;
    struct buf in;
    buf_init(&in, 0);
    put_requests(&in);
    resp_reader_init(&r, 1 << 20);
    command_space_init(&space);
    fault_heap_fail(n, forever);
    *ret_p = (struct parsed){0};
    while (in.len) {
        enum status s = one_request(&r, &space, &in, ret_p);
        if (s == ST_OK)
            continue;
        assert_true(out_of_memory(s));
        assert_true(fault_heap_fired());
        if (forever)
            fault_heap_fail(0, false); /* allocations succeed again */
    }
    bool fired = fault_heap_fired();
    fault_heap_fail(0, false);
    if (want)
        assert_memory_equal(ret_p, want, sizeof(*want));
    command_space_free(&space);
    resp_reader_free(&r);
    buf_free(&in);
    return fired;
}

static void text_requests(void **state)
{
    (void)state;
    struct parsed want, got;
    (void)text_run(0, false, NULL, &want);
    assert_true(want.n == 4 && want.rest == 58 + 41);
    for (uint64_t n = 1; text_run(n, false, &want, &got); n++)
        (void)text_run(n, true, &want, &got);
}

static void put_frame(struct buf *b)
{
    rpc_put_request(b, 7, "half");
    rpc_put_list(b, 1);
    rpc_put_map(b, 6);
    rpc_put_str(b, SLICE_LIT("pgroup"));
    rpc_put_str(b, SLICE_LIT("pg"));
    rpc_put_str(b, SLICE_LIT("topic"));
    rpc_put_str(b, SLICE_LIT("t"));
    rpc_put_str(b, SLICE_LIT("body"));
    rpc_put_bin(b, SLICE_LIT("bytes"));
    rpc_put_str(b, SLICE_LIT("ttl"));
    rpc_put_int(b, 5000);
    rpc_put_str(b, SLICE_LIT("key"));
    rpc_put_list(b, 3);
    for (int i = 0; i < 3; i++)
        rpc_put_int(b, i);
    rpc_put_str(b, SLICE_LIT("prop"));
    rpc_put_map(b, 20);
    for (int i = 0; i < 20; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "p%d", i);
        rpc_put_str(b, slice_str(name));
        rpc_put_int(b, i);
    }
}

static enum status one_frame(struct rpc_reader *r, struct command_space *space, const struct buf *in,
                             struct parsed *ret_p)
{
    struct rpc_frame f;
    struct command cmd;
    size_t used = 0;
    char err[512] = "";
    fault_heap_inside(true);
    enum status s = rpc_reader_next(r, buf_slice(in), &f, &used, err, sizeof(err));
    if (s == ST_OK)
        s = rpc_command(space, &f, &cmd, err, sizeof(err));
    fault_heap_inside(false);
    if (s == ST_OK)
        count(ret_p, &cmd);
    else
        assert_true(out_of_memory(s) && err[0] != 0);
    return s;
}

static bool rpc_run(uint64_t n, bool forever)
{
    struct command_space space;
    struct parsed p = {0};
    struct buf in;
    buf_init(&in, 0);
    put_frame(&in);
    command_space_init(&space);
    fault_heap_fail(n, forever);
    fault_heap_inside(true);
    struct rpc_reader *r = rpc_reader_new(1 << 20);
    fault_heap_inside(false);
    bool fired = fault_heap_fired();
    assert_true(r || fired);
    if (r && one_frame(r, &space, &in, &p) != ST_OK) {
        fired = fault_heap_fired();
        assert_true(fired);
        fault_heap_fail(0, false);
        assert_int_equal(one_frame(r, &space, &in, &p), ST_OK);
    }
    fault_heap_fail(0, false);
    if (r)
        assert_true(p.n == 1 && p.pos == 3 && p.opt == 24);
    rpc_reader_free(r);
    command_space_free(&space);
    buf_free(&in);
    return fired;
}

static void rpc_requests(void **state)
{
    (void)state;
    for (uint64_t n = 1; rpc_run(n, false); n++)
        (void)rpc_run(n, true);
}

/* Makes a reply with every kind of value, and writes it in each dialect. */
static void put_reply(struct buf *r)
{
    reply_array(r, 3);
    reply_message(r);
    reply_id(r, SLICE_LIT("topic"), 1, 2);
    reply_bulk(r, SLICE_LIT("body"));
    reply_map(r, 1);
    reply_field_int(r, "offset", 2);
    reply_map(r, 0);
    reply_text(r, SLICE_LIT("some words for a person, and some more so that the buffer must grow"));
    reply_map(r, 2);
    reply_field_bytes(r, "name", SLICE_LIT("value"));
    reply_bulk_str(r, "ratio");
    reply_double(r, 0.5);
}

static bool write_run(uint64_t n)
{
    struct buf reply, out[4];
    buf_init(&reply, 0);
    put_reply(&reply);
    bool failed = false;
    fault_heap_fail(n, true);
    fault_heap_inside(true);
    for (int i = 0; i < 4; i++)
        buf_init(&out[i], 0);
    resp_write(&out[0], buf_slice(&reply), 2);
    resp_write(&out[1], buf_slice(&reply), 3);
    rpc_write_response(&out[2], 1, buf_slice(&reply));
    put_reply(&out[3]);
    fault_heap_inside(false);
    bool fired = fault_heap_fired();
    fault_heap_fail(0, false);
    for (int i = 0; i < 4; i++) {
        failed = failed || out[i].failed;
        buf_free(&out[i]);
    }
    assert_true(failed == fired);
    buf_free(&reply);
    return fired;
}

static void replies(void **state)
{
    (void)state;
    for (uint64_t n = 1; write_run(n); n++) {
    }
}

#define NODES 300 /* more than two doublings of a heap and a table */

/* If an addition fails, the heap is as before; with room reserved first, no addition fails. */
static bool heap_run(uint64_t n)
{
    static struct heap_node nodes[NODES];
    struct heap h = {0};
    memset(nodes, 0, sizeof nodes);
    fault_heap_fail(n, false);
    for (uint32_t i = 0; i < NODES; i++) {
        fault_heap_inside(true);
        bool put = i % 2 ? heap_set(&h, &nodes[i], -(int64_t)i) : heap_reserve(&h, 1);
        fault_heap_inside(false);
        if (!put) {
            assert_true(fault_heap_fired() && !heap_has(&nodes[i]) && h.n == i);
            assert_true(heap_reserve(&h, 1));
        }
        if (!heap_has(&nodes[i]))
            heap_put(&h, &nodes[i], -(int64_t)i);
        assert_true(h.n == i + 1 && heap_first(&h) == &nodes[i]);
    }
    heap_free(&h);
    bool fired = fault_heap_fired();
    fault_heap_fail(0, false);
    return fired;
}

static void heaps(void **state)
{
    (void)state;
    for (uint64_t n = 1; heap_run(n); n++) {
    }
}

/* A table that cannot grow gets slower and loses nothing. */
static bool hash_run(uint64_t n, bool forever)
{
    static struct hash_node nodes[NODES];
    struct hash h = {0};
    fault_heap_fail(n, forever);
    for (uint32_t i = 0; i < NODES; i++) {
        fault_heap_inside(true);
        hash_add(&h, &nodes[i], i);
        fault_heap_inside(false);
        assert_int_equal(h.n, i + 1);
        assert_ptr_equal(hash_first(&h, i / 2), &nodes[i / 2]);
    }
    uint32_t walked = 0;
    for (struct hash_node *node = hash_walk(&h, NULL); node; node = hash_walk(&h, node))
        walked++;
    assert_int_equal(walked, NODES);
    for (uint32_t i = 0; i < NODES; i++) {
        hash_remove(&h, &nodes[i]);
        assert_null(hash_first(&h, i));
    }
    hash_free(&h);
    bool fired = fault_heap_fired();
    fault_heap_fail(0, false);
    return fired;
}

static void hashes(void **state)
{
    (void)state;
    for (uint64_t n = 1; hash_run(n, false); n++) {
    }
    for (uint64_t n = 1; hash_run(n, true); n++) {
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_requests),
        cmocka_unit_test(rpc_requests),
        cmocka_unit_test(replies),
        cmocka_unit_test(heaps),
        cmocka_unit_test(hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
