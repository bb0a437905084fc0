/*
 * help.c: prints the help texts; see help.h. Every line fits 100 columns; tests/integration/test_cli.py counts them.
 */
#include "clients/cli/help.h"

#include <stdio.h>
#include <string.h>

#include "clients/cli/shorthand.h"
#include "clients/cli/tail.h"
#include "protocol/command/command.h"

#define COLUMNS 96

static const char program_text[] =
    "Usage: halfmq [options] command words...     one command\n"
    "       halfmq [options]                      a prompt, or one command a line of standard input\n"
    "       halfmq help [command]                 explains a command\n"
    "\n"
    "The command-line client of HalfMQ, a message broker with half messages.\n"
    "\n"
    "Options (before the command; every word after it goes to the broker):\n"
    "  --host HOST     where the broker is; default HALFMQ_HOST, else 127.0.0.1;\n"
    "                  unix:PATH is a Unix socket (the setting unix_socket)\n"
    "  --port PORT     its port; default HALFMQ_PORT, else 4253\n"
    "  --tls           encrypts; or HALFMQ_TLS=1\n"
    "  --cacert FILE   whom to trust (PEM); default HALFMQ_CACERT, else the system's authorities\n"
    "  --cert FILE --key FILE   an own certificate (PEM); default HALFMQ_CERT, HALFMQ_KEY\n"
    "  --insecure      does not look whose certificate it is; or HALFMQ_INSECURE=1\n"
    "  --user NAME     logs in with the password HALFMQ_PASSWORD, or asks for it at a terminal; default\n"
    "                  HALFMQ_USER\n"
    "  --password-file FILE   has the password on its first line; default HALFMQ_PASSWORD_FILE\n"
    "  --json          prints each reply as one JSON value on one line\n"
    "  --timeout DUR   how long to wait for the broker, beyond a command's WAIT; default 10s\n"
    "  --help          prints this text\n"
    "  --version       prints the version\n"
    "\n"
    "The most common commands; `halfmq help` lists all of them:\n"
    "  send topic body          stores a message; body `-` reads standard input, --file NAME a file\n"
    "  half pgroup topic body   stores a half message, which is invisible until it is committed\n"
    "  commit, rollback txid    decides a transaction\n"
    "  pop group topic          receives messages, each with a lease and a receipt\n"
    "  ack group receipt        acknowledges a message\n"
    "  read topic queue offset  shows messages without receiving them\n"
    "  tail topic               follows a topic as it grows; ^C stops\n"
    "  lag, topic, group        tables of groups and topics\n"
    "  dlq group                its dead letters; redrive group gives them back\n"
    "  delayed topic            messages that wait for their time\n"
    "  find topic key           messages with a key\n"
    "  leases group             who has what; seek group topic to moves the group\n"
    "  acl, acl user            the users and their rules; acl setuser user rules changes one\n"
    "  txn txid, info           describes a transaction, or the broker\n"
    "\n"
    "To try it:\n"
    "  halfmqd &\n"
    "  halfmq send orders 'my first order'\n"
    "  halfmq pop billing orders\n"
    "  halfmq ack billing orders:0:0#1           (with the receipt that pop printed)\n"
    "  halfmq lag\n"
    "\n"
    "Exit codes: 0 done; 1 the broker refused, `CODE text` is on standard error; 2 wrong usage;\n"
    "3 no connection. `halfmq help command` explains a command and its options.\n";

void help_program(void)
{
    fputs(program_text, stdout);
}

static const struct {
    enum command_id id;
    const char *what, *words;
} examples[] = {
#define EXAMPLE(id, what, words) {CMD_##id, what, words},
#include "clients/cli/example.def"
#undef EXAMPLE
};

/* Prints the text, wrapped at COLUMNS; lines after the first are indented. */
static void help_print_wrapped(struct slice text, size_t indent)
{
    struct cursor c = cursor_of(text);
    size_t column = 0;
    while (cursor_left(&c) > 0) {
        const uint8_t *blank = memchr(c.at, ' ', cursor_left(&c));
        struct slice word = cursor_bytes(&c, blank ? (size_t)(blank - c.at) : cursor_left(&c));
        cursor_bytes(&c, blank ? 1 : 0);
        if (column > 0 && column + 1 + word.len > COLUMNS)
            column = (size_t)printf("\n%*s", (int)indent, "") - 1;
        else if (column > 0)
            column += (size_t)printf(" ");
        column += (size_t)printf("%.*s", (int)word.len, (const char *)word.data);
    }
    putchar('\n');
}

static void help_explain(const struct command_info *info)
{
    struct buf usage;
    buf_init(&usage, 0);
    command_usage(info, &usage);
    if (!usage.failed)
        help_print_wrapped(buf_slice(&usage), 4);
    buf_free(&usage);
    printf("    %s\n", info->summary);
    if (info->kind == KIND_LATER)
        puts("    (this version of the broker does not support the command yet)");
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        if (examples[i].id == info->id)
            printf("    $ halfmq %s\n        # %s\n", examples[i].words, examples[i].what);
    }
}

static bool help_matches(const struct command_info *info, const struct slice *words, size_t n)
{
    struct slice name = slice_str(info->words);
    const uint8_t *blank = memchr(name.data, ' ', name.len);
    size_t first = blank ? (size_t)(blank - name.data) : name.len;
    if (info->kind == KIND_INNER || !slice_equal_nocase(words[0], slice_of(name.data, first)))
        return false;
    return n == 1 || !blank ||
           slice_equal_nocase(words[1], slice_of(blank + 1, name.len - first - 1));
}

static void help_list_shorthands(void)
{
    struct slice word, command;
    const char *what;
    for (size_t i = 0; shorthand_at(i, &word, &command, &what); i++)
        printf("  %-16.*s %s\n", (int)word.len, (const char *)word.data, what);
}

static void help_list_all(void)
{
    for (int id = 0; id < COMMAND_COUNT; id++) {
        const struct command_info *info = command_info((enum command_id)id);
        if (info->kind != KIND_INNER)
            printf("  %-16s %s\n", info->words, info->summary);
    }
    printf("  %-16s %s\n", "TAIL", "follows a topic as it grows (a command of this program)");
    help_list_shorthands();
    puts("`halfmq help command` explains a command; upper and lower case are the same.");
}

/* SEEK as GROUP SEEK; other words as they are. */
static size_t help_written_out(const struct slice *words, size_t n, struct slice *out)
{
    struct slice word, command;
    const char *what;
    n = n < 2 ? n : 2;
    memcpy(out, words, n * sizeof *words);
    for (size_t i = 0; shorthand_at(i, &word, &command, &what); i++)
        if (slice_equal_nocase(words[0], word))
            return shorthand_expand(words, 1, out);
    return n;
}

enum exit_code help_command(const struct slice *words, size_t n)
{
    size_t found = 0;
    if (n == 0) {
        help_list_all();
        return EXIT_DONE;
    }
    if (slice_equal_nocase(words[0], SLICE_LIT("TAIL"))) {
        tail_help();
        return EXIT_DONE;
    }
    struct slice all[2 + SHORTHAND_WORDS_MORE];
    n = help_written_out(words, n, all);
    for (int id = 0; id < COMMAND_COUNT; id++) {
        const struct command_info *info = command_info((enum command_id)id);
        if (!help_matches(info, all, n))
            continue;
        if (found++ > 0)
            putchar('\n');
        help_explain(info);
    }
    if (found > 0)
        return EXIT_DONE;
    fprintf(stderr, "halfmq: there is no command '%.*s'; `halfmq help` lists them\n",
            (int)words[0].len, (const char *)words[0].data);
    return EXIT_USAGE;
}
