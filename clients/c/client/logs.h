/*
 * logs.h: lines for the application's log (hmq_options_set_log_fn). Never with a lock held: the application's function
 * runs here. Any thread.
 */
#ifndef HALFMQ_CLIENTS_C_LOGS_H
#define HALFMQ_CLIENTS_C_LOGS_H

#include "clients/c/halfmq.h"

/* Says it where the application wants lines of this level. Longer than HMQ_ERROR_TEXT_SIZE, it is cut. Secrets never. */
void logs_say(const struct hmq_client *c, enum hmq_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
