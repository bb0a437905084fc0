/*
 * intake.c: keeps the bytes that were read until their frames are whole; see intake.h.
 */
#include "clients/c/client/intake.h"

#include "clients/c/client/client_inner.h"

#define READ_BYTES 65536 /* at once, or more where the buffer has room */
#define FIRST_BYTES 4096 /* has the head of a large frame */
#define LARGE_BYTES 16384 /* a frame of so many is one */
#define LARGE_TURNS 4
#define KEEP_BYTES 262144 /* size of the buffer that is kept while it is empty */

/* An empty buffer, whose size is what it may always have; intake_may_grow lets it have more. */
static void intake_reset(struct hmq_client *c)
{
    struct intake *t = &c->peer.intake;
    size_t cap = (size_t)options_num(c->options, CHOICE_max_memory) / 16 * 3;
    buf_reset(&t->in, cap < KEEP_BYTES ? cap : KEEP_BYTES);
    t->in.cap = cap;
}

void intake_init(struct hmq_client *c)
{
    buf_init(&c->peer.intake.in, 1);
    intake_reset(c);
}

static void intake_drop_block(struct hmq_client *c)
{
    struct intake *t = &c->peer.intake;
    if (t->block)
        memory_block_give(c->memory, t->block, t->block_size);
    t->block = NULL;
    t->block_len = 0;
}

void intake_fini(struct hmq_client *c)
{
    intake_drop_block(c);
    rpc_reader_free(c->peer.intake.reader);
    buf_free(&c->peer.intake.in);
}

bool intake_begin(struct hmq_client *c)
{
    struct intake *t = &c->peer.intake;
    rpc_reader_free(t->reader);
    t->reader = rpc_reader_new((size_t)options_num(c->options, CHOICE_max_reply_bytes));
    t->large = 0;
    return t->reader != NULL;
}

void intake_drop(struct hmq_client *c)
{
    intake_drop_block(c);
    c->peer.intake.used = 0;
    c->peer.intake.many = false;
    buf_reset(&c->peer.intake.in, 0);
    intake_reset(c);
}

/* The largest frame that may be read now. */
static size_t intake_most(struct hmq_client *c)
{
    size_t max = (size_t)options_num(c->options, CHOICE_max_memory);
    size_t reply = (size_t)options_num(c->options, CHOICE_max_reply_bytes);
    pthread_mutex_lock(&c->lock);
    size_t used = c->core.memory + c->core.note_memory + memory_total(c->memory);
    pthread_mutex_unlock(&c->lock);
    size_t always = max / 16 * 3, most = used < max - always ? max - used : always;
    return most < reply ? most : reply;
}

bool intake_may_grow(struct hmq_client *c)
{
    struct intake *t = &c->peer.intake;
    size_t needs = rpc_reader_needs(t->reader), wants = t->in.len + READ_BYTES;
    if (t->block || (needs <= t->in.cap && wants <= t->in.cap))
        return true;
    size_t most = intake_most(c);
    if (needs > most || t->in.len > most)
        return false;
    if (t->in.cap < most + READ_BYTES)
        t->in.cap = most + READ_BYTES;
    return true;
}

/* Moves the frame that has begun, and will have so many bytes, to a block of its own. Without memory for one it stays. */
static void intake_move(struct hmq_client *c, size_t needs)
{
    struct intake *t = &c->peer.intake;
    size_t size = needs;
    uint8_t *block = memory_block(c->memory, &size, true);
    if (!block)
        return;
    memcpy(block, t->in.data, t->in.len);
    t->block = block;
    t->block_size = size;
    t->block_len = t->in.len;
    intake_reset(c);
}

/* Moves it back. False: no memory. */
static bool intake_move_back(struct hmq_client *c)
{
    struct intake *t = &c->peer.intake;
    struct buf all;
    buf_init(&all, t->block_len + t->in.len + READ_BYTES);
    buf_put(&all, t->block, t->block_len);
    buf_put(&all, t->in.data, t->in.len);
    if (all.failed)
        return false;
    all.cap = t->in.cap > all.cap ? t->in.cap : all.cap;
    intake_drop_block(c);
    buf_free(&t->in);
    t->in = all;
    t->large = 0;
    t->many = true;
    return true;
}

/* The rest of the frame in the block, and the head of the next one, with one read. */
static size_t intake_room_of_block(struct intake *t, size_t needs, struct iovec iov[2])
{
    iov[0] = (struct iovec){t->block + t->block_len, needs - t->block_len};
    uint8_t *next = buf_room(&t->in, FIRST_BYTES);
    if (next)
        iov[1] = (struct iovec){next, FIRST_BYTES};
    t->in.failed = false; /* where there is no memory, it is asked for again when it must be there */
    return next ? 2 : 1;
}

size_t intake_room(struct hmq_client *c, struct iovec iov[2])
{
    struct intake *t = &c->peer.intake;
    size_t needs = rpc_reader_needs(t->reader);
    if (!intake_may_grow(c))
        return 0;
    if (!t->block && !t->many && needs >= LARGE_BYTES && t->in.len > 0 && needs > t->in.len)
        intake_move(c, needs);
    if (t->block)
        return intake_room_of_block(t, needs, iov);
    uint8_t *room = buf_room(&t->in, READ_BYTES);
    size_t space = t->in.size - t->in.len;
    size_t first = FIRST_BYTES + (needs > t->in.len ? needs - t->in.len : 0); /* up to the head of the next frame */
    iov[0] = (struct iovec){room, t->large > 0 && space > first ? first : space};
    return room ? 1 : 0;
}

void intake_added(struct hmq_client *c, const struct iovec iov[2], size_t n)
{
    struct intake *t = &c->peer.intake;
    if (t->block) {
        size_t part = n < iov[0].iov_len ? n : iov[0].iov_len;
        t->block_len += part;
        buf_added(&t->in, n - part);
        t->large = LARGE_TURNS;
        return;
    }
    buf_added(&t->in, n);
    if (t->large > 0 && n >= FIRST_BYTES) /* many small ones fill what is read at first */
        t->large--;
}

struct slice intake_bytes(const struct hmq_client *c)
{
    const struct intake *t = &c->peer.intake;
    return t->block ? slice_of(t->block, t->block_len) : slice_of(t->in.data + t->used, t->in.len - t->used);
}

void intake_dispatches(struct hmq_client *c)
{
    const struct intake *t = &c->peer.intake;
    if (t->block)
        memory_give(c->memory, t->block_size);
}

void intake_used(struct hmq_client *c, size_t n)
{
    struct intake *t = &c->peer.intake;
    bool taken = t->taken;
    t->taken = t->many = false;
    if (t->block) {
        memory_block_keep(c->memory, t->block, t->block_size);
        t->block = NULL;
        t->block_len = 0;
    } else if (!taken)
        t->used += n;
}

enum status intake_settle(struct hmq_client *c)
{
    struct intake *t = &c->peer.intake;
    size_t needs = rpc_reader_needs(t->reader); /* no more than has come: a length has come in part */
    if (t->block && (t->in.len > 0 || needs > t->block_size || needs <= t->block_len))
        return intake_move_back(c) ? ST_OK : ST_NOMEM;
    if (t->used == t->in.len)
        intake_reset(c);
    else
        buf_consume(&t->in, t->used);
    t->used = 0;
    return ST_MORE;
}
