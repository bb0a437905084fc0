/* model_users.h: users in the model of the store: ACL SETUSER and DELUSER, and what the judge's snapshot must have of them. */
#ifndef HALFMQ_TESTS_MODEL_USERS_H
#define HALFMQ_TESTS_MODEL_USERS_H

#include "tests/lib/model.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

#define M_RULES 4

/* A command that was chosen. */
struct m_user_choice {
    int user, n; /* n: how many rules */
    int rules[M_RULES];
    char text[100]; /* the words behind "ACL" */
    bool deletes;
};

struct m_user_choice model_user_pick(struct prng *p);

/* Judges the reply. */
void model_user_done(struct model *m, const struct m_user_choice *c, const char *said);

/* Damages the row of a user. To be called between groups. */
void model_user_harm(struct model *m, struct shell *s, struct prng *p);

/* Compares the users of the store, as whoever judges reads them, and their rows with the model. To be called between groups. */
void model_users_check(struct model *m, struct shell *s);

#endif
