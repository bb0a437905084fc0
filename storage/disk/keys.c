/*
 * keys.c: builds keys from their parts, and takes the numbers out of keys again. The map of the key space is in
 * keys.h.
 */
#include "storage/disk/keys.h"

#include <assert.h>

void key_begin(struct key *k, char kind)
{
    k->bytes[0] = (uint8_t)kind;
    k->len = 1;
}

void key_bytes(struct key *k, struct slice s)
{
    assert(k->len + s.len <= KEY_SIZE);
    if (s.len)
        memcpy(k->bytes + k->len, s.data, s.len);
    k->len += (uint32_t)s.len;
}

void key_u8(struct key *k, uint8_t v)
{
    key_bytes(k, slice_of(&v, 1));
}

void key_u32(struct key *k, uint32_t v)
{
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    key_bytes(k, slice_of(b, sizeof(b)));
}

void key_u64(struct key *k, uint64_t v)
{
    key_u32(k, (uint32_t)(v >> 32));
    key_u32(k, (uint32_t)v);
}

void key_name(struct key *k, struct slice name)
{
    key_bytes(k, name);
    key_u8(k, 0);
}

uint32_t key_read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

uint64_t key_read_u64(const uint8_t *at)
{
    return (uint64_t)key_read_u32(at) << 32 | key_read_u32(at + 4);
}

struct key key_after(const struct key *k)
{
    struct key next = *k;
    while (next.len > 0 && next.bytes[next.len - 1] == 0xff)
        next.len--;
    assert(next.len > 0);
    next.bytes[next.len - 1]++;
    return next;
}

struct key key_log(uint64_t topic, uint32_t queue, uint64_t base)
{
    struct key k;
    k.len = 0;
    key_u64(&k, topic);
    key_u32(&k, queue);
    key_u64(&k, base);
    return k;
}

struct key key_of_id(char kind, uint64_t id)
{
    struct key k;
    key_begin(&k, kind);
    key_u64(&k, id);
    return k;
}

struct key key_meta(void)
{
    struct key k;
    key_begin(&k, 'M');
    return k;
}

struct key key_topic(struct slice name)
{
    struct key k;
    key_begin(&k, 'T');
    key_bytes(&k, name);
    return k;
}

struct key key_group_prefix(struct slice group)
{
    struct key k;
    key_begin(&k, 'G');
    key_name(&k, group);
    return k;
}

struct key key_group(struct slice group, struct slice topic)
{
    struct key k = key_group_prefix(group);
    key_bytes(&k, topic);
    return k;
}

struct key key_topic_group(uint64_t topic, struct slice group)
{
    struct key k = key_of_id('H', topic);
    key_bytes(&k, group);
    return k;
}

struct key key_cgroup(struct slice group)
{
    struct key k;
    key_begin(&k, 'S');
    key_bytes(&k, group);
    return k;
}

struct key key_cursor(uint64_t gt)
{
    return key_of_id('C', gt);
}

struct key key_run(uint64_t gt, uint32_t queue, uint64_t base)
{
    struct key k = key_of_id('R', gt);
    key_u32(&k, queue);
    key_u64(&k, base);
    return k;
}

struct key key_waiting(uint64_t gt, int64_t due_ms, uint32_t queue, uint64_t base, uint32_t since)
{
    struct key k = key_of_id('V', gt);
    key_u64(&k, (uint64_t)due_ms);
    key_u32(&k, queue);
    key_u64(&k, base);
    key_u32(&k, since);
    return k;
}

struct key key_skipped(uint64_t gt, uint32_t queue, uint64_t base, uint32_t attempt, uint32_t delivered)
{
    struct key k = key_of_id('Z', gt);
    key_u32(&k, queue);
    key_u64(&k, base);
    key_u32(&k, attempt);
    key_u32(&k, delivered);
    return k;
}

struct key key_outcome(uint64_t txid)
{
    return key_of_id('O', txid);
}

struct key key_txn(uint64_t txid)
{
    return key_of_id('X', txid);
}

