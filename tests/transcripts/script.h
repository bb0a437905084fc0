/*
 * script.h: plays one transcript against one broker in one mode. tests/README.md describes the language.
 */
#ifndef HALFMQ_TESTS_SCRIPT_H
#define HALFMQ_TESTS_SCRIPT_H

#include <stdbool.h>

/* How the commands are sent, and which version of RESP the connections speak. */
enum script_mode { MODE_INLINE, MODE_ARRAY, MODE_RESP3, MODE_COUNT };

const char *script_mode_name(enum script_mode mode);

enum script_result { SCRIPT_PASSED, SCRIPT_FAILED, SCRIPT_NOT_MEANT };

/* Starts a broker, plays the file, stops the broker and checks that its exit status is 0. NOT_MEANT: the file
 * excludes this mode with `!modes`. Prints the reason of a failure to stdout, with file and line. */
enum script_result script_play(const char *path, enum script_mode mode);

#endif
