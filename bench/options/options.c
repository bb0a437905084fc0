/*
 * options.c: defaults < environment < command line.
 *
 * `--name value`, `--name=value`; a flag alone, or `--flag=no`. A new kind is a line in
 * option_kind.def and a reader here.
 */
#include "bench/options/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/base/units.h"
#include "bench/options/body.h"
#include "protocol/limits.h"

#define NAME_MAX_BYTES 32

const struct option_line option_lines[] = {
#define OPTION(name, kind, otherwise, argument, group, help) \
    {#name, KIND_##kind, offsetof(struct options, name), otherwise, argument, help, GROUP_##group},
#include "bench/options/option.def"
#undef OPTION
};

const char *const mode_names[] = {
#define MODE(name, words, what) #name,
#include "bench/options/mode.def"
#undef MODE
};

static const char *const kind_texts[] = {
#define KIND(name, type, what) what,
#include "bench/options/option_kind.def"
#undef KIND
};

static bool options_dist_time(const char *text, uint64_t *ret_v)
{
    int64_t ns;
    if (!units_duration(text, &ns))
        return false;
    *ret_v = (uint64_t)ns;
    return true;
}

static bool options_read_TEXT(const char *text, void *at)
{
    *(const char **)at = text;
    return true;
}

static bool options_read_COUNT(const char *text, void *at)
{
    return units_count(text, at);
}
static bool options_read_RATE(const char *text, void *at)
{
    return units_rate(text, at);
}
static bool options_read_TIME(const char *text, void *at)
{
    return units_duration(text, at);
}
static bool options_read_SHARE(const char *text, void *at)
{
    return units_share(text, at);
}
static bool options_read_SIZES(const char *text, void *at)
{
    return dist_parse(text, units_size, at);
}
static bool options_read_TIMES(const char *text, void *at)
{
    return dist_parse(text, options_dist_time, at);
}
static bool options_read_KEYS(const char *text, void *at)
{
    return keys_parse(text, at);
}

static bool options_read_FLAG(const char *text, void *at)
{
    *(bool *)at = strcmp(text, "yes") == 0;
    return *(bool *)at || strcmp(text, "no") == 0;
}

static bool options_read_LIST(const char *text, void *at)
{
    struct option_list *list = at;
    if (*text && list->n == OPTION_LIST_MAX)
        return false;
    if (*text)
        list->at[list->n++] = text;
    return true;
}

static bool (*const readers[])(const char *text, void *at) = {
#define KIND(name, type, what) options_read_##name,
#include "bench/options/option_kind.def"
#undef KIND
};

static bool options_take(struct options *o, size_t i, const char *text)
{
    const struct option_line *line = &option_lines[i];
    if (!readers[line->kind](text, (char *)o + line->offset))
        return false;
    o->said[i] = text;
    return true;
}

void options_default(struct options *o)
{
    *o = (struct options){0};
    for (size_t i = 0; i < BENCH_COUNT; i++) {
        if (!options_take(o, i, option_lines[i].otherwise))
            abort(); /* a default in option.def is not of its kind */
    }
}

static bool options_complain(const char *name, const char *text, enum option_kind kind)
{
    fprintf(stderr, "halfmq-bench: %s must be %s, not '%s'\n", name, kind_texts[kind], text);
    return false;
}

static bool options_take_environment(struct options *o)
{
    static const struct {
        const char *variable;
        enum option_name name;
    } known[] = {{"HALFMQ_HOST", BENCH_host}, {"HALFMQ_PORT", BENCH_port}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *text = getenv(known[i].variable);
        if (!text || !*text)
            continue;
        if (!options_take(o, known[i].name, text))
            return options_complain(known[i].variable, text, option_lines[known[i].name].kind);
    }
    return true;
}

/* --key-count is key_count. False: no such flag. */
static bool options_find(const char *flag, size_t len, size_t *ret_i)
{
    char name[NAME_MAX_BYTES];
    if (len >= sizeof name)
        return false;
    for (size_t i = 0; i < len; i++)
        name[i] = flag[i] == '-' ? '_' : flag[i];
    name[len] = '\0';
    for (size_t i = 0; i < BENCH_COUNT; i++) {
        if (strcmp(option_lines[i].name, name) == 0) {
            *ret_i = i;
            return true;
        }
    }
    return false;
}

/* One flag at argv[*at], with its value; moves *at past both. */
static bool options_take_flag(struct options *o, int argc, char **argv, int *at)
{
    const char *flag = argv[*at] + 2, *equals = strchr(flag, '=');
    size_t len = equals ? (size_t)(equals - flag) : strlen(flag), i;
    if (!options_find(flag, len, &i)) {
        fprintf(stderr, "halfmq-bench: there is no flag %.*s; see `halfmq-bench --help`\n",
                (int)len + 2, argv[*at]);
        return false;
    }
    const char *value = equals ? equals + 1 : option_lines[i].kind == KIND_FLAG ? "yes" : NULL;
    if (!value && ++*at < argc)
        value = argv[*at];
    ++*at;
    if (!value) {
        fprintf(stderr, "halfmq-bench: --%s wants %s\n", flag, kind_texts[option_lines[i].kind]);
        return false;
    }
    o->given[i] = true;
    return options_take(o, i, value) || options_complain(argv[*at - 1] == value ? argv[*at - 2] : argv[*at - 1],
                                                         value, option_lines[i].kind);
}

static bool options_take_mode(struct options *o, const char *word)
{
    for (size_t i = 0; i < MODE_COUNT; i++) {
        if (strcmp(mode_names[i], word) == 0) {
            o->mode = (enum mode)i;
            return true;
        }
    }
    fprintf(stderr, "halfmq-bench: there is no mode '%s'; these are:", word);
    for (size_t i = 0; i < MODE_COUNT; i++)
        fprintf(stderr, " %s", mode_names[i]);
    fputc('\n', stderr);
    return false;
}

static bool options_take_word(struct options *o, const char *word)
{
    if (o->mode == MODE_COUNT)
        return options_take_mode(o, word);
    size_t i = o->files[0] ? 1 : 0;
    if (o->mode == MODE_compare && !o->files[i]) {
        o->files[i] = word;
        return true;
    }
    fprintf(stderr, "halfmq-bench: what is '%s'? %s takes %s\n", word, mode_names[o->mode],
            o->mode == MODE_compare ? "two files" : "flags only");
    return false;
}

enum options_end options_parse(int argc, char **argv, struct options *ret_options)
{
    struct options o;
    options_default(&o);
    o.mode = MODE_COUNT;
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)
            return OPTIONS_HELP;
        if (strcmp(argv[at], "--version") == 0)
            return OPTIONS_VERSION;
    }
    if (!options_take_environment(&o))
        return OPTIONS_WRONG;
    for (int at = 1; at < argc;) {
        bool ok = strncmp(argv[at], "--", 2) == 0 ? options_take_flag(&o, argc, argv, &at)
                                                  : options_take_word(&o, argv[at++]);
        if (!ok)
            return OPTIONS_WRONG;
    }
    if (o.mode == MODE_COUNT) {
        fputs("halfmq-bench: say what to do, for instance `halfmq-bench send`; see --help\n",
              stderr);
        return OPTIONS_WRONG;
    }
    *ret_options = o;
    return options_settle(ret_options) ? OPTIONS_RUN : OPTIONS_WRONG;
}
