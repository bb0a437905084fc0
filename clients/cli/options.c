/*
 * options.c: reads the options; defaults < environment < command line.
 *
 * A new option is a line in `long_options`, a case in options_take() and a line in the help text (help.c).
 */
#include "clients/cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/text.h"

#define TIMEOUT_MS_DEFAULT 10000

static const struct variable {
    const char *word;
    int letter;
} environment[] = {{"HALFMQ_HOST", 'H'}, {"HALFMQ_PORT", 'p'}, {"HALFMQ_TLS", 'T'},  {"HALFMQ_CACERT", 'A'},
                   {"HALFMQ_CERT", 'C'}, {"HALFMQ_KEY", 'K'},  {"HALFMQ_INSECURE", 'I'}, {"HALFMQ_USER", 'u'},
                   {"HALFMQ_PASSWORD_FILE", 'F'}, {"HALFMQ_PASSWORD", 'P'}};

static const struct option long_options[] = {
    {"host", required_argument, NULL, 'H'},
    {"port", required_argument, NULL, 'p'},
    {"json", no_argument, NULL, 'j'},
    {"timeout", required_argument, NULL, 't'},
    {"tls", no_argument, NULL, 's'},
    {"cacert", required_argument, NULL, 'A'},
    {"cert", required_argument, NULL, 'C'},
    {"key", required_argument, NULL, 'K'},
    {"insecure", no_argument, NULL, 'i'},
    {"user", required_argument, NULL, 'u'},
    {"password-file", required_argument, NULL, 'F'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {NULL, 0, NULL, 0},
};

static bool options_port(struct cli_options *o, const char *source, const char *text)
{
    uint64_t port;
    if (!text_uint(slice_str(text), &port) || port < 1 || port > 65535) {
        fprintf(stderr, "halfmq: %s must be a port from 1 to 65535, not '%s'\n", source, text);
        return false;
    }
    o->port = (int)port;
    return true;
}

static bool options_host(struct cli_options *o, const char *source, const char *text)
{
    if (!*text) {
        fprintf(stderr, "halfmq: %s is empty; give a name or an address\n", source);
        return false;
    }
    o->host = text;
    return true;
}

static bool options_timeout(struct cli_options *o, const char *source, const char *text)
{
    int64_t ms;
    if (!text_duration(slice_str(text), &ms) || ms < 1) {
        fprintf(stderr, "halfmq: %s must be a duration such as 500ms or 10s, not '%s'\n", source,
                text);
        return false;
    }
    o->timeout_ms = ms;
    return true;
}

/* A variable that is 1 or 0. */
static bool options_switch(bool *to, const char *source, const char *text)
{
    if (strcmp(text, "1") != 0 && strcmp(text, "0") != 0) {
        fprintf(stderr, "halfmq: %s must be 1 or 0, not '%s'\n", source, text);
        return false;
    }
    *to = text[0] == '1';
    return true;
}

/* HALFMQ_TLS is the broker's setting `tls`, too, where both have the same environment. */
static bool options_tls(struct cli_options *o, const char *source, const char *text)
{
    bool optional = strcmp(text, "optional") == 0, required = strcmp(text, "required") == 0;
    return optional || options_switch(&o->tls, source, required ? "1" : text);
}

static bool options_take(struct cli_options *o, int letter, const char *source, const char *text)
{
    switch (letter) {
    case 'H': return options_host(o, source, text);
    case 'p': return options_port(o, source, text);
    case 't': return options_timeout(o, source, text);
    case 'j': o->json = true; return true;
    case 's': o->tls = true; return true;
    case 'i': o->insecure = true; return true;
    case 'T': return options_tls(o, source, text);
    case 'I': return options_switch(&o->insecure, source, text);
    case 'A': o->cacert = text; return true;
    case 'C': o->cert = text; return true;
    case 'K': o->key = text; return true;
    case 'u': o->user = text; return true;
    case 'P': o->password = text; return true;
    case 'F': o->password_file = text; o->password = NULL; return true;
    case 'h': o->action = ACTION_HELP; return true;
    case 'v': o->action = ACTION_VERSION; return true;
    default: return false; /* getopt_long has said what it does not know */
    }
}

static bool options_take_environment(struct cli_options *o)
{
    for (size_t i = 0; i < sizeof environment / sizeof *environment; i++) {
        const char *value = getenv(environment[i].word);
        if (value && *value && !options_take(o, environment[i].letter, environment[i].word, value))
            return false;
    }
    return true;
}

static const char *option_name(int letter)
{
    return letter == 'H' ? "--host" : letter == 'p' ? "--port" : "--timeout";
}

bool options_parse(int argc, char **argv, struct cli_options *ret_options)
{
    struct cli_options o = {
        .host = "127.0.0.1", .port = PORT_DEFAULT, .timeout_ms = TIMEOUT_MS_DEFAULT};
    if (!options_take_environment(&o))
        return false;
    for (;;) {
        int letter = getopt_long(argc, argv, "+h", long_options, NULL);
        if (letter < 0)
            break;
        if (!options_take(&o, letter, option_name(letter), optarg)) {
            fputs("halfmq: see `halfmq --help`\n", stderr);
            return false;
        }
    }
    if (!o.cert != !o.key) {
        fputs("halfmq: --cert and --key are only used together\n", stderr);
        return false;
    }
    o.first_word = optind;
    *ret_options = o;
    return true;
}
