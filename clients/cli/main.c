/*
 * main.c: the program `halfmq`: reads its options and runs one command, or those of a terminal or a pipe.
 *
 *   options.c ──► run.c ──► conn.c ──► broker        (one command)
 *                 ▲    └──► show.c ◄── view.c
 *                 prompt.c or run_lines               (no words)
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients/cli/help.h"
#include "clients/cli/password.h"
#include "clients/cli/prompt.h"
#include "clients/cli/run.h"
#include "clients/cli/secret.h"
#include "halfmq_version.h"

static enum exit_code run_argv(struct cli_run *run, int argc, char **argv)
{
    size_t n = (size_t)(argc - run->options.first_word);
    struct slice *words = calloc(n, sizeof *words);
    if (!words) {
        fputs("halfmq: out of memory\n", stderr);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < n; i++)
        words[i] = slice_str(argv[run->options.first_word + (int)i]);
    enum exit_code e = EXIT_USAGE;
    if (secret_hide(words, n))
        e = run_words(run, words, n);
    else
        fputs("halfmq: out of memory\n", stderr);
    secret_forget(words, n, argv + run->options.first_word);
    free(words);
    return e;
}

/* Reads the password, if there is a user or a file and no password yet. It stays until the process ends. */
static enum exit_code take_password(struct cli_options *o, struct buf *password)
{
    enum exit_code e = EXIT_DONE;
    if (o->password || (!o->password_file && !(o->user && isatty(STDIN_FILENO))))
        return EXIT_DONE;
    if (o->password_file)
        e = password_from_file(slice_str(o->password_file), password);
    else
        e = password_ask(slice_str(o->user), false, password);
    buf_put_u8(password, 0);
    if (e == EXIT_DONE && password->failed) {
        fputs("halfmq: out of memory\n", stderr);
        return EXIT_USAGE;
    }
    o->password = (const char *)password->data;
    return e;
}

static enum exit_code run_all(struct cli_run *run, int argc, char **argv)
{
    if (run->options.first_word < argc)
        return run_argv(run, argc, argv);
    if (isatty(STDIN_FILENO))
        return prompt_run(run);
    return run_lines(run, stdin);
}

int main(int argc, char **argv)
{
    struct cli_run run = {.stdin_is_free = true};
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN); /* a write that fails is handled where it happens */
    if (!options_parse(argc, argv, &run.options))
        return EXIT_USAGE;
    if (run.options.action == ACTION_HELP) {
        help_program();
        return EXIT_DONE;
    }
    if (run.options.action == ACTION_VERSION) {
        puts("halfmq " HALFMQ_VERSION);
        return EXIT_DONE;
    }
    run.conn.options = &run.options;
    struct buf password;
    buf_init(&password, 0);
    enum exit_code e = take_password(&run.options, &password);
    if (e == EXIT_DONE)
        e = run_all(&run, argc, argv);
    conn_close(&run.conn);
    password_forget(&password);
    return (int)e;
}
