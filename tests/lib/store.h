/*
 * store.h: a state in a folder of its own, driven by lines as a client would type them, at a time that
 * the test sets.
 *
 *   store_do(s, "SEND t hello QUEUE 0")  ──► "t:0:0"          apply, write the group, render the answer
 *   store_add(s, ...) x n, store_write(s) ──► store_reply(s, i)   several commands in one group
 *
 * The broker's own commands are typed as TICK, RELEASE group receipt..., UNASK txid... Queries are
 * answered by store_do from a view of what is written.
 *
 * Answers as text:  OK null 12 word [a b] {name:value} -CODE, and a message as id=body. With `full` set,
 * messages are (id body {attributes} {properties}) and errors -CODE with their sentence.
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
    size_t memory_bytes;     /* of the next opening; 0: 64 MiB */
    void (*inside)(bool in); /* told when the product's own code is entered and left; NULL: nobody */
    struct command_space space;
    struct effects fx; /* of the last group */
    char err[512];
    enum status status; /* of the last open or write */
    struct outcome *outs[STORE_REPLIES_MAX];
    struct slice groups[STORE_REPLIES_MAX]; /* POP's group, owned */
    uint32_t n;
    struct buf said; /* rendered answers, one behind the other, each NUL-ended */
    size_t replies[STORE_REPLIES_MAX];
};

/* A store of its own for each test: STORE_TEST(f) in the list, *state in f. */
int store_setup(void **state);
int store_teardown(void **state);
#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)

/* A new folder, opened, or the test fails. */
void store_start(struct store *s);
/* Closes, removes the folder. */
void store_stop(struct store *s);

/* Opens s->path; s->status and s->err. The clock and the count go on from what is stored. */
bool store_open(struct store *s);
void store_close(struct store *s);
/* Both; the test fails where it does not open. */
void store_reopen(struct store *s);

/* Applies one command in the open group; returns its number in the group. */
uint32_t store_add(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint32_t store_add_words(struct store *s, const struct slice *words, size_t n);

/* Writes the group; false: it could not be written (s->status, s->err). */
bool store_write(struct store *s);

/* The answer, good until the next group begins. */
const char *store_reply(const struct store *s, uint32_t i);
const struct outcome *store_outcome(const struct store *s, uint32_t i);

/* One command in a group of its own (or a query), its answer. A write that fails: "!" and the status. */
const char *store_do(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *store_do_words(struct store *s, const struct slice *words, size_t n);

/* store_do, and the answer must be this. */
#define store_expect(s, want, ...) assert_string_equal(store_do((s), __VA_ARGS__), (want))

/* The answer must begin with the text, as "-STALE". */
#define store_refused(s, code, ...)                                                                  \
    do {                                                                                             \
        const char *said_ = store_do((s), __VA_ARGS__);                                              \
        assert_memory_equal(said_, (code), strlen(code));                                            \
    } while (0)

/* Time goes on by ms, and what is due by then is done. */
void store_pass(struct store *s, int64_t ms);

/* What is written is synced, and what is stale goes. */
void store_compact(struct store *s);

/* A hash over all keys and values of both families. */
uint64_t store_digest(struct store *s);

/* Rows of the STATE family whose key begins with that byte; '*': all. */
uint32_t store_rows(struct store *s, char kind);

/* A finished reply as text, appended. */
void store_render(struct buf *out, struct slice reply, bool full);

/* Reading one map of an answer: the integer behind ` name:` in text, or -1. */
int64_t store_field(const char *text, const char *name);

#endif
