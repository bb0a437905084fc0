/* single.c: runs the load that the options say, and reports it. */
#include "bench/modes/single.h"

#include <stdio.h>

#include "bench/report/ending.h"
#include "bench/run/run.h"

int single_main(const struct options *o, bool redis)
{
    struct result r = {0};
    char err[256];
    int end = ENDING_FAILED;
    if (run_load(o, options_load(o), redis, &r, err, sizeof err))
        end = ending_of(&r);
    else
        fprintf(stderr, "halfmq-bench: %s\n", err);
    result_fini(&r);
    return end;
}
