/*
 * user.h: a user as it is stored: the row a of storage/FORMAT.md, what rules change and what is printed of it.
 *
 *   row ──► struct user_row ──► rules (rule.h) ──► row
 *                 └──► struct access_user (users.h): what commands are judged by (judge.h)
 *
 * Which commands a user may use is kept as categories, and what is allowed or forbidden beside them. So a command that a
 * later version adds to a category belongs to who has the category. In the row they stand by name, since the numbers of
 * commands change.
 *
 * A store without a row for `default` has that user all the same: user_default.
 */
#ifndef HALFMQ_STORAGE_USER_H
#define HALFMQ_STORAGE_USER_H

#include "protocol/base/buf.h"
#include "protocol/command/command.h"

#define RIGHT_WORDS ((RIGHT_COUNT + 63) / 64)

/* Names that a user may access. */
struct user_names {
    bool all;
    uint32_t n;
    struct slice pattern[USER_PATTERNS_MAX];
};

/* Slices point to the row that it was decoded from, or to the rules. */
struct user_row {
    bool on, nopass;
    uint64_t born; /* ref of when it was made */
    uint64_t ref;  /* of its last change, in refs of row M; 0: user_default */
    uint64_t conns, rate, bytes; /* 0: no bound */
    uint32_t n_hashes;
    struct slice hash[USER_PASSWORDS_MAX];
    bool all_commands;                         /* of later versions, too */
    uint32_t categories;                       /* bit c: category c */
    uint64_t plus[RIGHT_WORDS], minus[RIGHT_WORDS]; /* bit r: right r is allowed beside them, is not in spite of them */
    struct user_names topics, groups, pgroups;
};

/* One who may do nothing, and is off. */
void user_row_new(struct user_row *r);

/* Who may do everything without a password: `default`, while it has no row. */
void user_row_default(struct user_row *r);

bool user_row_allows(const struct user_row *r, unsigned right);

void user_row_encode(struct buf *b, const struct user_row *r);
enum status user_row_decode(struct slice bytes, struct user_row *ret_r) MUST_CHECK; /* takes any bytes; ST_BAD */

#endif
