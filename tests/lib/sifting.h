/*
 * sifting.h: groups with a FILTER in a shell: looks at messages for their POPs, as a loop of the broker does
 * (broker/serve/sieve.h), and has them go on without one.
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

/* Has each group with a filter go on as far as it can without a POP, as the broker does (broker/advancer.h): in groups of
 * their own; least: as advance_new. Returns how many ADVANCEs there were. */
uint32_t sifting_advance(struct shell *s, uint64_t least);

/* One step of that, without its ADVANCE. */
enum status sifting_find(struct shell *s, struct advance *a, struct advance_found *found);

/* What is found out for that POP; asked: where the last one has stopped, or empty. steps: how many were needed, may be
 * NULL. Returns whether everything was looked at. */
bool sifting_look(struct shell *s, const char *line, struct slice asked, struct buf *found, uint32_t *steps);

#endif
