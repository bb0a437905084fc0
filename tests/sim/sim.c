/*
 * sim.c: plays histories of transactions in a simulated system (world.h) and judges them with an oracle
 * (oracle.h). Each history follows from one seed.
 *
 *   SIM_SEED=n      the first seed (1 by default: the same histories every time)
 *   SIM_SEEDS=k     how many histories (some hundreds by default; `make sim` plays thousands)
 *   SIM_STEPS=a,b   plays only these steps of the history SIM_SEED
 *   SIM_SHRINK=0    does not shorten a history that fails
 *   SIM_TRACE=1     prints every step at once, not only the last lines before a failure
 *
 * Histories are played in child processes, so that a crash is found like any other failure. The first history
 * that fails is shortened (steps are left out as long as the same complaint comes) and printed.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tmpdir.h"
#include "tests/sim/steps.h"

#define SEEDS_DEFAULT 300
#define STEPS_MAX 240
#define SHRINK_MAX 600 /* tries */
#define BATCH 25       /* histories a process */
#define PATIENCE_S 120 /* for those */
#define ENDLESS "it does not end"

struct step {
    int op;
    uint64_t seed;
    bool left_out;
};

struct history {
    uint64_t seed;
    uint32_t n;
    struct step steps[STEPS_MAX];
};

/* Shared with the child process: which history it plays, and what it complained of. */
static struct report {
    uint64_t seed;
    bool quiet;
    char what[200];
} *report;

static const struct {
    int weight;
} weights[] = {
#define STEP(name, weight) {weight},
#include "tests/sim/steps.def"
#undef STEP
};

static int any_op(struct prng *p)
{
    int total = 0, op = 0;
    for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++)
        total += weights[i].weight;
    int at = (int)prng_below(p, (uint64_t)total);
    while (at >= weights[op].weight)
        at -= weights[op++].weight;
    return op;
}

static void history_make(struct history *h, uint64_t seed)
{
    /* Mixed, so that neighbouring seeds give different histories: with a multiple of prng_next's own step, each
     * history would be the previous one, shifted by a number. */
    struct prng p = prng_from(seed);
    p = prng_from(prng_next(&p));
    *h = (struct history){.seed = seed, .n = 40 + (uint32_t)prng_below(&p, STEPS_MAX - 40)};
    for (uint32_t i = 0; i < h->n; i++) {
        int op = any_op(&p);
        h->steps[i] = (struct step){.op = op, .seed = prng_next(&p)};
    }
}

static void complain(const char *what)
{
    (void)snprintf(report->what, sizeof(report->what), "%s", what);
    if (!report->quiet)
        world_tell(what);
    _exit(3);
}

static void history_play(const struct history *h)
{
    world_begin(h->seed);
    steps_settings();
    for (uint32_t i = 0; i < h->n; i++) {
        if (h->steps[i].left_out)
            continue;
        w.step = i;
        w.p = prng_from(h->steps[i].seed);
        step_any(h->steps[i].op);
    }
    w.doing = "ending";
    world_settle();
    audit(false);
    world_end();
}

/* Runs f in a child process with a folder of its own. True: it ended without a complaint. */
static bool in_process(void (*f)(const struct history *h, uint64_t seed, uint64_t n), const struct history *h,
                       uint64_t seed, uint64_t n)
{
    char *folder = tmpdir_new();
    int status = 0;
    report->what[0] = 0;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)setenv("TMPDIR", folder, 1);
        oracle_complain = complain;
        (void)alarm(PATIENCE_S);
        if (report->quiet && !freopen("/dev/null", "w", stderr))
            _exit(4);
        f(h, seed, n);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    tmpdir_remove(folder);
    if (pid > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        (void)snprintf(report->what, sizeof(report->what), ENDLESS);
    else if (pid > 0 && WIFSIGNALED(status))
        (void)snprintf(report->what, sizeof(report->what), "killed by signal %d", WTERMSIG(status));
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void play_one(const struct history *h, uint64_t seed, uint64_t n)
{
    (void)seed, (void)n;
    history_play(h);
}

static void play_many(const struct history *h, uint64_t seed, uint64_t n)
{
    static struct history made;
    (void)h;
    for (uint64_t i = 0; i < n; i++) {
        report->seed = seed + i;
        history_make(&made, seed + i);
        history_play(&made);
    }
}

static uint32_t kept(const struct history *h)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->n; i++)
        n += !h->steps[i].left_out;
    return n;
}

