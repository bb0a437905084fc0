/*
 * run_transcripts.c: plays each transcript that is named on the command line in each of its modes: as inline
 * lines, as arrays over RESP2, as arrays over RESP3. Each play has a broker of its own.
 */
#include "tests/transcripts/script.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;
    for (int i = 1; i < argc; i++) {
        for (int mode = 0; mode < MODE_COUNT; mode++) {
            enum script_result r = script_play(argv[i], (enum script_mode)mode);
            passed += r == SCRIPT_PASSED;
            failed += r == SCRIPT_FAILED;
        }
    }
    (void)printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
