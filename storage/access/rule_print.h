/* rule_print.h: the rules that make a user, printed. */
#ifndef HALFMQ_STORAGE_RULE_PRINT_H
#define HALFMQ_STORAGE_RULE_PRINT_H

#include "storage/access/user.h"

/* "on nopass +@produce ~orders.*": all that a user has, but its passwords, in a form that gives the same user again. And
 * parts of it. Appended. */
void rules_print(struct buf *b, const struct user_row *r);
void rules_print_commands(struct buf *b, const struct user_row *r);
void rules_print_topics(struct buf *b, const struct user_row *r);
void rules_print_groups(struct buf *b, const struct user_row *r);
void rules_print_pgroups(struct buf *b, const struct user_row *r);

#endif