/* Leaves out `size` more steps, starting at `from`. True: the history still fails with the same complaint. */
static bool still_fails(struct history *h, uint32_t from, uint32_t size, const char *what)
{
    static struct history shorter;
    shorter = *h;
    for (uint32_t i = from; i < h->n && size > 0; i++) {
        size -= !shorter.steps[i].left_out;
        shorter.steps[i].left_out = true;
    }
    if (in_process(play_one, &shorter, 0, 0) || strcmp(report->what, what) != 0)
        return false;
    *h = shorter;
    return true;
}

/* Leaves out halves, then quarters, and so on down to single steps, each time from the end to the beginning. */
static bool shrink(struct history *h)
{
    char what[sizeof(report->what)];
    uint32_t tries = 0;
    report->quiet = true;
    if (in_process(play_one, h, 0, 0)) {
        (void)fprintf(stderr, "SIM_SEED=%llu does not fail again: the store's own threads have a part in it\n",
                      (unsigned long long)h->seed);
        return false;
    }
    memcpy(what, report->what, sizeof(what));
    for (uint32_t size = kept(h) / 2; size > 0 && tries < SHRINK_MAX; size = size == 1 ? 0 : size / 2)
        for (uint32_t at = h->n; at > 0 && tries < SHRINK_MAX;) {
            at = at > size ? at - size : 0;
            if (h->steps[at].left_out)
                continue;
            tries++;
            (void)still_fails(h, at, size, what);
        }
    report->quiet = false;
    return true;
}

static void tell(struct history *h)
{
    if (!shrink(h))
        return;
    (void)fprintf(stderr, "\n---- %u of %u steps are enough: SIM_SEED=%llu SIM_STEPS=", kept(h), h->n,
                  (unsigned long long)h->seed);
    const char *comma = "";
    for (uint32_t i = 0; i < h->n; i++) {
        if (h->steps[i].left_out)
            continue;
        (void)fprintf(stderr, "%s%u", comma, i);
        comma = ",";
    }
    (void)fprintf(stderr, "\n");
    (void)in_process(play_one, h, 0, 0);
}

/* Keeps only the steps that are listed, as in "3,17,20". */
static void leave_out(struct history *h, const char *steps)
{
    for (uint32_t i = 0; i < h->n; i++)
        h->steps[i].left_out = true;
    for (const char *at = steps; isdigit((unsigned char)*at);) {
        char *end = NULL;
        unsigned long step = strtoul(at, &end, 10);
        if (step < h->n)
            h->steps[step].left_out = false;
        at = *end == ',' ? end + 1 : end;
    }
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    static struct history h;
    uint64_t first = number_of("SIM_SEED", 1);
    uint64_t n = number_of("SIM_SEEDS", getenv("SIM_SEED") ? 1 : SEEDS_DEFAULT);
    /* There are thousands of restarts, so the folder is in memory if possible. */
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        return 99;
    w.trace = getenv("SIM_TRACE") != NULL;
    if (getenv("SIM_STEPS")) {
        history_make(&h, first);
        leave_out(&h, getenv("SIM_STEPS"));
        return in_process(play_one, &h, 0, 0) ? 0 : 1;
    }
    for (uint64_t i = 0; i < n; i += BATCH) {
        if (in_process(play_many, NULL, first + i, n - i < BATCH ? n - i : BATCH))
            continue;
        (void)fprintf(stderr, "SIM_SEED=%llu: %s\n", (unsigned long long)report->seed, report->what);
        history_make(&h, report->seed);
        if (number_of("SIM_SHRINK", 1) && strcmp(report->what, ENDLESS) != 0)
            tell(&h);
        return 1;
    }
    (void)printf("%llu histories from SIM_SEED=%llu on\n", (unsigned long long)n, (unsigned long long)first);
    return 0;
}
