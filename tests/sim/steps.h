/* steps.h: the steps of a history (steps.def). Each is a function that makes its random choices with `below`. */
#ifndef HALFMQ_TESTS_SIM_STEPS_H
#define HALFMQ_TESTS_SIM_STEPS_H

#include "tests/sim/world.h"

#define STEP(name, weight) void step_##name(void);
#include "tests/sim/steps.def"
#undef STEP

/* ---- steps_message.c ---- */

/* Makes a random message for a random topic. */
void steps_part(struct o_part *part);

/* Writes its options as words, each after a blank. steps_dots: the bytes that bodies are padded with. */
void steps_options(const struct o_part *part, char *out, size_t size);
const char *steps_dots(void);

/* If the command has used the DEDUP id (-1: none) before, checks that the reply is the one of that time. True: it has,
 * and the reply is judged. */
bool steps_repeated(int topic, enum o_command command, int id, const char *said);
void steps_remember(int topic, enum o_command command, int id, const char *said);

/* ---- steps_world.c ---- */

/* Sets the settings that a history starts with. */
void steps_settings(void);

/* Does the step with that place in steps.def. */
void step_any(int op);

#endif
