/* metrics_text.c: pieces of the Prometheus text format (metrics_text.h). */
#include "broker/metrics_text.h"

void metrics_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_gauge(struct buf *out, const char *name, const char *help, int64_t v)
{
    metrics_head(out, name, "gauge", help);
    buf_printf(out, "%s %lld\n", name, (long long)v);
}

void metrics_label(struct buf *out, const char *name, struct slice text)
{
    buf_printf(out, "%s=\"", name);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t b = text.data[i];
        if (b == '\\' || b == '"')
            buf_put_u8(out, '\\');
        if (b == '\n')
            buf_put_str(out, "\\n");
        else
            buf_put_u8(out, b);
    }
    buf_put_u8(out, '"');
}
