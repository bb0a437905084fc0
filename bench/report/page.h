/* page.h: page.html as bytes, which bench/CMakeLists.txt makes of the file. */
#ifndef HALFMQ_BENCH_PAGE_H
#define HALFMQ_BENCH_PAGE_H

#define PAGE_MARK "@RESULT@"

extern const unsigned char page_html[]; /* NUL-ended */

#endif
