/*
 * test_client_intake_faults.c: tests how bytes that are read become frames: however they are split, whether frames are small
 * or large, whether somebody keeps the block of a large one, and where there is no memory for that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/client/intake.h"
#include "tests/lib/fault_heap.h"

#define FRAMES 40
#define ROUNDS 300
#define KEPT 4

static uint64_t chance = 1;

static uint32_t draw(uint32_t below)
{
    chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(chance >> 33) % below;
}

/* ---- what the broker sends ---- */

static struct buf sent;
static size_t n_sent; /* bytes that were read */

static uint8_t byte_at(unsigned frame, size_t i)
{
    return (uint8_t)(frame * 31 + i * 7 + i / 251);
}

/* Other values of the frame: so its length is not known when the first large one comes. */
static void put_others(uint32_t n)
{
    static uint8_t bytes[40000];
    for (uint32_t i = 0; i < n; i++) {
        rpc_put_str(&sent, SLICE_LIT("other"));
        rpc_put_bin(&sent, slice_of(bytes, draw(sizeof bytes)));
    }
}

/* Notifications with some bytes: mostly few of them. */
static void make_frames(void)
{
    static uint8_t bytes[300000];
    buf_reset(&sent, SIZE_MAX);
    n_sent = 0;
    for (unsigned f = 0; f < FRAMES; f++) {
        uint32_t kind = draw(10), n = draw(kind < 5 ? 100 : kind < 8 ? 20000 : sizeof bytes);
        for (uint32_t i = 0; i < n; i++)
            bytes[i] = byte_at(f, i);
        rpc_put_notify(&sent, "frame");
        rpc_put_list(&sent, 1);
        uint32_t before = draw(4) ? 0 : draw(4), after = draw(4) ? 0 : draw(4);
        rpc_put_map(&sent, 1 + before + after);
        put_others(before);
        rpc_put_str(&sent, SLICE_LIT("bytes"));
        rpc_put_bin(&sent, slice_of(bytes, n));
        put_others(after);
    }
    assert_false(sent.failed);
}

/* ---- the client ---- */

static struct hmq_client client;
static unsigned n_frames;
static size_t n_blocks;

static struct kept {
    void *block;
    size_t size;
    struct slice bytes;
    unsigned frame;
} kept[KEPT];

static void start(const char *uri)
{
    memset(&client, 0, sizeof client);
    client.options = hmq_options_new();
    assert_non_null(client.options);
    assert_int_equal(hmq_options_set_uri(client.options, uri, NULL), HMQ_OK);
    assert_int_equal(pthread_mutex_init(&client.lock, NULL), 0);
    client.memory = memory_new((size_t)options_num(client.options, CHOICE_max_memory) / 8);
    assert_non_null(client.memory);
    intake_init(&client);
    assert_true(intake_begin(&client));
    buf_init(&sent, SIZE_MAX / 2);
    n_frames = 0;
    n_blocks = 0;
}

static void check_bytes(struct slice bytes, unsigned frame)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.data[i] != byte_at(frame, i))
            fail_msg("byte %zu of frame %u", i, frame);
}

static void drop_kept(struct kept *k)
{
    if (!k->block)
        return;
    check_bytes(k->bytes, k->frame);
    memory_block_give(client.memory, k->block, k->size);
    k->block = NULL;
}

static void stop(void)
{
    for (unsigned i = 0; i < KEPT; i++)
        drop_kept(&kept[i]);
    intake_fini(&client);
    assert_int_equal(memory_used(client.memory), 0);
    memory_drop(client.memory);
    pthread_mutex_destroy(&client.lock);
    hmq_options_free(client.options);
    buf_free(&sent);
}

