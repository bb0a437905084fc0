/* report_files.c: writes CSV, HTML and HdrHistogram text, and puts each form into its file. */
#include "bench/report/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/measure/hist_text.h"
#include "bench/report/page.h"

bool report_csv(const struct result *r, struct buf *out)
{
    buf_put_str(
        out,
        "second,messages_per_s,bytes_per_s,transactions_per_s,p50_us,p90_us,p99_us,p999_us,max_us,"
        "errors,lag,server_rss_bytes,server_cpu,server_syncs_per_s\n");
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct second *s = &r->rows[i];
        buf_printf(out, "%zu,%.1f,%.1f,%.1f,%.1f,%.1f,%.1f,%.1f,%.1f,%llu,%.0f,%.0f,%.3f,%.1f\n",
                   i + 1, (double)s->tally.messages / s->length_s,
                   (double)s->tally.bytes / s->length_s,
                   (double)s->tally.transactions / s->length_s, (double)s->p50 / 1e3,
                   (double)s->p90 / 1e3, (double)s->p99 / 1e3, (double)s->p999 / 1e3,
                   (double)s->max / 1e3, (unsigned long long)s->tally.errors, s->lag,
                   s->server.rss_bytes, s->server.cpu_share, s->server.syncs);
    }
    return !out->failed;
}

bool report_hdr(const struct result *r, struct buf *out)
{
    hist_text_put(out, &r->sum.hist[r->sum.main]);
    return !out->failed;
}

/* The page, with the JSON in the place of its mark. A `<' in it could end the script element, so it is escaped. */
bool report_html(const struct result *r, struct buf *out)
{
    struct buf json;
    const char *page = (const char *)page_html, *mark = strstr(page, PAGE_MARK);
    buf_init(&json, 0);
    bool ok = mark && report_json(r, &json);
    if (ok) {
        buf_put(out, page, (size_t)(mark - page));
        for (size_t i = 0; i < json.len; i++) {
            if (json.data[i] == '<')
                buf_put_str(out, "\\u003c");
            else
                buf_put_u8(out, json.data[i]);
        }
        buf_put_str(out, mark + strlen(PAGE_MARK));
    }
    buf_free(&json);
    return ok && !out->failed;
}

static bool write_file(const char *path, const struct buf *b)
{
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *f = to_stdout ? stdout : fopen(path, "we");
    bool ok = f && fwrite(b->data, 1, b->len, f) == b->len && fflush(f) == 0;
    int why = errno;
    if (f && !to_stdout && fclose(f) != 0)
        ok = false;
    if (!ok)
        fprintf(stderr, "halfmq-bench: cannot write %s: %s\n", path, strerror(why));
    return ok;
}

static bool report_file(const struct result *r, const char *path,
                        bool (*fill)(const struct result *, struct buf *))
{
    struct buf b;
    if (!*path)
        return true;
    buf_init(&b, 0);
    bool ok = fill(r, &b);
    if (!ok)
        fprintf(stderr, "halfmq-bench: no memory for %s\n", path);
    ok = ok && write_file(path, &b);
    buf_free(&b);
    return ok;
}

bool report_files(const struct result *r)
{
    bool ok = report_file(r, r->o.json, report_json);
    ok = report_file(r, r->o.csv, report_csv) && ok;
    ok = report_file(r, r->o.html, report_html) && ok;
    return report_file(r, r->o.hdr, report_hdr) && ok;
}
