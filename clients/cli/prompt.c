/*
 * prompt.c: reads commands from a terminal with libedit; see prompt.h.
 *
 * History is kept in $XDG_STATE_HOME/halfmq_history, or else in ~/.halfmq_history, readable by its
 * owner only. Lines with a password (secret.h), and those that begin with a space, are not kept.
 *
 * Tab completes a word if one fits, or as far as all that fit agree; else it lists them.
 */
#include "clients/cli/prompt.h"

#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/cli/complete.h"
#include "clients/cli/secret.h"

#define HISTORY_LINES 1000
#define WORD_BYTES 64

struct prompt {
    EditLine *el;
    History *history;
    char path[4096]; /* of the history file; "": none */
    char text[300];
};

/* The words that fit, and how far they agree. */
struct fitting {
    size_t n;
    size_t common;
    char word[WORD_BYTES];
    bool list; /* second round: print them */
};

static char *prompt_text(EditLine *el)
{
    struct prompt *p = NULL;
    el_get(el, EL_CLIENTDATA, &p);
    return p->text;
}

static void prompt_take_fitting(void *arg, struct slice word)
{
    struct fitting *f = arg;
    if (f->list) {
        printf("  %.*s", (int)word.len, (const char *)word.data);
    } else if (f->n++ == 0) {
        f->common = word.len < WORD_BYTES ? word.len : WORD_BYTES - 1;
        memcpy(f->word, word.data, f->common);
    } else {
        size_t same = 0;
        while (same < f->common && same < word.len && f->word[same] == (char)word.data[same])
            same++;
        f->common = same;
    }
}

/* Inserts the rest of the word, in the case of what is typed. */
static void prompt_insert(EditLine *el, struct fitting *f, struct slice typed)
{
    bool lower = typed.len == 0 || (typed.data[0] >= 'a' && typed.data[0] <= 'z');
    for (size_t i = 0; lower && i < f->common; i++) {
        if (f->word[i] >= 'A' && f->word[i] <= 'Z')
            f->word[i] = (char)(f->word[i] + 32);
    }
    f->word[f->common] = '\0';
    el_insertstr(el, f->word + typed.len);
    if (f->n == 1)
        el_insertstr(el, " ");
}

static unsigned char prompt_complete(EditLine *el, int ch)
{
    (void)ch;
    const LineInfo *line = el_line(el);
    struct slice before = slice_of(line->buffer, (size_t)(line->cursor - line->buffer));
    struct fitting f = {0};
    size_t typed = 0;
    complete_line(before, prompt_take_fitting, &f, &typed);
    if (f.n == 0)
        return CC_ERROR;
    if (f.n == 1 || f.common > typed) {
        prompt_insert(el, &f, slice_of(before.data + before.len - typed, typed));
        return CC_REFRESH;
    }
    f.list = true;
    putchar('\n');
    complete_line(before, prompt_take_fitting, &f, &typed);
    putchar('\n');
    return CC_REDISPLAY;
}

static void prompt_find_history(struct prompt *p)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n = 0;
    if (state && *state)
        n = snprintf(p->path, sizeof p->path, "%s/halfmq_history", state);
    else if (home && *home)
        n = snprintf(p->path, sizeof p->path, "%s/.halfmq_history", home);
    if (n < 0 || (size_t)n >= sizeof p->path)
        p->path[0] = '\0';
}

static bool prompt_init(struct prompt *p, const struct cli_options *o)
{
    HistEvent event;
    *p = (struct prompt){0};
    snprintf(p->text, sizeof p->text, "%.200s:%d> ", o->host, o->port);
    prompt_find_history(p);
    p->history = history_init();
    p->el = p->history ? el_init("halfmq", stdin, stdout, stderr) : NULL;
    if (!p->el)
        return false;
    history(p->history, &event, H_SETSIZE, HISTORY_LINES);
    history(p->history, &event, H_SETUNIQUE, 1);
    if (p->path[0])
        history(p->history, &event, H_LOAD, p->path);
    el_set(p->el, EL_CLIENTDATA, p);
    el_set(p->el, EL_PROMPT, prompt_text);
    el_set(p->el, EL_EDITOR, "emacs");
    el_set(p->el, EL_HIST, history, p->history);
    /* The wide form, because el_set copies both texts and never frees them. */
    el_wset(p->el, EL_ADDFN, L"halfmq-complete", L"Complete a word", prompt_complete);
    el_set(p->el, EL_BIND, "^I", "halfmq-complete", NULL);
    el_set(p->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(p->el, NULL);
    return true;
}

static void prompt_fini(struct prompt *p)
{
    HistEvent event;
    mode_t before = umask(S_IRWXG | S_IRWXO);
    if (p->history && p->path[0])
        history(p->history, &event, H_SAVE, p->path);
    umask(before);
    if (p->el)
        el_end(p->el);
    if (p->history)
        history_end(p->history);
}

static void prompt_remember(struct prompt *p, const char *line)
{
    HistEvent event;
    if (line[0] != ' ' && !secret_in_line(slice_str(line)))
        history(p->history, &event, H_ENTER, line);
}

static bool prompt_is_exit(struct slice line)
{
    return slice_equal_nocase(line, SLICE_LIT("EXIT")) ||
           slice_equal_nocase(line, SLICE_LIT("QUIT"));
}

/* True: the line ends the prompt. */
static bool prompt_one_line(struct prompt *p, struct cli_run *run, const char *text, size_t len)
{
    struct slice line = slice_of(text, len);
    while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == ' '))
        line.len--;
    if (line.len == 0)
        return false;
    prompt_remember(p, text);
    if (prompt_is_exit(line))
        return true;
    /* A ^C since the line was read is meant for this command, so conn_interrupted is not cleared. */
    run_line(run, line); /* errors were printed; the next command may work */
    return false;
}

static void prompt_read_lines(struct prompt *p, struct cli_run *run)
{
    for (;;) {
        int len = 0;
        errno = 0;
        conn_interrupted = 0;
        const char *line = el_gets(p->el, &len);
        if (line && len > 0) {
            if (prompt_one_line(p, run, line, (size_t)len))
                return;
        } else if (conn_interrupted) {
            putchar('\n');
            el_reset(p->el);
        } else {
            putchar('\n');
            return;
        }
    }
}

enum exit_code prompt_run(struct cli_run *run)
{
    struct prompt p;
    run->stdin_is_free = false;
    conn_catch_interrupt();
    enum exit_code e = conn_open(&run->conn, &run->options);
    if (e != EXIT_DONE)
        return e;
    if (!prompt_init(&p, &run->options)) {
        prompt_fini(&p);
        return run_lines(run, stdin);
    }
    puts("HalfMQ. `help` lists the commands, `help send` explains one, Tab completes, ^D leaves.");
    prompt_read_lines(&p, run);
    prompt_fini(&p);
    return EXIT_DONE;
}
