/*
 * options_parse.c: defaults < environment < command line.
 *
 * `--name value`, `--name=value`; a flag alone, or `--flag=no`.
 */
#include "bench/options/options_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/options/options_settle.h"

#define NAME_MAX_BYTES 32

static const char *const kind_texts[] = {
#define KIND(name, type, what) what,
#include "bench/options/option_kind.def"
#undef KIND
};

static bool parse_complain(const char *name, const char *text, enum option_kind kind)
{
    fprintf(stderr, "halfmq-bench: %s must be %s, not '%s'\n", name, kind_texts[kind], text);
    return false;
}

static bool parse_environment(struct options *o)
{
    static const struct {
        const char *variable;
        enum option_name name;
    } known[] = {{"HALFMQ_HOST", BENCH_host}, {"HALFMQ_PORT", BENCH_port}, {"HALFMQ_CACERT", BENCH_cacert},
                 {"HALFMQ_CERT", BENCH_cert}, {"HALFMQ_KEY", BENCH_key},   {"HALFMQ_USER", BENCH_user}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *text = getenv(known[i].variable);
        if (!text || !*text)
            continue;
        if (!options_take(o, known[i].name, text))
            return parse_complain(known[i].variable, text, option_lines[known[i].name].kind);
    }
    const char *tls = getenv("HALFMQ_TLS"), *insecure = getenv("HALFMQ_INSECURE"), *password = getenv("HALFMQ_PASSWORD");
    o->tls = tls && (strcmp(tls, "1") == 0 || strcmp(tls, "required") == 0); /* the latter is the broker's setting */
    o->insecure = insecure && strcmp(insecure, "1") == 0;
    o->password = password && *password ? password : NULL;
    return true;
}

/* --key-count is key_count. False: no such flag. */
static bool parse_find(const char *flag, size_t len, size_t *ret_i)
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
static bool parse_flag(struct options *o, int argc, char **argv, int *at)
{
    const char *flag = argv[*at] + 2, *equals = strchr(flag, '=');
    size_t len = equals ? (size_t)(equals - flag) : strlen(flag), i;
    if (!parse_find(flag, len, &i)) {
        fprintf(stderr, "halfmq-bench: there is no flag %.*s; see `halfmq-bench --help`\n",
                (int)len + 2, argv[*at]);
        return false;
    }
    const char *value = equals ? equals + 1 : option_lines[i].kind == KIND_FLAG ? "yes" : NULL;
    if (!value && ++*at < argc)
        value = argv[*at];
    ++*at;
    if (!value) {
        fprintf(stderr, "halfmq-bench: --%s needs %s\n", flag, kind_texts[option_lines[i].kind]);
        return false;
    }
    o->given[i] = true;
    return options_take(o, i, value) || parse_complain(argv[*at - 1] == value ? argv[*at - 2] : argv[*at - 1],
                                                       value, option_lines[i].kind);
}

static bool parse_mode(struct options *o, const char *word)
{
    for (size_t i = 0; i < MODE_COUNT; i++) {
        if (strcmp(mode_names[i], word) == 0) {
            o->mode = (enum mode)i;
            return true;
        }
    }
    fprintf(stderr, "halfmq-bench: there is no mode '%s'; the modes are:", word);
    for (size_t i = 0; i < MODE_COUNT; i++)
        fprintf(stderr, " %s", mode_names[i]);
    fputc('\n', stderr);
    return false;
}

static bool parse_word(struct options *o, const char *word)
{
    if (o->mode == MODE_COUNT)
        return parse_mode(o, word);
    size_t i = o->files[0] ? 1 : 0;
    if (o->mode == MODE_compare && !o->files[i]) {
        o->files[i] = word;
        return true;
    }
    fprintf(stderr, "halfmq-bench: '%s' is not expected here: %s takes %s\n", word, mode_names[o->mode],
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
    if (!parse_environment(&o))
        return OPTIONS_WRONG;
    for (int at = 1; at < argc;) {
        bool ok = strncmp(argv[at], "--", 2) == 0 ? parse_flag(&o, argc, argv, &at)
                                                  : parse_word(&o, argv[at++]);
        if (!ok)
            return OPTIONS_WRONG;
    }
    if (o.mode == MODE_COUNT) {
        fputs("halfmq-bench: name a mode, for instance `halfmq-bench send`; see --help\n",
              stderr);
        return OPTIONS_WRONG;
    }
    *ret_options = o;
    return options_settle(ret_options) ? OPTIONS_RUN : OPTIONS_WRONG;
}
