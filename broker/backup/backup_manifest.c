/* backup_manifest.c: writes and reads manifests (backup_manifest.h). */
#include "broker/backup/backup_manifest.h"

#include <stdio.h>

#include "protocol/base/text.h"

#define FIRST_LINE "halfmq backup 1"
#define DIGEST_DIGITS 16

bool backup_name_ok(struct slice name)
{
    if (!text_name_ok(name, true) || name.data[0] == '.')
        return false;
    for (size_t i = 1; i < name.len; i++) {
        if (name.data[i] == '.' && name.data[i - 1] == '.')
            return false;
    }
    return !slice_equal_nocase(name, SLICE_LIT("LIST")) && !slice_equal_nocase(name, SLICE_LIT("DELETE"));
}

/* ---- writing ---- */

static void backup_manifest_put_digest(struct buf *out, uint64_t digest)
{
    buf_printf(out, "%016llx", (unsigned long long)digest);
}

void backup_manifest_begin(struct buf *out)
{
    buf_init(out, BACKUP_MANIFEST_BYTES_MAX);
}

void backup_manifest_add(struct buf *out, const struct backup_file *f)
{
    buf_put_str(out, "file ");
    backup_manifest_put_digest(out, f->digest);
    buf_printf(out, " %llu %s\n", (unsigned long long)f->bytes, f->name);
}

/* The files were gathered first, since what is said before them is known last. */
void backup_manifest_end(struct buf *out, struct slice files, struct backup_facts *facts)
{
    struct cursor at = cursor_of(files);
    struct backup_file f;
    facts->files = facts->bytes = 0;
    while (backup_manifest_next(&at, &f)) {
        facts->files++;
        facts->bytes += f.bytes;
    }
    buf_printf(out, FIRST_LINE "\nname %s\nindex %llu\ncreated %lld\nlinked %llu\n", facts->name,
               (unsigned long long)facts->index, (long long)facts->created_ms, (unsigned long long)facts->linked);
    buf_put_slice(out, files);
    uint64_t digest = text_hash(buf_slice(out));
    buf_printf(out, "end %llu %llu ", (unsigned long long)facts->files, (unsigned long long)facts->bytes);
    backup_manifest_put_digest(out, digest);
    buf_put_str(out, "\n");
}

/* ---- reading ---- */

/* The next line, without its end. False: there is none, or it does not end. */
static bool backup_manifest_line(struct cursor *at, struct slice *ret_line)
{
    size_t left = cursor_left(at);
    const uint8_t *end = left ? memchr(at->at, '\n', left) : NULL;
    if (!end)
        return false;
    *ret_line = slice_of(at->at, (size_t)(end - at->at));
    at->at = end + 1;
    return true;
}

/* Cuts off what is before the next blank, or all. */
static struct slice backup_manifest_word(struct slice *line)
{
    const uint8_t *blank = line->len ? memchr(line->data, ' ', line->len) : NULL;
    struct slice word = slice_of(line->data, blank ? (size_t)(blank - line->data) : line->len);
    size_t used = word.len + (blank ? 1 : 0);
    *line = slice_of(line->data + used, line->len - used);
    return word;
}

static bool backup_manifest_digest(struct slice s, uint64_t *ret_digest)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
        v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_digest = v;
    return s.len == DIGEST_DIGITS;
}

/* store/NAME or wal/NAME, where NAME has no blank, no slash, and does not begin with a dot. */
static bool backup_manifest_path_ok(struct slice s)
{
    static const char *const folders[] = {"store/", "wal/"};
    size_t at = 0;
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(folders[i]);
        if (s.len > n && memcmp(s.data, folders[i], n) == 0)
            at = n;
    }
    bool ok = at > 0 && s.len <= BACKUP_FILE_MAX && s.data[at] != '.';
    for (size_t i = at; ok && i < s.len; i++)
        ok = s.data[i] > ' ' && s.data[i] < 0x7f && s.data[i] != '/';
    return ok;
}

