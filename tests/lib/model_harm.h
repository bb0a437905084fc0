/* model_harm.h: damages what is stored, and notes it in the model. */
#ifndef HALFMQ_TESTS_MODEL_HARM_H
#define HALFMQ_TESTS_MODEL_HARM_H

#include "tests/lib/model.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

/* Damages a stored record, whose messages are lost then, or a row of the directory, which costs nothing but time. Never
 * both of one record: then nobody could tell where its messages end. To be called between groups. */
void model_harm(struct model *m, struct shell *s, struct prng *p);

/* Lets one of the next few reads fail, or find damage. True: damage, which the store takes for a loss for good, while it
 * will be there again: the group must be given up. model_harm_over: no read or write fails any more. */
bool model_harm_read(struct shell *s, struct prng *p);
void model_harm_over(struct shell *s);

#endif
