/* shell_check.h: --check for a store of shell.h. */
#ifndef HALFMQ_TESTS_SHELL_CHECK_H
#define HALFMQ_TESTS_SHELL_CHECK_H

#include "tests/lib/shell.h"

/* Closes the store, checks it, and opens it again. out: the damages, each with a line end, and then a NUL. False: it could not be checked. */
bool shell_check(struct shell *s, struct buf *out);

/* The same; the test fails where there is any damage. */
void shell_sound(struct shell *s);

#endif
