/*
 * entry.h: a command on its way through the journal and back.
 *
 *   I/O thread: entry_new (one block that owns its bytes) ─► journal ─► outcome filled ─► same thread
 *
 * The entry is its own answer: whoever led its group fills `fate` and `out`, and hands it back through
 * the owner's `post`. It never points at a connection, only at a slot and a generation.
 */
#ifndef HALFMQ_BROKER_ENTRY_H
#define HALFMQ_BROKER_ENTRY_H

#include "storage/state.h"

struct journal_client;

struct entry {
    struct entry *next;
    struct journal_client *owner;
    /* ---- the owner's, untouched by the journal ---- */
    void (*done)(struct journal_client *owner, struct entry *e); /* called on the owner's thread */
    uint32_t slot, generation; /* which connection */
    uint64_t request;          /* RPC id, or whatever the owner likes */
    void *arg;
    /* ---- filled by the journal ---- */
    enum status fate; /* OK: applied and durable, see out. Else: nothing was done, answer this */
    uint64_t index;   /* of the last command of its group: compare with news */
    struct outcome out;
    /* ---- ---- */
    size_t bytes;       /* of this block */
    struct command cmd; /* slices point into this block */
};

/* A copy of cmd in a block of its own; NULL: no memory. */
struct entry *entry_new(const struct command *cmd);
void entry_free(struct entry *e);

/* A chain of entries, first in first out. */
struct entry_list {
    struct entry *first, *last;
    uint32_t n;
    size_t bytes;
};

void entry_push(struct entry_list *l, struct entry *e);
struct entry *entry_pop(struct entry_list *l);
void entry_append(struct entry_list *l, struct entry_list *more); /* more is empty afterwards */

#endif
