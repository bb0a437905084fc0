/*
 * fuzz_command.c: parses any words as a command. The input is split at line feeds, and its pieces are
 * parsed once as the words of a text request, once as a method with keys and values.
 *
 * A command that is refused must come with a text that fits into an error line. A command that is accepted
 * must be the same after it was copied.
 */
#include "protocol/command/command_message.h"

#include <stdlib.h>

#define WORDS_MAX 256

static void require(bool holds)
{
    if (!holds)
        abort();
}

static size_t split(const uint8_t *data, size_t size, struct slice *words)
{
    size_t n = 0, begin = 0;
    for (size_t i = 0; i <= size && n < WORDS_MAX; i++) {
        if (i < size && data[i] != '\n')
            continue;
        words[n++] = slice_of(data + begin, i - begin);
        begin = i + 1;
    }
    return n;
}

static void expect_sentence(const char *err, size_t size)
{
    size_t n = strnlen(err, size);
    require(n > 0 && n < size);
    for (size_t i = 0; i < n; i++)
        require((unsigned char)err[i] >= 0x20 && (unsigned char)err[i] < 0x7f);
}

static void use(const struct command *cmd)
{
    struct command copy;
    struct message m;
    struct buf scratch;
    char err[256];
    void *mem = malloc(command_clone_size(cmd) + 1);
    require(mem != NULL);
    command_clone(cmd, mem, &copy);
    require(copy.has == cmd->has && copy.n_opt == cmd->n_opt && copy.n_rest == cmd->n_rest);
    buf_init(&scratch, 0);
    require(command_message(&copy, SLICE_LIT("body"), &scratch, &m, err, sizeof err) == ST_OK);
    buf_free(&scratch);
    free(mem);
}

static enum status named(struct command_space *space, const struct slice *words, size_t n,
                         struct command *cmd, char *err, size_t size)
{
    const struct command_info *info = command_find_method(words[0]);
    if (!info)
        return ST_GONE;
    enum status s = command_begin(space, info, cmd, err, size);
    for (size_t i = 1; !s && i + 1 < n; i += 2) {
        struct slice second = i + 2 < n ? words[i + 2] : slice_of(NULL, 0);
        s = command_put(space, cmd, words[i], words[i + 1], second, err, size);
    }
    return s ? s : command_end(space, cmd, err, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t none[1];
    struct slice words[WORDS_MAX];
    struct command_space space;
    struct command cmd;
    char err[1024] = "";
    size_t n = split(size ? data : none, size, words);
    command_space_init(&space);
    if (command_from_words(&space, words, n, &cmd, err, sizeof err) == ST_OK)
        use(&cmd);
    else
        expect_sentence(err, sizeof err);
    enum status s = named(&space, words, n, &cmd, err, sizeof err);
    if (s == ST_OK)
        use(&cmd);
    else if (s != ST_GONE)
        expect_sentence(err, sizeof err);
    command_space_free(&space);
    return 0;
}
