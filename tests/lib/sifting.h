/*
 * sifting.h: POPs of groups with a FILTER WHERE in a shell: looks at messages for them, as a loop of the broker does
 * (broker/serve/sieve.h).
 */
#ifndef HALFMQ_TESTS_SIFTING_H
#define HALFMQ_TESTS_SIFTING_H

#include "tests/lib/shell.h"

/* shell_do of a POP or TAKE, again and again until it is known which messages match. */
const char *sifting_do(struct shell *s, const char *line);

/* shell_add of a POP or TAKE in the open group, again and again until a view does not help any more: messages of the open
 * group are in no view. before: messages are also looked at before it, as for one that was woken. Returns the number of
 * the last one. */
uint32_t sifting_add(struct shell *s, const char *line, bool before);

/* What is found out for that POP; asked: where the last one has stopped, or empty. steps: how many were needed, may be
 * NULL. Returns whether everything was looked at. */
bool sifting_look(struct shell *s, const char *line, struct slice asked, struct buf *found, uint32_t *steps);

#endif
