/*
 * options.h: the options of a client: names and values of options.def, checked when they are set.
 *
 * Invariant: every number is within its bounds, every text is owned by the options and not NULL.
 */
#ifndef HALFMQ_CLIENTS_C_OPTIONS_H
#define HALFMQ_CLIENTS_C_OPTIONS_H

#include "clients/c/wire/errors.h"

enum choice {
#define CHOICE(name, type, initial, min, max, help) CHOICE_##name,
#include "clients/c/wire/options.def"
#undef CHOICE
    CHOICE_COUNT
};

struct transport;

#define INTERCEPTORS_MAX 4

struct interceptors {
    size_t n;
    hmq_interceptor list[INTERCEPTORS_MAX];
};

struct hmq_options {
    int64_t num[CHOICE_COUNT];
    char *text[CHOICE_COUNT]; /* TEXT only */
    const struct transport *transport; /* of net.h; NULL: the one that the options ask for */
    hmq_event_fn event_fn;
    void *event_arg;
    struct interceptors interceptors;
    hmq_log_fn log_fn;
    void *log_arg;
    enum hmq_log_level log_level;
};

/* NULL: no memory. */
struct hmq_options *options_clone(const struct hmq_options *o);

static inline int64_t options_num(const struct hmq_options *o, enum choice c)
{
    return o->num[c];
}
static inline const char *options_text(const struct hmq_options *o, enum choice c)
{
    return o->text[c];
}

#endif
