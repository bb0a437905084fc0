/*
 * compare.h: the mode compare: two results side by side.
 */
#ifndef HALFMQ_BENCH_COMPARE_H
#define HALFMQ_BENCH_COMPARE_H

/* Compares B with A and prints that. Returns the exit status. */
int compare_main(const char *a_path, const char *b_path);

#endif
