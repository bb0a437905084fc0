/* page.h: page.html, built in (bench/CMakeLists.txt makes its bytes into page_html). */
#ifndef HALFMQ_BENCH_PAGE_H
#define HALFMQ_BENCH_PAGE_H

#define PAGE_MARK "@RESULT@"

extern const unsigned char page_html[]; /* NUL-ended */

#endif
