/* tmpdir.h: a folder of its own for each test, gone afterwards. */
#ifndef HALFMQ_TESTS_TMPDIR_H
#define HALFMQ_TESTS_TMPDIR_H

/* A new empty folder below $TMPDIR or /tmp; the caller frees it with tmpdir_remove. Never NULL: a
 * test without a folder ends the program. */
char *tmpdir_new(void);

/* Removes the folder with all that is in it, and frees the path. NULL is fine. */
void tmpdir_remove(char *path);

#endif
