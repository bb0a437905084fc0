/*
 * oracle.c: one word a message.
 *
 *   63 answered · 62 taken · 61 acked · 60 excused · 50..59 queue · 49 doubled · 0..48 offset
 */
#include "bench/roles/oracle.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define ANSWERED (UINT64_C(1) << 63)
#define TAKEN (UINT64_C(1) << 62)
#define ACKED (UINT64_C(1) << 61)
#define EXCUSED (UINT64_C(1) << 60)
#define QUEUE_SHIFT 50
#define DOUBLED (UINT64_C(1) << 49)
#define PLACE_MASK (((UINT64_C(1) << 60) - 1) & ~DOUBLED)
#define SEQ_MAX (UINT64_C(1) << 31)

struct sequence {
    uint64_t *word;
    uint64_t n, size;
};

struct oracle {
    pthread_mutex_t lock;
    uint32_t n_keys;
    struct sequence *keys;
    struct oracle_verdict
        so_far; /* damaged, redelivered and the counts; the other faults are computed from the words */
};

struct oracle *oracle_new(uint32_t keys)
{
    struct oracle *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->keys = calloc(keys, sizeof *o->keys);
    if (!o->keys || pthread_mutex_init(&o->lock, NULL) != 0) {
        free(o->keys);
        free(o);
        return NULL;
    }
    o->n_keys = keys;
    return o;
}

void oracle_free(struct oracle *o)
{
    if (!o)
        return;
    for (uint32_t i = 0; i < o->n_keys; i++)
        free(o->keys[i].word);
    free(o->keys);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static bool oracle_grow(struct sequence *s, uint32_t n)
{
    if (s->n + n <= s->size)
        return true;
    uint64_t size = 2 * (s->n + n) + 64;
    uint64_t *word = s->n + n <= SEQ_MAX ? realloc(s->word, size * sizeof *word) : NULL;
    if (!word)
        return false;
    s->word = word;
    s->size = size;
    return true;
}

bool oracle_send(struct oracle *o, uint32_t key, uint32_t n, uint64_t *ret_seq)
{
    assert(key < o->n_keys);
    struct sequence *s = &o->keys[key];
    pthread_mutex_lock(&o->lock);
    bool ok = oracle_grow(s, n);
    if (ok) {
        *ret_seq = s->n;
        for (uint32_t i = 0; i < n; i++)
            s->word[s->n++] = 0;
        o->so_far.sent += n;
    }
    pthread_mutex_unlock(&o->lock);
    return ok;
}

/* The word of a message; NULL: it was never sent. The lock is held. */
static uint64_t *oracle_word(struct oracle *o, uint32_t key, uint64_t seq)
{
    return key < o->n_keys && seq < o->keys[key].n ? &o->keys[key].word[seq] : NULL;
}

void oracle_excuse(struct oracle *o, uint32_t key, uint64_t seq, uint32_t n)
{
    pthread_mutex_lock(&o->lock);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t *w = oracle_word(o, key, seq + i);
        assert(w);
        *w |= EXCUSED;
    }
    pthread_mutex_unlock(&o->lock);
}

static uint64_t oracle_place(uint32_t queue, uint64_t offset)
{
    return (uint64_t)queue << QUEUE_SHIFT | offset;
}

/* Notes where a message is stored. If a place is known already, it must be the same one. */
static void oracle_put_place(uint64_t *w, uint64_t place)
{
    if (!(*w & (ANSWERED | TAKEN)))
        *w |= place;
    else if ((*w & PLACE_MASK) != place)
        *w |= DOUBLED;
}

void oracle_answered(struct oracle *o, uint32_t key, uint64_t seq, uint32_t queue, uint64_t offset)
{
    pthread_mutex_lock(&o->lock);
    uint64_t *w = oracle_word(o, key, seq);
    assert(w);
    oracle_put_place(w, oracle_place(queue, offset));
    o->so_far.answered += !(*w & ANSWERED);
    *w |= ANSWERED;
    pthread_mutex_unlock(&o->lock);
}

bool oracle_took(struct oracle *o, uint32_t key, uint64_t seq, uint32_t queue, uint64_t offset,
                 bool whole)
{
    pthread_mutex_lock(&o->lock);
    uint64_t *w = whole ? oracle_word(o, key, seq) : NULL;
    bool first = w && !(*w & TAKEN);
    if (!w) {
        o->so_far.damaged++;
    } else {
        oracle_put_place(w, oracle_place(queue, offset));
        if (!first && (*w & ACKED))
            *w |= DOUBLED;
        o->so_far.taken += first;
        o->so_far.redelivered += !first && !(*w & DOUBLED);
        *w |= TAKEN;
    }
    pthread_mutex_unlock(&o->lock);
    return first;
}

void oracle_acked(struct oracle *o, uint32_t key, uint64_t seq)
{
    pthread_mutex_lock(&o->lock);
    uint64_t *w = oracle_word(o, key, seq);
    assert(w);
    o->so_far.acked += !(*w & ACKED);
    *w |= ACKED;
    pthread_mutex_unlock(&o->lock);
}

static void oracle_judge_key(const struct sequence *s, struct oracle_verdict *v)
{
    uint64_t last = 0;
    bool any = false;
    for (uint64_t i = 0; i < s->n; i++) {
        uint64_t w = s->word[i], place = w & PLACE_MASK;
        v->lost += (w & ANSWERED) && !(w & TAKEN);
        v->doubled += (w & DOUBLED) != 0;
        if (!(w & (ANSWERED | TAKEN)) || (w & EXCUSED))
            continue;
        bool same_queue = !any || place >> QUEUE_SHIFT == last >> QUEUE_SHIFT;
        if (any && (!same_queue || place <= last))
            v->reordered++;
        last = place;
        any = true;
    }
}

void oracle_judge(struct oracle *o, struct oracle_verdict *ret_verdict)
{
    pthread_mutex_lock(&o->lock);
    struct oracle_verdict v = o->so_far;
    for (uint32_t i = 0; i < o->n_keys; i++)
        oracle_judge_key(&o->keys[i], &v);
    pthread_mutex_unlock(&o->lock);
    *ret_verdict = v;
}
