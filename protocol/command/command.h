/*
 * command.h: what a client asked for, whatever dialect it spoke.
 *
 *   RESP words  ──► command_from_words ──┐
 *                                        ├──► struct command ──► dispatch ──► journal / query
 *   RPC map     ──► command_begin/put ───┘         │
 *                                                  └─ command_clone: one block that owns its bytes
 *
 * `command.def` is the table; one line gives the enum, the words, arity, RPC keys, HELP and docs.
 * A parsed command is *well-formed*: arity holds, options belong to it, numbers are numbers within
 * their bounds (see command_check for which), names are names. What depends on state (does the topic
 * exist?) is apply's and query's business.
 *
 * This is the room's public header; its functions are defined in the file of their name: command_table.c (the
 * look-ups), command_parse.c (from words), command_named.c (begin, put, end), command_build.c (the space),
 * command_usage.c, and command.c (the rest). command_message.h makes a message of a SEND.
 *
 * Invariant: every slice of a command points into the request it was parsed from, or into its space;
 * both outlive the command. A clone points only into itself, and has nothing sifted.
 */
#ifndef HALFMQ_PROTOCOL_COMMAND_H
#define HALFMQ_PROTOCOL_COMMAND_H

#include "protocol/base/buf.h"
#include "protocol/limits.h"
#include "protocol/record/batch.h"
#include "protocol/status.h"

enum option_type {
    OPT_FLAG,
    OPT_SWITCH,
    OPT_STR,
    OPT_NAME,
    OPT_INT,
    OPT_UINT,
    OPT_DUR,
    OPT_TIME,
    OPT_PAIR,
    OPT_POINT,
    OPT_REST,
    OPT_FILTER
};

/*
 * What a word or an option of a command names: who may use it is decided by that name (storage/access/judge.h). A row of
 * four bits each: the positional words, then the repeating ones.
 */
enum touch {
    TOUCH_NONE,
    TOUCH_TOPIC,
    TOUCH_GROUP,
    TOUCH_PGROUP,
    TOUCH_ID,      /* of a message: its topic */
    TOUCH_RECEIPT, /* the same */
    TOUCH_TXN,     /* its producer group, which the store knows */
    TOUCH_TOKEN,   /* of a delayed message: its topic, which the store knows */
    TOUCH_CHANNEL
};
#define TOUCH_AT(at, what) ((uint32_t)TOUCH_##what << (4 * (at)))
#define TOUCH_1(what) TOUCH_AT(0, what)
#define TOUCH_2(what) TOUCH_AT(1, what)
#define TOUCH_REST(what) TOUCH_AT(COMMAND_POS_MAX, what)
#define COMMAND_POS_MAX 4

/* Which rule of a user allows a command: +@produce and so on. */
enum category {
    CATEGORY_CONNECTION,
    CATEGORY_PRODUCE,
    CATEGORY_TXN,
    CATEGORY_CONSUME,
    CATEGORY_READ,
    CATEGORY_PUBSUB,
    CATEGORY_MANAGE,
    CATEGORY_ADMIN,
    CATEGORY_COUNT,
    CATEGORY_NONE = CATEGORY_COUNT /* the broker's own commands */
};

enum option_id {
#define OPTION(id, word, type, repeat, touches) OPT_ID_##id,
#include "protocol/command/option.def"
#undef OPTION
    OPTION_COUNT
};

#define OPT(id) (UINT64_C(1) << OPT_ID_##id)

static_assert(OPTION_COUNT <= 64, "options of a command are a 64-bit mask");

enum command_id {
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary) CMD_##id,
#include "protocol/command/command.def"
#undef COMMAND
    COMMAND_COUNT
};

/* What a user may be allowed or not: a command, or the part of one. */
enum command_right {
    RIGHT_PARTS = COMMAND_COUNT - 1, /* the parts come behind the commands */
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary)
#define PART(id, command, word, category) RIGHT_##id,
#include "protocol/command/command.def"
#undef COMMAND
    RIGHT_COUNT
};

enum command_kind { KIND_LOCAL, KIND_QUERY, KIND_WRITE, KIND_LATER, KIND_INNER };

struct command_info {
    enum command_id id;
    const char *words;   /* "TOPIC CREATE" */
    const char *method;  /* "topic_create" */
    const char *names;   /* "name" */
    const char *summary;
    enum command_kind kind;
    uint8_t min, max, rest;
    uint64_t options;
    uint64_t later;
    enum category category;
    uint32_t touches; /* enum touch, four bits each */
};

/* An option with its value; n is the number that an INT, UINT, DUR, TIME or POINT was read as, or the enum filter_kind. */
struct option {
    enum option_id id;
    struct slice v;  /* the value as sent; REST: the group; PAIR: the first; FILTER: the kind */
    struct slice v2; /* PAIR: the second; FILTER: the tags, or the expression */
    int64_t n;
};

#define POINT_EARLIEST (-1)
#define POINT_LATEST (-2)

struct access_user;

struct command {
    const struct command_info *info;
    uint32_t n_pos, n_rest, n_opt;
    struct slice pos[COMMAND_POS_MAX]; /* in the order of info->names */
    struct slice *rest;                /* the repeating words (bodies, receipts, topics, ...) */
    struct option *opt;                /* in the order sent */
    uint64_t has;                      /* mask of the options present */
    struct batch_facts batch;          /* PRODUCE: of its batch */
    uint64_t client;                   /* the id of the connection that it came from; 0: the broker's own */
    const struct access_user *user;    /* who may not see everything (storage/access/judge.h); NULL: who may. Whoever sets
                                          it keeps it alive */
    struct slice sifted;               /* POP, ADVANCE: the broker's own (storage/sift.h); whoever sets it keeps the bytes */
};

