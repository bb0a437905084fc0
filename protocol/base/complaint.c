/* complaint.c: writes the sentence of a refusal into the caller's memory. */
#include "protocol/base/complaint.h"

#include <stdarg.h>
#include <stdio.h>

enum status complain(struct complaint c, enum status s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(c.text, c.size, fmt, ap);
    va_end(ap);
    if (n < 0 && c.size)
        c.text[0] = '\0';
    return s;
}
