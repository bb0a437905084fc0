/* help.h: what --help says. At most 100 columns. */
#ifndef HALFMQ_BENCH_HELP_H
#define HALFMQ_BENCH_HELP_H

void help_print(void);

#endif
