/*
 * shell.h: a state in a temporary folder. The test gives it commands as the lines that a client would type, and sets
 * the time.
 *
 *   shell_do(s, "SEND t hello QUEUE 0")  ──► "t:0:0"          applies, writes the group, returns the reply
 *   shell_add(s, ...) x n, shell_write(s) ──► shell_reply(s, i)   several commands in one group
 *
 * The broker's own commands are written TICK, RELEASE group receipt... [AT ms], SKIP group receipt..., ADVANCE group topic,
 * UNASK txid..., and TAKE like POP. shell_do runs a query on a view
 * of what is written.
 *
 * Replies as text:  OK null 12 word [a b] {name:value} -CODE, and a message as id=body. With `full` set,
 * messages are (id body {attributes} {properties}), and errors are -CODE with their text.
 */
#ifndef HALFMQ_TESTS_SHELL_H
#define HALFMQ_TESTS_SHELL_H

#include "storage/model/core.h"
#include "storage/query.h"
#include "storage/state.h"

#define SHELL_TIME INT64_C(1795501800000)
#define SHELL_REPLIES_MAX 4096

struct shell {
    char *path;
    struct store *store; /* NULL: closed, or it could not be opened */
    struct state *st;    /* NULL: so is the store, or it could not be loaded */
    struct policy policy;
    uint64_t index;
    uint64_t client; /* the connection that all commands come from */
    int64_t now_ms;
    bool sync, full;
    struct slice sifted; /* what POPs get with them (sifting.h) ... */
    bool sift;           /* ... and whether the last command wants more of it, ... */
    struct buf asked;    /* ... from where on */
    bool asks_only, repeated; /* shell_repeated: state_repeated instead of state_apply, and what it returned */
    const struct redo *redo; /* the log of the next opening; NULL: the database's own */
    bool salvage;            /* the next opening is one with --salvage */
    size_t memory_bytes;     /* for the next opening; 0: 64 MiB */
    void (*inside)(bool in); /* called before and after the product's code runs; may be NULL */
    struct command_space space;
    struct effects fx; /* of the last group */
    char err[512];
    enum status status; /* of the last open or write */
    struct outcome *outs[SHELL_REPLIES_MAX];
    struct slice groups[SHELL_REPLIES_MAX]; /* POP's group */
    struct slice *words[SHELL_REPLIES_MAX]; /* of each command, with its bytes behind them; owned */
    uint32_t n;
    struct buf said; /* replies as text, one after the other, each NUL-terminated */
    size_t replies[SHELL_REPLIES_MAX];
};

/* Gives each test a store of its own: write SHELL_TEST(f) in the list of tests; the store is *state in f. */
int shell_setup(void **state);
int shell_teardown(void **state);
#define SHELL_TEST(f) cmocka_unit_test_setup_teardown(f, shell_setup, shell_teardown)

/* Makes a new folder and opens a store in it; the test fails if that is not possible. */
void shell_start(struct shell *s);
/* Closes the store and removes its folder. */
void shell_stop(struct shell *s);

/* Opens s->path; s->status and s->err have the result. The clock and the index go on from the stored ones. */
bool shell_open(struct shell *s);
void shell_close(struct shell *s);
/* Closes and opens; the test fails if it does not open. */
void shell_reopen(struct shell *s);
/* Drops the state and loads it again from the open store, as shell_open does. */
bool shell_reload(struct shell *s);

/* Applies one command in the open group; returns its number in the group. */
uint32_t shell_add(struct shell *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint32_t shell_add_words(struct shell *s, const struct slice *words, size_t n);

/* Writes the group; false: it could not be written (s->status, s->err). */
bool shell_write(struct shell *s);

/* The reply to command i, valid until the next group begins. */
const char *shell_reply(const struct shell *s, uint32_t i);
const struct outcome *shell_outcome(const struct shell *s, uint32_t i);

/* Runs one command in a group of its own, or a query, and returns its reply. If the write fails: "!" and the status. */
const char *shell_do(struct shell *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *shell_do_words(struct shell *s, const struct slice *words, size_t n);

/* Asks state_repeated. NULL: it is no repeat. */
const char *shell_repeated(struct shell *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* shell_do; the reply must be `want`. */
#define shell_expect(s, want, ...) assert_string_equal(shell_do((s), __VA_ARGS__), (want))

/* shell_do; the reply must start with the text, for example "-STALE". */
#define shell_refused(s, code, ...)                                                                  \
    do {                                                                                             \
        const char *said_ = shell_do((s), __VA_ARGS__);                                              \
        assert_memory_equal(said_, (code), strlen(code));                                            \
    } while (0)

/* Moves the time on by ms, and does what is due by then. */
void shell_pass(struct shell *s, int64_t ms);

/* Syncs what is written and compacts, which removes stale rows. */
void shell_compact(struct shell *s);

/* Returns a hash over all keys and values of both families. */
uint64_t shell_digest(struct shell *s);

/* Counts the rows of the STATE family whose key begins with that byte; '*': all rows. */
uint32_t shell_rows(struct shell *s, char kind);

/* Appends a finished reply as text. */
void shell_render(struct buf *out, struct slice reply, bool full);

/* Reads a number from a map in a reply: the integer after ` name:` in text, or -1. */
int64_t shell_field(const char *text, const char *name);

#endif
