/*
 * options.h: the options before the command, and the environment variables.
 *
 *   halfmq [--host h] [--port p] [--tls] [--json] ... command words
 *          └───────────── options ──────────────────┘ └─ as they are ─┘
 *
 * The options end at the first word that is none, so that a body may begin with dashes.
 */
#ifndef HALFMQ_CLIENTS_CLI_OPTIONS_H
#define HALFMQ_CLIENTS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Exit codes of the process; the help text explains them. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* the broker replied with an error */
    EXIT_USAGE = 2, /* the command line is wrong; nothing was sent */
    EXIT_NO_BROKER = 3, /* no connection, or it was lost before the reply */
    EXIT_INTERRUPTED = 130
};

enum options_action { ACTION_RUN, ACTION_HELP, ACTION_VERSION };

struct cli_options {
    enum options_action action;
    const char *host;
    int port; /* 1..65535 */
    bool json;
    bool tls, insecure;
    const char *cacert, *cert, *key; /* PEM files; NULL: none */
    const char *user, *password; /* NULL: none */
    const char *password_file; /* has the password on its first line; NULL: none */
    int64_t timeout_ms; /* for connecting, and for a reply, in addition to WAIT */
    int first_word; /* index into argv */
};

/* False: they are wrong, and standard error says what. The strings point into argv and the
 * environment. */
bool options_parse(int argc, char **argv, struct cli_options *ret_options);

#endif
