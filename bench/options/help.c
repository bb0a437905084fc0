/* help.c: the modes and flags come from their tables, the lesson stands here. */
#include "bench/options/help.h"

#include <stdio.h>
#include <string.h>

#include "bench/options/options.h"

#define FLAG_COLUMNS 24

static const struct {
    const char *name, *words, *what;
} modes[] = {
#define MODE(name, words, what) {#name, words, what},
#include "bench/options/mode.def"
#undef MODE
};

static const char *const groups[] = {
    [GROUP_WHERE] = "Where:",
    [GROUP_LOAD] = "What load:",
    [GROUP_SEARCH] = "For search and redis:",
    [GROUP_REPORT] = "What to report (a table goes to standard output):",
    [GROUP_MACHINE] = "The tester itself:",
};

static const char lesson[] =
    "Connections, requests under way and rate hang together (Little's law):\n"
    "\n"
    "  requests under way = requests a second x latency      64 = 32,000/s x 2 ms\n"
    "\n"
    "  Closed loop (no --rate): --inflight is fixed and the rate follows. It finds the highest\n"
    "  throughput; its latency is that of a full queue. Twice the --inflight beyond the point "
    "where the\n"
    "  rate stops growing gives twice the latency and nothing else.\n"
    "  Open loop (--rate): the rate is fixed and latency follows, counted from the moment each "
    "request\n"
    "  was meant to start, so a stall of the broker is in the figures in full. Ask it what users "
    "would\n"
    "  see. Take half of what a closed loop reached, and --inflight well above rate x latency: it "
    "is\n"
    "  only a bound then. `search` looks for the highest rate by itself.\n"
    "  One request syncs once, however much it brings: --batch and --inflight make syncs cheap.\n";

static const char examples[] =
    "For instance:\n"
    "  halfmq-bench send --duration 10s                        how much can it store?\n"
    "  halfmq-bench send --messages 1M --batch 1000            the same in batches\n"
    "  halfmq-bench send --rate 20k --html send.html           how long does it take at 20,000/s?\n"
    "  halfmq-bench consume --messages 1M --batch 100          and take it out again\n"
    "  halfmq-bench txn --inflight 64 --rollback 5% --undecided 1%\n"
    "  halfmq-bench e2e --rate 5k --assert 'p99<10ms'          exit status 3 if not\n"
    "  halfmq-bench verify --duration 60s                      kill -9 the broker meanwhile\n"
    "  halfmq-bench verify --duration 60s --batch 100          the same with records of 100\n"
    "  halfmq-bench search --p99 5ms\n"
    "  halfmq-bench redis --port 6379 --halfmq-port 4253 --connections 50 --inflight 50\n"
    "  halfmq-bench compare before.json after.json\n"
    "\n"
    "Exit status: 0 good; 1 it could not run, or there were errors, or something was lost, "
    "doubled,\n"
    "reordered or damaged; 2 wrong usage; 3 an --assert did not hold.\n";

/* The lines of a text after the first begin under it. */
static void put_lines(const char *text, int indent)
{
    for (const char *c = text; *c; c++) {
        putchar(*c);
        if (*c == '\n')
            printf("%*s", indent, "");
    }
}

static void put_flag(const struct option_row *line)
{
    char flag[48];
    int n = snprintf(flag, sizeof flag, "  --%s %s", line->name, line->argument);
    for (char *c = flag + 4; *c && *c != ' '; c++)
        *c = *c == '_' ? '-' : *c;
    printf("%s%*s", flag, n < FLAG_COLUMNS ? FLAG_COLUMNS - n : 1, "");
    put_lines(line->help, FLAG_COLUMNS);
    bool said = line->kind == KIND_FLAG || !*line->otherwise || strcmp(line->otherwise, "0") == 0;
    if (!said)
        printf("%s(%s)", *line->help ? " " : "", line->otherwise);
    putchar('\n');
}

void help_print(void)
{
    fputs(
        "Usage: halfmq-bench MODE [--flag value ...]\n"
        "\n"
        "Puts load on a HalfMQ broker and tells what came of it: rates, percentiles, and whether\n"
        "everything that went in came out.\n"
        "\n"
        "Modes:\n",
        stdout);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char head[40];
        snprintf(head, sizeof head, "  %s %s", modes[i].name, modes[i].words);
        printf("%-*s", FLAG_COLUMNS, head);
        put_lines(modes[i].what, FLAG_COLUMNS);
        putchar('\n');
    }
    for (int g = 0; g < GROUP_COUNT; g++) {
        printf("\n%s\n", groups[g]);
        for (size_t i = 0; i < BENCH_COUNT; i++) {
            if (option_lines[i].group == g)
                put_flag(&option_lines[i]);
        }
    }
    printf("\n%s\n%s", lesson, examples);
}
