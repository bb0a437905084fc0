/* kv_parts.c: writes parts to the redo log, and finds what a batch has of them (kv_parts.h). */
#include "storage/disk/batch/kv_parts.h"

#include <stdlib.h>

void kv_parts_init(struct kv_parts *p, const struct redo *redo, struct kv_shorter *shorter)
{
    *p = (struct kv_parts){.redo = redo && redo->part ? redo : NULL, .shorter = shorter};
}

void kv_parts_free(struct kv_parts *p)
{
    free(p->part);
}

static bool kv_parts_room(struct kv_parts *p)
{
    if (p->n < p->size)
        return true;
    uint32_t size = p->size ? 2 * p->size : 16;
    struct kv_part *part = size <= KV_PARTS_MAX ? realloc(p->part, size * sizeof *part) : NULL;
    if (!part)
        return false;
    p->part = part;
    p->size = size;
    return true;
}

enum status kv_parts_write(struct kv_parts *p, struct slice bytes, size_t whole, bool sync, char *err, size_t err_size)
{
    uint64_t at = 0;
    if (whole)
        kv_parts_end(p);
    bool takes = p->redo && kv_parts_room(p);
    enum status s = takes ? p->redo->part(p->redo->self, bytes, whole, sync, &at, err, err_size) : ST_BUSY;
    if (s == ST_OK)
        p->part[p->n++] = (struct kv_part){.data = bytes.data, .len = bytes.len, .at = at};
    else
        kv_parts_end(p);
    return s;
}

static const struct kv_part *kv_parts_find(struct kv_parts *p, const uint8_t *at)
{
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t k = p->near + i < p->n ? p->near + i : p->near + i - p->n;
        const struct kv_part *part = &p->part[k];
        if (at >= part->data && at < part->data + part->len) {
            p->near = k;
            return part;
        }
    }
    return NULL;
}

/* The batch has these bytes from `at` on: cuts what the log has of them. */
static void kv_parts_cut(struct kv_parts *p, size_t at, struct slice bytes)
{
    const struct kv_part *part = NULL;
    while (bytes.len > 0 && (part = kv_parts_find(p, bytes.data))) {
        uint8_t key[KV_SHORT_PART_BYTES];
        size_t from = (size_t)(bytes.data - part->data), n = part->len - from;
        n = n < bytes.len ? n : bytes.len;
        kv_short_part_key(part->at, key);
        kv_short_cut(p->shorter, at, n, slice_of(key, sizeof key), from);
        p->used = true;
        at += n;
        bytes = slice_of(bytes.data + n, bytes.len - n);
    }
}

void kv_parts_put(struct kv_parts *p, size_t end, const struct slice *parts, int n)
{
    size_t at = p->value_end = end;
    for (int i = 0; i < n; i++)
        at -= parts[i].len;
    for (int i = 0; i < n; i++) {
        kv_parts_cut(p, at, parts[i]);
        at += parts[i].len;
    }
}

void kv_parts_copied(struct kv_parts *p, size_t size, const struct kv_copied *copied, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kv_parts_cut(p, p->value_end - size + copied[i].at, copied[i].bytes);
}

struct slice kv_parts_short(struct kv_parts *p, struct slice batch)
{
    struct slice shorter = kv_short_of(p->shorter, batch);
    bool found = !p->used || p->redo->has_parts(p->redo->self, shorter.len);
    p->used = false;
    return found ? shorter : batch;
}

void kv_parts_end(struct kv_parts *p)
{
    if (p->n)
        p->redo->parts_end(p->redo->self);
    free(p->part);
    *p = (struct kv_parts){.redo = p->redo, .shorter = p->shorter};
}
