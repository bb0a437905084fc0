/* check_user.h: users: their rows, one by one. */
#ifndef HALFMQ_STORAGE_CHECK_USER_H
#define HALFMQ_STORAGE_CHECK_USER_H

#include "storage/check/check_base.h"

void check_user_all(struct checking *c);

#endif
