/*
 * compare.h: two results side by side.
 */
#ifndef HALFMQ_BENCH_COMPARE_H
#define HALFMQ_BENCH_COMPARE_H

/* Prints B against A. The exit status. */
int compare_main(const char *a_path, const char *b_path);

#endif
