/* options_parse.h: reads the command line. */
#ifndef HALFMQ_BENCH_OPTIONS_PARSE_H
#define HALFMQ_BENCH_OPTIONS_PARSE_H

#include "bench/options/options.h"

enum options_end { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_WRONG };

/* Reads the command line, and reports mistakes on stderr. The texts are borrowed from argv. */
enum options_end options_parse(int argc, char **argv, struct options *ret_options);

#endif
