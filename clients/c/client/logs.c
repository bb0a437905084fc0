/* logs.c: passes lines on to the application; see logs.h. */
#include "clients/c/client/logs.h"

#include <stdarg.h>
#include <stdio.h>

#include "clients/c/client/client_inner.h"

void logs_say(const struct hmq_client *c, enum hmq_log_level level, const char *fmt, ...)
{
    const struct hmq_options *o = c->options;
    char line[HMQ_ERROR_TEXT_SIZE];
    if (!o->log_fn || level > o->log_level)
        return;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (n >= 0)
        o->log_fn(o->log_arg, level, line);
}