struct key key_txn_message(uint64_t txid, uint32_t n)
{
    struct key k = key_of_id('Y', txid);
    key_u32(&k, n);
    return k;
}

struct key key_check_prefix(struct slice pgroup)
{
    struct key k;
    key_begin(&k, 'K');
    key_name(&k, pgroup);
    return k;
}

struct key key_check(struct slice pgroup, int64_t due_ms, uint64_t txid)
{
    struct key k = key_check_prefix(pgroup);
    key_u64(&k, (uint64_t)due_ms);
    key_u64(&k, txid);
    return k;
}

struct key key_pending_prefix(struct slice pgroup)
{
    struct key k;
    key_begin(&k, 'J');
    key_name(&k, pgroup);
    return k;
}

struct key key_pending(struct slice pgroup, uint64_t txid)
{
    struct key k = key_pending_prefix(pgroup);
    key_u64(&k, txid);
    return k;
}

struct key key_pgroup(struct slice pgroup)
{
    struct key k;
    key_begin(&k, 'P');
    key_bytes(&k, pgroup);
    return k;
}

struct key key_pgroup_open(struct slice pgroup)
{
    struct key k;
    key_begin(&k, 'Q');
    key_bytes(&k, pgroup);
    return k;
}

struct key key_user(struct slice user)
{
    struct key k;
    key_begin(&k, 'a');
    key_bytes(&k, user);
    return k;
}

struct key key_dedup_half(struct slice topic, struct slice id)
{
    struct key k;
    key_begin(&k, 'U');
    key_name(&k, topic);
    key_bytes(&k, id);
    return k;
}

struct key key_dedup(uint64_t topic, char command, struct slice id)
{
    struct key k = key_of_id('D', topic);
    key_u8(&k, (uint8_t)command);
    key_bytes(&k, id);
    return k;
}

struct key key_index(uint64_t topic, uint64_t hash, int64_t stored_ms, uint32_t queue, uint64_t offset)
{
    struct key k = key_of_id('I', topic);
    key_u64(&k, hash);
    key_u64(&k, (uint64_t)stored_ms);
    key_u32(&k, queue);
    key_u64(&k, offset);
    return k;
}

struct key key_expiry(uint64_t topic, uint32_t queue, uint64_t offset)
{
    struct key k = key_of_id('E', topic);
    key_u32(&k, queue);
    key_u64(&k, offset);
    return k;
}

struct key key_directory(uint64_t topic, uint32_t queue, uint64_t base)
{
    struct key k = key_of_id('B', topic);
    key_u32(&k, queue);
    key_u64(&k, base);
    return k;
}

struct key key_removed(uint64_t topic, uint32_t queue, uint64_t n)
{
    struct key k = key_of_id('d', topic);
    key_u32(&k, queue);
    key_u64(&k, n);
    return k;
}

struct key key_class(uint64_t topic, uint32_t queue, uint8_t class, uint64_t base)
{
    struct key k = key_of_id('F', topic);
    key_u32(&k, queue);
    key_u8(&k, class);
    key_u64(&k, base);
    return k;
}

struct key key_class_cursor(uint64_t gt, uint8_t class)
{
    struct key k = key_of_id('C', gt);
    key_u8(&k, class);
    return k;
}

struct key key_delayed(uint64_t topic, int64_t due_ms, uint64_t token)
{
    struct key k = key_of_id('L', topic);
    key_u64(&k, (uint64_t)due_ms);
    key_u64(&k, token);
    return k;
}

struct key key_token(uint64_t token)
{
    return key_of_id('N', token);
}

struct key key_attempts(uint32_t bucket)
{
    struct key k;
    key_begin(&k, 'A');
    key_u32(&k, bucket);
    return k;
}

struct key key_timer(uint8_t kind, int64_t due_ms, struct slice what)
{
    struct key k;
    key_begin(&k, 'W');
    key_u8(&k, kind);
    key_u64(&k, (uint64_t)due_ms);
    key_bytes(&k, what);
    return k;
}
