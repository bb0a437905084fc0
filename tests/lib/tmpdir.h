/* tmpdir.h: makes a temporary folder for a test and removes it afterwards. */
#ifndef HALFMQ_TESTS_TMPDIR_H
#define HALFMQ_TESTS_TMPDIR_H

/* Makes an empty folder below $TMPDIR or /tmp; free it with tmpdir_remove. Never NULL: if there can be no folder, the
 * program ends. */
char *tmpdir_new(void);

/* Removes the folder with everything in it, and frees the path. NULL is fine. */
void tmpdir_remove(char *path);

#endif
