/* troubles.c: counts error texts. Two texts are the same error if their first ALIKE_BYTES are equal: ids and keys
 * further on do not matter. */
#include "bench/measure/troubles.h"

#include <stdio.h>

#include "protocol/base/text.h"

#define ALIKE_BYTES 32

void troubles_init(struct troubles *t)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->lock, NULL); /* without attributes it cannot fail */
}

void troubles_fini(struct troubles *t)
{
    pthread_mutex_destroy(&t->lock);
}

void troubles_note(struct troubles *t, struct slice text)
{
    char quoted[TROUBLE_BYTES];
    text_quote(text, TROUBLE_BYTES - 8, quoted, sizeof quoted);
    pthread_mutex_lock(&t->lock);
    unsigned i = 0;
    while (i < t->n && strncmp(t->at[i].text, quoted, ALIKE_BYTES) != 0)
        i++;
    if (i == t->n && i < TROUBLES_MAX)
        snprintf(t->at[t->n++].text, TROUBLE_BYTES, "%s", quoted);
    if (i < t->n)
        t->at[i].times++;
    pthread_mutex_unlock(&t->lock);
}

void troubles_fatal(struct troubles *t, const char *text)
{
    pthread_mutex_lock(&t->lock);
    if (!t->fatal[0])
        snprintf(t->fatal, sizeof t->fatal, "%s", text);
    pthread_mutex_unlock(&t->lock);
}
