/* facts.c: keeps facts in a list, in the order in which they were added. */
#include "bench/measure/facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void facts_add(struct facts *f, const char *name, const char *fmt, ...)
{
    va_list args;
    if (f->n == FACTS_MAX)
        return;
    struct fact *fact = &f->at[f->n];
    snprintf(fact->name, sizeof fact->name, "%s", name);
    va_start(args, fmt);
    vsnprintf(fact->text, sizeof fact->text, fmt, args);
    va_end(args);
    f->n += fact->text[0] != '\0';
}

const char *facts_get(const struct facts *f, const char *name)
{
    for (unsigned i = 0; i < f->n; i++) {
        if (strcmp(f->at[i].name, name) == 0)
            return f->at[i].text;
    }
    return NULL;
}
