/* help.c: prints --help. The modes and flags come from their tables, the explanation is here. */
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
    "How connections, requests in flight and the rate depend on one another (Little's law):\n"
    "\n"
    "  requests in flight = requests a second x latency      64 = 32,000/s x 2 ms\n"
    "\n"
    "  Closed loop (no --rate): --inflight is fixed and the rate follows. It finds the highest\n"
    "  throughput; its latency is that of a full queue. Once the rate has stopped growing, twice\n"
    "  the --inflight gives twice the latency and nothing else.\n"
    "  Open loop (--rate): the rate is fixed and latency follows. It is counted from the moment\n"
    "  each request was meant to start, so the figures contain every stall of the broker in full.\n"
    "  It shows what users would see. Use half the rate that a closed loop reached, and set\n"
    "  --inflight well above rate x latency, so that it is only a limit. `search` finds the\n"
    "  highest rate by itself.\n"
    "  A request is synced once, however many messages it carries: --batch and --inflight make\n"
    "  syncs cheap.\n";

static const char examples[] =
    "For instance:\n"
    "  halfmq-bench send --duration 10s                        how much can it store?\n"
    "  halfmq-bench send --messages 1M --batch 1000            the same in batches\n"
    "  halfmq-bench send --rate 20k --html send.html           how long does it take at 20,000/s?\n"
    "  halfmq-bench consume --messages 1M --batch 100          and consume them again\n"
    "  halfmq-bench txn --inflight 64 --rollback 5% --undecided 1%\n"
    "  halfmq-bench e2e --rate 5k --assert 'p99<10ms'          exit status 3 if not\n"
    "  halfmq-bench verify --duration 60s                      kill -9 the broker while it runs\n"
    "  halfmq-bench verify --duration 60s --batch 100          the same with records of 100\n"
    "  halfmq-bench search --p99 5ms\n"
    "  halfmq-bench redis --port 6379 --halfmq-port 4253 --connections 50 --inflight 50\n"
    "  halfmq-bench compare before.json after.json\n"
    "\n"
    "Exit status: 0 good; 1 it could not run, there were errors, or a message was lost, doubled,\n"
    "reordered or damaged; 2 wrong usage; 3 an --assert did not hold.\n";

/* Prints a text whose second and further lines are indented. */
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
        "Puts load on a HalfMQ broker and reports rates, percentiles, and whether every message\n"
        "that was sent was delivered.\n"
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