static bool backup_manifest_parse_file(struct slice line, struct backup_file *ret_f)
{
    struct slice kind = backup_manifest_word(&line), digest = backup_manifest_word(&line);
    struct slice bytes = backup_manifest_word(&line);
    if (!slice_equal(kind, SLICE_LIT("file")) || !backup_manifest_digest(digest, &ret_f->digest) ||
        !text_uint(bytes, &ret_f->bytes) || ret_f->bytes > INT64_MAX || !backup_manifest_path_ok(line))
        return false;
    memcpy(ret_f->name, line.data, line.len);
    ret_f->name[line.len] = '\0';
    return true;
}

bool backup_manifest_next(struct cursor *at, struct backup_file *ret_f)
{
    struct cursor before = *at;
    struct slice line;
    if (backup_manifest_line(at, &line) && backup_manifest_parse_file(line, ret_f))
        return true;
    *at = before;
    return false;
}

static bool backup_manifest_number(struct cursor *at, const char *word, uint64_t *ret_v)
{
    struct slice line;
    return backup_manifest_line(at, &line) && slice_equal(backup_manifest_word(&line), slice_str(word)) &&
           text_uint(line, ret_v);
}

/* The lines before the files. */
static bool backup_manifest_head(struct cursor *at, struct backup_facts *f)
{
    struct slice line;
    uint64_t created = 0;
    if (!backup_manifest_line(at, &line) || !slice_equal(backup_manifest_word(&line), SLICE_LIT("name")) ||
        !backup_name_ok(line) || !backup_manifest_number(at, "index", &f->index) ||
        !backup_manifest_number(at, "created", &created) || created > INT64_MAX ||
        !backup_manifest_number(at, "linked", &f->linked))
        return false;
    memcpy(f->name, line.data, line.len);
    f->name[line.len] = '\0';
    f->created_ms = (int64_t)created;
    return true;
}

/* The line behind them: it has to be the last one. begin: of the whole manifest. */
static bool backup_manifest_tail(struct cursor *at, const uint8_t *begin, const struct backup_facts *f)
{
    struct slice all = slice_of(begin, (size_t)(at->at - begin)), line;
    uint64_t files = 0, bytes = 0, digest = 0;
    if (!backup_manifest_line(at, &line) || cursor_left(at) > 0 ||
        !slice_equal(backup_manifest_word(&line), SLICE_LIT("end")) ||
        !text_uint(backup_manifest_word(&line), &files) || !text_uint(backup_manifest_word(&line), &bytes) ||
        !backup_manifest_digest(line, &digest))
        return false;
    return files == f->files && bytes == f->bytes && digest == text_hash(all);
}

enum status backup_manifest_open(struct slice bytes, struct backup_facts *ret_facts, struct cursor *ret_at, char *err,
                                 size_t err_size)
{
    struct cursor at = cursor_of(bytes);
    struct slice line;
    struct backup_file f;
    *ret_facts = (struct backup_facts){0};
    bool first = backup_manifest_line(&at, &line);
    if (first && !slice_equal(line, SLICE_LIT(FIRST_LINE)) && line.len > 14 && memcmp(line.data, FIRST_LINE, 14) == 0) {
        snprintf(err, err_size, "is of a version of backups that this broker does not know: restore it with a newer one");
        return ST_BAD;
    }
    bool good = first && slice_equal(line, SLICE_LIT(FIRST_LINE)) && backup_manifest_head(&at, ret_facts);
    *ret_at = at;
    while (good && backup_manifest_next(&at, &f)) {
        ret_facts->files++;
        ret_facts->bytes += f.bytes;
    }
    if (good && backup_manifest_tail(&at, bytes.data, ret_facts))
        return ST_OK;
    snprintf(err, err_size, "is damaged: it is not as it was written");
    return ST_BAD;
}
