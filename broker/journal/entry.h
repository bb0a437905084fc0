/*
 * entry.h: a command on its way through the journal and back.
 *
 *   I/O thread: entry_new (one block that owns its bytes) ─► journal ─► outcome filled ─► same thread
 *
 *   block:  struct entry │ command's options, words, bytes │ ... up to ENTRY_SMALL_BYTES, or as large as need be
 *
 * An EXEC is one entry with a chain of entries behind it (`more`), one for each command of its MULTI. The journal applies
 * the chain in a row, so all of it is in one group, and gives it back with the first one.
 *
 * The entry carries its answer: the leader of its group fills in `fate` and `out`, and hands it back through the
 * owner's `post`. It names its connection by slot and generation and never points at it, as the connection may end
 * meanwhile.
 *
 * A thread keeps the small blocks that it frees for its next entries, and a short answer lies in the block itself.
 * With thousands of entries under way, each made here, answered by another thread and freed here again, malloc took a
 * seventh of the broker's time.
 */
#ifndef HALFMQ_BROKER_ENTRY_H
#define HALFMQ_BROKER_ENTRY_H

#include "storage/state.h"

struct journal_client;

#define ENTRY_SMALL_BYTES 768 /* the smallest block */
#define ENTRY_SAID_BYTES 64 /* an id, a txid, a few ids */

struct entry {
    struct entry *next;
    struct journal_client *owner;
    /* ---- the owner's, untouched by the journal ---- */
    void (*done)(struct journal_client *owner, struct entry *e); /* called on the owner's thread */
    uint32_t slot, generation; /* which connection */
    uint64_t request;          /* RPC id, or whatever the owner likes */
    void *arg;
    bool lent; /* the journal does not have it, but another thread (loop_lend) */
    bool kept; /* in a list, by the end of which it is freed */
    bool sifts; /* a FILTER WHERE: messages were looked at for it (serve/sieve.h) ... */
    bool sifted_all; /* ... up to the ends of all queues, the last time ... */
    bool sift_failed; /* ... or they could not be read then */
    bool slow; /* with `more`: it may take too long for a light turn (journal_queue.h) */
    uint64_t begins, ends; /* of its reply in the output */
    struct entry *more; /* of an EXEC: its commands, linked by next; those that write are applied. Freed with it */
    /* ---- filled by the journal ---- */
    enum status fate; /* ST_OK: applied and durable, `out` has the answer. Else: not applied, answer this code */
    uint64_t index;   /* of the last command of its group: compare with news */
    struct outcome out;
    /* ---- ---- */
    size_t bytes;           /* of this block, of `taken`, and of those in `more` */
    struct entry_pool *pool; /* where entry_free puts the block; NULL: back to malloc */
    struct slice taken;     /* a block that cmd points into, too, and that is freed with the entry; empty: none */
    struct sifter *sifter;  /* what cmd.sifted points into, or NULL; freed with the entry */
    uint8_t said[ENTRY_SAID_BYTES]; /* where out.reply begins */
    struct command cmd; /* slices point into this block */
};

/* Blocks that one thread keeps for its next entries, ENTRIES_KEPT at most. All zero: empty. */
struct entry_pool {
    struct entry *first;
    uint32_t n, least; /* least: the lowest n since the last trim */
};

/* Frees the blocks that were not needed since the last trim; all: every one. */
void entry_pool_trim(struct entry_pool *p, bool all);

/* A copy of cmd in a block of its own; NULL: no memory. pool, of the calling thread, outlives it; NULL: none. */
struct entry *entry_new(struct entry_pool *pool, const struct command *cmd);

/* The same, but what of cmd lies in the block of malloc's is not copied: the entry frees the block. entry_let_go: no more, as the
 * command was not submitted. */
struct entry *entry_new_taking(struct entry_pool *pool, const struct command *cmd, struct slice block);
void entry_let_go(struct entry *e);
void entry_free(struct entry *e);

/* Who judges it in the store (command.user); the entry holds the users. */
void entry_judged_by(struct entry *e, const struct access_user *user);

/* Frees what was found out about messages for it (serve/sieve.h). */
void entry_sift_over(struct entry *e);

/* Empties the answer, so that the entry can be submitted once more. */
void entry_again(struct entry *e);

/* A chain of entries, first in first out. */
struct entry_list {
    struct entry *first, *last;
    uint32_t n;
    size_t bytes;
};

void entry_push(struct entry_list *l, struct entry *e);
struct entry *entry_pop(struct entry_list *l);
void entry_append(struct entry_list *l, struct entry_list *more); /* more is empty afterwards */

/* Puts the commands of an EXEC behind its entry, which owns them from now on; l is empty afterwards. And takes them out
 * again. Not while the entry is in a list. */
void entry_put_more(struct entry *e, struct entry_list *l);
struct entry_list entry_take_more(struct entry *e);

#endif
