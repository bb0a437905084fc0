/* steps.h: the steps of a history (steps.def), each a function that chooses by `below`. */
#ifndef HALFMQ_TESTS_SIM_STEPS_H
#define HALFMQ_TESTS_SIM_STEPS_H

#include "tests/sim/world.h"

#define STEP(name, weight) void step_##name(void);
#include "tests/sim/steps.def"
#undef STEP

/* ---- steps_message.c ---- */

/* Any message, for any topic. */
void steps_part(struct o_part *part);

/* Its options as words, each with a blank before it; and what a body is padded with. */
void steps_options(const struct o_part *part, char *out, size_t size);
const char *steps_dots(void);

/* A DEDUP id (-1: none) that was used before answers what it answered then, PRODUCE (batch) in its own way.
 * True: done with. */
bool steps_repeated(int topic, int id, const char *said, bool batch);
void steps_remember(int topic, int id, const char *said);

/* ---- steps_world.c ---- */

/* Settings to begin with. */
void steps_settings(void);

/* Does one step of the list, by its place in it. */
void step_any(int op);

#endif
