/* tables.c: asks the dynamic linker what is mapped where (tables.h). */
#include "broker/base/tables.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Has the dynamic linker written into parts that are read only? Those would be read from the file again. */
static bool tables_has_text_relocations(const struct dl_phdr_info *info, const ElfW(Phdr) *dynamic)
{
    const ElfW(Dyn) *d = (const ElfW(Dyn) *)(info->dlpi_addr + dynamic->p_vaddr);
    for (; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL)))
            return true;
    }
    return false;
}

static bool tables_are_as_in_the_file(const struct dl_phdr_info *info)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            return !tables_has_text_relocations(info, &info->dlpi_phdr[i]);
    }
    return false;
}

static void tables_drop(uintptr_t begin, uintptr_t end, uintptr_t page)
{
    begin &= ~(page - 1);
    end &= ~(page - 1); /* whatever shares the last page stays */
    /* Best effort: pages that stay cost nothing but their memory. */
    if (begin < end && madvise((void *)begin, end - begin, MADV_DONTNEED) != 0) // NOLINT(performance-no-int-to-ptr)
        return;
}

static int tables_of(struct dl_phdr_info *info, size_t size, void *arg)
{
    const uintptr_t *page = arg;
    (void)size;
    if (!tables_are_as_in_the_file(info))
        return 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && p->p_flags == PF_R)
            tables_drop(info->dlpi_addr + p->p_vaddr, info->dlpi_addr + p->p_vaddr + p->p_filesz, *page);
    }
    return 0;
}

void tables_give_back(void)
{
    long page = sysconf(_SC_PAGESIZE);
    uintptr_t bytes = page > 0 ? (uintptr_t)page : 4096;
    (void)dl_iterate_phdr(tables_of, &bytes); /* it returns what tables_of does */
}