/* Scratch memory for parsing, kept by a connection from one command to the next. */
struct command_space {
    struct slice *slices;
    struct option *options;
    uint32_t n_slices, slices_size, n_options, options_size;
    struct buf text; /* numbers of RPC maps, printed */
};

void command_space_init(struct command_space *s);
void command_space_free(struct command_space *s);

/* Line `id` of the table; every command has one. */
const struct command_info *command_info(enum command_id id);

/* The command that the first one or two words name, in any case. NULL: there is none. *ret_used: how many words its
 * name has. */
const struct command_info *command_find(const struct slice *words, size_t n, size_t *ret_used);

/* The command of a MessagePack-RPC method ("topic_create"). NULL: there is none. INNER commands are never found. */
const struct command_info *command_find_method(struct slice method);

/* Which of the command's own words a key of a map names: its positional ones, then the repeating one. -1: none. */
int command_name_at(const struct command_info *info, struct slice name);

/* What the option's value names. */
enum touch option_touch(enum option_id id);

/* What the i-th positional word names; i = COMMAND_POS_MAX: the repeating ones. */
static inline enum touch command_touch(const struct command_info *info, unsigned i)
{
    return (enum touch)(info->touches >> (4 * i) & 15);
}

/* ---- command_right.c ---- */

/* "produce". */
const char *category_name(enum category c);
bool category_find(struct slice name, enum category *ret_c); /* in any case */

/* Which right the command needs: its own, or that of a part. */
unsigned command_right(const struct command *cmd);

enum category right_category(unsigned right);
enum command_id right_command(unsigned right); /* the command that it is one of, or a part of */

/* Its name in rules, in lower case ("topic|create", "client|list", "send"), and in sentences ("TOPIC CREATE"). out has
 * RIGHT_NAME_SIZE bytes. */
#define RIGHT_NAME_SIZE 32
const char *right_rule_name(unsigned right, char *out);
const char *right_words(unsigned right, char *out);

/* Whether a name as in rules, in any case, names that right, or one of a family of several (topic: topic|create, ...). */
bool right_is_named(unsigned right, struct slice name);

const char *option_word(enum option_id id);
enum option_type option_type(enum option_id id);
bool option_find(struct slice word, enum option_id *ret_id); /* in any case */

/*
 * Parses the words of a text request (words[0] is the command's name; n >= 1). On failure the text
 * for the person is put into err (NUL-ended, names the word that is wrong and what was expected)
 * and the status to answer with is returned. LATER commands and options: ST_ERR "not available yet".
 */
enum status command_from_words(struct command_space *space, const struct slice *words, size_t n,
                               struct command *ret_cmd, char *err, size_t err_size) MUST_CHECK;

/*
 * Builds a command from named values: begin, put each key in any order, end. A key that repeats is
 * put once per value. A PAIR (prop) is put with both. Errors as above. command_put_word: for a key that names one of
 * the command's own words, whose place `at` is known already (command_name_at).
 */
enum status command_begin(struct command_space *space, const struct command_info *info,
                          struct command *ret_cmd, char *err, size_t err_size) MUST_CHECK;
enum status command_put(struct command_space *space, struct command *cmd, struct slice key,
                        struct slice value, struct slice value2, char *err, size_t err_size) MUST_CHECK;
enum status command_put_word(struct command_space *space, struct command *cmd, int at, struct slice value,
                             char *err, size_t err_size) MUST_CHECK;
enum status command_end(struct command_space *space, struct command *cmd, char *err,
                        size_t err_size) MUST_CHECK;

/* Bytes that a copy needs, and the copy into mem (8-aligned, that many bytes). What lies in `kept` is not copied: these
 * bytes live as long as the copy. */
size_t command_clone_size_beside(const struct command *cmd, struct slice kept);
void command_clone_beside(const struct command *cmd, struct slice kept, void *mem, struct command *ret_cmd);

/* The same of a deep copy. */
static inline size_t command_clone_size(const struct command *cmd)
{
    return command_clone_size_beside(cmd, slice_of(NULL, 0));
}

static inline void command_clone(const struct command *cmd, void *mem, struct command *ret_cmd)
{
    command_clone_beside(cmd, slice_of(NULL, 0), mem, ret_cmd);
}

/* The bytes from the first to the end of the last of a command's positional and repeating words, which lie in one block: in
 * `kept`, or, where that is empty, that of a copy. */
struct slice command_bytes(const struct command *cmd, struct slice kept);

static inline bool command_has(const struct command *cmd, uint64_t mask) { return (cmd->has & mask) != 0; }

/* Reads "earliest", "latest" or a time: *ret_n is POINT_EARLIEST, POINT_LATEST, or Unix milliseconds from 0 on. */
bool command_point(struct slice s, int64_t *ret_n);

/* The first option with that id, or NULL. */
const struct option *command_option(const struct command *cmd, enum option_id id);

/* The option's number, or otherwise. */
int64_t command_number(const struct command *cmd, enum option_id id, int64_t otherwise);

/* "SEND topic body [KEY k]... [TAG t] ..." for HELP and for errors about arity. */
void command_usage(const struct command_info *info, struct buf *out);

#endif
