/* ending.c: writes the reports of a result, and decides the exit status. */
#include "bench/report/ending.h"

#include <string.h>

#include "bench/report/assertion.h"
#include "bench/report/report.h"

int ending_of(const struct result *r)
{
    bool kept = true;
    if (strcmp(r->o.json, "-") != 0)
        report_text(r);
    bool written = report_files(r);
    for (unsigned i = 0; i < r->o.assert.n; i++)
        kept = assertion_kept(r, r->o.assert.at[i]) && kept;
    if (!written || !result_good(r))
        return ENDING_FAILED;
    return kept ? ENDING_GOOD : ENDING_MISSED;
}