static void take_frame(const struct rpc_frame *frame, bool keeps)
{
    struct slice bytes;
    assert_true(rpc_bytes(rpc_get(frame->params, "bytes"), &bytes));
    check_bytes(bytes, n_frames % FRAMES);
    struct kept k = {.bytes = bytes, .frame = n_frames++ % FRAMES};
    if (!keeps || !(k.block = client_take_block(&client, true, &k.size)))
        return;
    assert_true(bytes.data > (uint8_t *)k.block && bytes.data + bytes.len <= (uint8_t *)k.block + k.size);
    struct kept *place = &kept[draw(KEPT)];
    drop_kept(place);
    *place = k;
    n_blocks++;
}

/* Reads up to so many bytes. False: there is no room for them. */
static bool read_some(size_t most, bool keeps)
{
    struct rpc_frame frame;
    struct iovec iov[2];
    char err[80];
    size_t used = 0, pieces = intake_room(&client, iov), n = 0;
    if (pieces == 0)
        return false;
    for (size_t i = 0; i < pieces && n < most; i++) {
        size_t part = sent.len - n_sent < most - n ? sent.len - n_sent : most - n;
        assert_true(iov[i].iov_len > 0);
        part = part < iov[i].iov_len ? part : iov[i].iov_len;
        memcpy(iov[i].iov_base, sent.data + n_sent, part);
        n_sent += part;
        n += part;
        if (part < iov[i].iov_len || draw(4) == 0) /* a transport may read the first piece only */
            break;
    }
    intake_added(&client, iov, n);
    enum status status;
    do {
        status = rpc_reader_next(client.peer.intake.reader, intake_bytes(&client), &frame, &used, err, sizeof err);
        if (status == ST_OK) {
            intake_dispatches(&client);
            take_frame(&frame, keeps);
            intake_used(&client, used);
        }
        if (status == ST_MORE)
            status = intake_settle(&client);
    } while (status == ST_OK);
    assert_true(status == ST_MORE || status == ST_NOMEM);
    return status == ST_MORE;
}

static void test_frames_however_they_are_split(void **state)
{
    (void)state;
    start("hmq://127.0.0.1");
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t most = round % 3 == 0 ? 1 + draw(3000) : 1 + draw(200000);
        make_frames();
        while (n_sent < sent.len)
            assert_true(read_some(round % 5 == 0 ? sent.len : 1 + draw(most), round % 2));
        assert_int_equal(n_frames, (round + 1) * FRAMES);
    }
    assert_true(n_blocks > ROUNDS);
    stop();
}

/* A connection is lost with a frame that has come in part. */
static void test_a_frame_that_is_not_whole_is_dropped(void **state)
{
    (void)state;
    start("hmq://127.0.0.1");
    for (unsigned round = 0; round < ROUNDS; round++) {
        make_frames();
        size_t until = 1 + draw((uint32_t)sent.len - 1);
        while (n_sent < until)
            assert_true(read_some(until - n_sent, true));
        intake_drop(&client);
        assert_true(intake_begin(&client));
        n_frames = 0;
    }
    stop();
}

/* Where there is no memory for a block, a large frame comes all the same, in the buffer. */
static void test_no_memory_for_a_block(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 20; n++) {
        start("hmq://127.0.0.1");
        make_frames();
        bool whole = true;
        fault_heap_fail(n, false);
        fault_heap_inside(true);
        while (whole && n_sent < sent.len)
            whole = read_some(70000, true);
        fault_heap_inside(false);
        fault_heap_fail(0, false);
        if (whole)
            assert_int_equal(n_frames, FRAMES);
        stop();
    }
}

/* Refused by its length, before it has come. */
static void test_a_frame_that_is_too_large(void **state)
{
    (void)state;
    start("hmq://127.0.0.1?max_memory=1048576");
    rpc_put_notify(&sent, "frame");
    rpc_put_list(&sent, 1);
    rpc_put_bin_head(&sent, 2 << 20);
    n_sent = 0;
    assert_true(read_some(sent.len, true));
    assert_false(read_some(sent.len, true));
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_however_they_are_split),
        cmocka_unit_test(test_a_frame_that_is_not_whole_is_dropped),
        cmocka_unit_test(test_no_memory_for_a_block),
        cmocka_unit_test(test_a_frame_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
