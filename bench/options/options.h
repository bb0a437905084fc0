/*
 * options.h: the settings of a run, a member for each line of option.def; and the tables of flags and modes.
 */
#ifndef HALFMQ_BENCH_OPTIONS_H
#define HALFMQ_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/options/body.h"
#include "bench/options/dist.h"
#include "bench/options/keys.h"

#define OPTION_LIST_MAX 16

struct option_list {
    const char *at[OPTION_LIST_MAX];
    unsigned n;
};

enum mode {
#define MODE(name, words, what) MODE_##name,
#include "bench/options/mode.def"
#undef MODE
    MODE_COUNT
};

enum option_kind {
#define KIND(name, type, what) KIND_##name,
#include "bench/options/option_kind.def"
#undef KIND
    KIND_COUNT_OF
};

enum option_name {
#define OPTION(name, kind, otherwise, argument, group, help) BENCH_##name,
#include "bench/options/option.def"
#undef OPTION
    BENCH_COUNT
};

/* The C type of a kind, by its name: option_type_COUNT is uint64_t. */
#define KIND(name, type, what) typedef type option_type_##name;
#include "bench/options/option_kind.def"
#undef KIND

struct options {
    enum mode mode;
    const char *files[2]; /* compare */
    bool binary; /* --wire, if the load can be sent in that way */
    bool lib; /* --via lib */
    enum body_kind body_kind;
    const char *password; /* HALFMQ_PASSWORD; NULL: none. It is in no result */
#define OPTION(name, kind, otherwise, argument, group, help) option_type_##kind name;
#include "bench/options/option.def"
#undef OPTION
    bool given[BENCH_COUNT]; /* set on the command line, or in the environment */
    const char *said[BENCH_COUNT]; /* the text of each value, or of its default */
};

struct option_row {
    const char *name; /* as the member: with _ */
    enum option_kind kind;
    size_t offset;
    const char *otherwise, *argument, *help;
    int group;
};

enum option_group {
    GROUP_WHERE,
    GROUP_LOAD,
    GROUP_SEARCH,
    GROUP_REPORT,
    GROUP_MACHINE,
    GROUP_COUNT
};

/* BENCH_COUNT lines. */
extern const struct option_row option_lines[];
extern const char *const mode_names[];

/* Takes the text of option i. False: it is not of its kind, and nothing has changed. */
bool options_take(struct options *o, size_t i, const char *text);

/* The load that is put on: the mode's own; of search and redis, what --of says. */
enum mode options_load(const struct options *o);

/* Sets all to the defaults. */
void options_default(struct options *o);

#endif
