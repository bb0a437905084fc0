/* steps.h: the steps of a history (steps.def), each a function that chooses by `below`. */
#ifndef HALFMQ_TESTS_SIM_STEPS_H
#define HALFMQ_TESTS_SIM_STEPS_H

#include "tests/sim/world.h"

#define STEP(name, weight) void step_##name(void);
#include "tests/sim/steps.def"
#undef STEP

/* Settings to begin with. */
void steps_settings(void);

/* Does one step of the list, by its place in it. */
void step_any(int op);

#endif
