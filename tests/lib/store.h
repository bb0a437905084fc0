/*
 * store.h: a state in a temporary folder. The test gives it commands as the lines that a client would type, and sets
 * the time.
 *
 *   store_do(s, "SEND t hello QUEUE 0")  ──► "t:0:0"          applies, writes the group, returns the reply
 *   store_add(s, ...) x n, store_write(s) ──► store_reply(s, i)   several commands in one group
 *
 * The broker's own commands are written TICK, RELEASE group receipt..., UNASK txid... store_do runs a query on a view
 * of what is written.
 *
 * Replies as text:  OK null 12 word [a b] {name:value} -CODE, and a message as id=body. With `full` set,
 * messages are (id body {attributes} {properties}), and errors are -CODE with their text.
 */
#ifndef HALFMQ_TESTS_STORE_H
#define HALFMQ_TESTS_STORE_H

#include "storage/model/core.h"
#include "storage/query.h"

#define STORE_TIME INT64_C(1795501800000)
#define STORE_REPLIES_MAX 4096

struct store {
    char *path;
    struct state *st; /* NULL: closed, or it could not be opened */
    struct policy policy;
    uint64_t index;
    int64_t now_ms;
    bool sync, full;
    const struct redo *redo; /* the log of the next opening; NULL: the database's own */
    size_t memory_bytes;     /* for the next opening; 0: 64 MiB */
    void (*inside)(bool in); /* called before and after the product's code runs; may be NULL */
    struct command_space space;
    struct effects fx; /* of the last group */
    char err[512];
    enum status status; /* of the last open or write */
    struct outcome *outs[STORE_REPLIES_MAX];
    struct slice groups[STORE_REPLIES_MAX]; /* POP's group, owned */
    uint32_t n;
    struct buf said; /* replies as text, one after the other, each NUL-terminated */
    size_t replies[STORE_REPLIES_MAX];
};

/* Gives each test a store of its own: write STORE_TEST(f) in the list of tests; the store is *state in f. */
int store_setup(void **state);
int store_teardown(void **state);
#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)

/* Makes a new folder and opens a store in it; the test fails if that is not possible. */
void store_start(struct store *s);
/* Closes the store and removes its folder. */
void store_stop(struct store *s);

/* Opens s->path; s->status and s->err have the result. The clock and the index go on from the stored ones. */
bool store_open(struct store *s);
void store_close(struct store *s);
/* Closes and opens; the test fails if it does not open. */
void store_reopen(struct store *s);

/* Applies one command in the open group; returns its number in the group. */
uint32_t store_add(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint32_t store_add_words(struct store *s, const struct slice *words, size_t n);

/* Writes the group; false: it could not be written (s->status, s->err). */
bool store_write(struct store *s);

/* The reply to command i, valid until the next group begins. */
const char *store_reply(const struct store *s, uint32_t i);
const struct outcome *store_outcome(const struct store *s, uint32_t i);

/* Runs one command in a group of its own, or a query, and returns its reply. If the write fails: "!" and the status. */
const char *store_do(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *store_do_words(struct store *s, const struct slice *words, size_t n);

/* store_do; the reply must be `want`. */
#define store_expect(s, want, ...) assert_string_equal(store_do((s), __VA_ARGS__), (want))

/* store_do; the reply must start with the text, for example "-STALE". */
#define store_refused(s, code, ...)                                                                  \
    do {                                                                                             \
        const char *said_ = store_do((s), __VA_ARGS__);                                              \
        assert_memory_equal(said_, (code), strlen(code));                                            \
    } while (0)

/* Moves the time on by ms, and does what is due by then. */
void store_pass(struct store *s, int64_t ms);

/* Syncs what is written and compacts, which removes stale rows. */
void store_compact(struct store *s);

/* Returns a hash over all keys and values of both families. */
uint64_t store_digest(struct store *s);

/* Counts the rows of the STATE family whose key begins with that byte; '*': all rows. */
uint32_t store_rows(struct store *s, char kind);

/* Appends a finished reply as text. */
void store_render(struct buf *out, struct slice reply, bool full);

/* Reads a number from a map in a reply: the integer after ` name:` in text, or -1. */
int64_t store_field(const char *text, const char *name);

#endif
